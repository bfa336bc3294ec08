"""Build the wheel of the runner, install it beside NumPy, Pillow and ONNX Runtime alone, and compare its scores with Keras'.

`python tools/check_runtime.py`: the three packages are those of the running environment, nothing else of it can be imported.
"""

import subprocess
import sys
import sysconfig
import tempfile
import venv
from importlib.metadata import files
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from keras_ood.loading import from_pretrained

ROOT = Path(__file__).parents[1]
PRESET = "tilted-vae-digits"
NEEDED = ("numpy", "pillow", "onnxruntime")
USE = """
import importlib.util, keras_ood_runtime, numpy as np
for name in ("keras", "tensorflow", "scipy", "keras_ood", "onnx"):
    assert importlib.util.find_spec(name) is None, name
runner = keras_ood_runtime.Runner("detector.onnx")
expected = np.load("expected.npz")
rank = 1 / (1 + int(runner.metadata["calibration_size"]))
score, p_value = runner.score("photos"), runner.p_values("photos")
assert np.abs(score - expected["score"]).max() <= 1e-4 * max(1, np.abs(expected["score"]).max()), (score, expected["score"])
assert np.abs(p_value - expected["p_value"]).max() <= 2 * rank, (p_value, expected["p_value"])
assert (runner.detect("photos", fpr=0.3) == (p_value <= np.float32(0.3))).all()
"""


def main() -> None:
    """Exit with an error if the runner needs more than it says, or gives other scores."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build: list[str | Path] = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT / "runtime"]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        (wheel,) = folder.glob("*.whl")
        environment = folder / "environment"
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
        link_packages(next(environment.glob("lib/python*/site-packages")))
        write_photos(folder / "photos")
        detector = from_pretrained(PRESET)
        detector.export(folder / "detector.onnx", image_shape=(None, None, 3))
        photos = str(folder / "photos")
        np.savez(folder / "expected.npz", score=detector.score(photos), p_value=detector.p_values(photos))
        subprocess.run([python, "-I", "-c", USE], check=True, cwd=folder)
        table: list[str | Path] = [
            python,
            "-I",
            "-m",
            "keras_ood_runtime",
            "detector.onnx",
            "photos",
            "--fpr",
            "0.3",
            "--out",
            "table.csv",
        ]
        subprocess.run(table, check=True, cwd=folder)
        rows = len((folder / "table.csv").read_text().splitlines()) - 1
        assert rows == len(list((folder / "photos").iterdir())), rows
        print(f"{wheel.name}: {wheel.stat().st_size / 2**10:.0f} KiB, runs {PRESET} without Keras ({keras.__version__} agrees)")


def link_packages(site: Path) -> None:
    """Put what `NEEDED` installed in the running environment into another one, as links."""
    here = Path(sysconfig.get_path("purelib"))
    for package in NEEDED:
        for part in {file.parts[0] for file in files(package) or () if file.parts[0] not in ("..", "__pycache__")}:
            (site / part).symlink_to(here / part)


def write_photos(folder: Path) -> None:
    """Write images of several sizes: colour, grey, a palette, transparent pixels, turned by EXIF, one that is large."""
    folder.mkdir()
    generator = np.random.default_rng(0)

    def noise(*shape: int) -> Image.Image:
        return Image.fromarray(generator.integers(0, 256, shape, np.uint8))

    noise(16, 16, 3).save(folder / "colour.png")
    noise(40, 25).save(folder / "grey.png")
    noise(33, 20, 3).quantize(16).save(folder / "palette.gif")
    noise(24, 24, 4).save(folder / "alpha.png")
    exif = Image.Exif()
    exif[274] = 6
    noise(30, 60, 3).save(folder / "turned.jpg", exif=exif)
    noise(16, 24, 3).resize((900, 600)).save(folder / "large.jpg")


if __name__ == "__main__":
    main()
