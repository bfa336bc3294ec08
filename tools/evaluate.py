"""Run the benchmark: `python tools/evaluate.py` is `keras-ood benchmark`."""

import typer

from keras_ood.cli.benchmark import benchmark

if __name__ == "__main__":
    typer.run(benchmark)
