"""`python -m keras_ood_runtime detector.onnx FOLDER`: a CSV table of scores, p-values and flags."""

import argparse
import csv
import sys
from contextlib import nullcontext
from pathlib import Path

from keras_ood_runtime.decoding import Decoding
from keras_ood_runtime.image_files import UNREADABLE, ImageFiles
from keras_ood_runtime.printable import as_text, printable
from keras_ood_runtime.runner import Runner

COLUMNS = ("path", "score", "p_value", "ood")


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(prog="python -m keras_ood_runtime", description=__doc__)
    parser.add_argument("model", type=Path, help="an ONNX file that keras-ood exported")
    parser.add_argument("images", type=Path, nargs="+", help="folders and image files")
    parser.add_argument("--fpr", type=float, default=0.05, help="share of in-distribution images flagged, at most")
    parser.add_argument("--out", type=Path, help="a CSV file, standard output if absent")
    parser.add_argument("--unreadable", choices=UNREADABLE, default="raise", help="what a damaged file does")
    parser.add_argument(
        "--value-range", type=float, nargs=2, metavar=("LOW", "HIGH"), help="black and white of files of numbers"
    )
    parser.add_argument("--frames", choices=("first", "all"), default="first", help="which of a file with several")
    arguments = parser.parse_args()
    try:
        ends = arguments.value_range and tuple(arguments.value_range)
        decoding = Decoding(value_range=ends, frames=arguments.frames)
        files = ImageFiles(arguments.images, arguments.unreadable, decoding)
        runner = Runner(arguments.model)
        found = list(runner.iterate(files, ["score", "p_value", "flag"], fpr=arguments.fpr))
        with open(arguments.out, "w", newline="") if arguments.out else nullcontext(sys.stdout) as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(COLUMNS)
            columns = ([value for batch in found for value in batch[name]] for name in ("score", "p_value", "flag"))
            table.writerows(
                (as_text(path), f"{score:.6g}", f"{p_value:.6g}", int(flag))
                for path, score, p_value, flag in zip(files.read_paths, *columns, strict=True)
            )
    except (ValueError, OSError) as error:
        parser.exit(1, f"Error: {printable(str(error))}\n")


if __name__ == "__main__":
    main()
