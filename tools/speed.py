"""Measure speed as `keras-ood benchmark --speed` does, with rows against PyTorch among them; needs PyTorch 2.

Writes `benchmark/speed-<backend>.json`, or with `--check` compares with it.
"""

import argparse
import sys
from pathlib import Path

from torch_networks import RIVALS

from keras_ood.benchmark import speed


def main() -> None:
    """Measure, print a line for each row, and keep or compare the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000, help="of the larger file whose memory is measured")
    parser.add_argument("--out", type=Path, default=Path("benchmark"))
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a kept ratio is lost")
    arguments = parser.parse_args()
    rows = []
    for row in speed.measure(arguments.images, RIVALS):
        rows.append(row)
        print(f"{row.name}: {row.ratio:.2f}; {row.ours:,.1f} against {row.theirs:,.1f} {row.unit}", flush=True)
    if not arguments.check:
        print(f"Wrote {speed.write(arguments.out, rows)}")
    elif lost := speed.lost(rows, speed.read(speed.file(arguments.out))[1]):
        sys.exit(f"Ratios that got worse than those kept. Received: {lost}")


if __name__ == "__main__":
    main()
