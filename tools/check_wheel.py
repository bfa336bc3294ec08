"""Build the wheel, install it in an empty virtual environment and use it offline from another directory.

`python tools/check_wheel.py`: the dependencies are those of the running environment, the project itself is not.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
USE = """
import keras_ood, numpy as np
from pathlib import Path
assert Path(keras_ood.__file__).is_relative_to({environment!r}), keras_ood.__file__
print(keras_ood.list_models())
for name in keras_ood.list_models():
    detector = keras_ood.from_pretrained(name)
    assert detector.p_values(np.zeros((3, 8, 8, 1), np.uint8)).shape == (3,)
assert (Path(keras_ood.__file__).parent / "py.typed").exists()
"""


def main() -> None:
    """Exit with an error if the wheel does not work on its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--outdir", folder, str(ROOT)], check=True, stdout=subprocess.DEVNULL
        )
        (wheel,) = Path(folder).glob("*.whl")
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
        site = next(environment.glob("lib/python*/site-packages"))
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")  # its own .pth files are not read
        offline = os.environ | {"HF_HUB_OFFLINE": "1", "KERAS_OOD_DATA": folder}
        subprocess.run([python, "-c", USE.format(environment=str(environment))], check=True, cwd=folder, env=offline)
        demo: list[str | Path] = [environment / "bin" / "keras-ood", "demo", "--out", Path(folder) / "pictures"]
        subprocess.run(demo, check=True, cwd=folder, env=offline)
        print(f"{wheel.name}: {wheel.stat().st_size / 2**20:.1f} MiB, works on its own")


if __name__ == "__main__":
    main()
