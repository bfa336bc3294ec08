"""Score thousands of generated inputs and compare each with the plain arrays that it stands for.

`python tools/fuzz.py --cases 10000 --seed 0`; `--only N` runs one case again. Exits with 1 where any went wrong.
"""

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import keras

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import fuzzing  # type: ignore[import-not-found]

from keras_ood import from_pretrained
from keras_ood.models import TiltedVAE


def main() -> None:
    """Print each problem, then the numbers of cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="number of the one case to run")
    asked = parser.parse_args()
    keras.utils.set_random_seed(0)
    detectors = [from_pretrained("tilted-vae-digits"), TiltedVAE((8, 8, 3), latent_dim=3, tilt=6.0)]
    numbers = range(asked.cases) if asked.only is None else [asked.only]
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, given, found in fuzzing.run(detectors, asked.seed, iter(numbers), Path(folder)):
            kind = "damaged" if given.damaged else "no images" if given.images is None else "images"
            counts[kind if found is None else "WRONG"] += 1
            if found is not None:
                print(f"{number}: {given.words}: {found}", flush=True)
            shutil.rmtree(Path(folder) / str(number))
    print(f"seed {asked.seed}: {dict(counts)}")
    sys.exit(bool(counts["WRONG"]))


if __name__ == "__main__":
    main()
