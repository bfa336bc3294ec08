"""Chosen tests on other Pythons and backends: what was run, with which versions, and what came of it.

For each interpreter a virtual environment is made, with this checkout and what `constraints.txt` allows, and the tests of
`CHOSEN` are run on each backend. Writes `versions.csv`, a row for each Python and backend, that of an earlier run replaced; a
log beside each environment. `--report PAGE` puts the table of the file into a page of the documentation and runs nothing.
"""

import argparse
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from table_file import begun, marks

from keras_ood.tables.markdown import markdown_table
from keras_ood.tables.records import write_records

ROOT = Path(__file__).parents[1]
CHOSEN = {
    "tensorflow": ["backend", "scores", "calibration", "encoders", "models", "images", "export", "hub", "cli"],
    "jax": ["backend", "bijectors", "distributions", "networks", "scores", "calibration", "encoders", "models"],
}
"""Folders of `tests/` by backend: what compiles, what reads and writes files, what other packages change."""

PACKAGES = (
    "keras",
    "tensorflow",
    "jax",
    "numpy",
    "scipy",
    "scikit-learn",
    "pillow",
    "huggingface-hub",
    "gradio",
    "ray",
    "onnx",
)
_VERSIONS = """
import importlib.metadata, json, platform, sys
print(json.dumps({"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""
_MACHINE = "from keras_ood.backend.machine import describe_machine; print(describe_machine())"
MARKS = marks(__file__)


def main() -> None:
    """Run the tests and write the table, or report it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("interpreters", nargs="*", help="such as python3.10 python3.13")
    parser.add_argument("--backend", choices=CHOSEN, action="append", help="both if absent")
    parser.add_argument("--folders", nargs="+", help="of tests/; those of CHOSEN if absent")
    parser.add_argument("--environments", type=Path, default=ROOT / "build" / "matrix", help="where there is one, it is used")
    arguments, table, rows = begun(parser, "versions.csv", MARKS, report)
    for interpreter in arguments.interpreters:
        python, versions = environment(interpreter, arguments.environments)
        for backend in arguments.backend or CHOSEN:
            log = arguments.environments.absolute() / f"{versions['python']}-{backend}"
            folders = arguments.folders or CHOSEN[backend]
            row = versions | {"backend": backend} | run(python, backend, folders, log)
            known = row["python"], row["backend"]
            rows = [each for each in rows if (each["python"], each["backend"]) != known] + [row]
            rows.sort(key=lambda each: ([int(part) for part in each["python"].split(".")[:2]], each["backend"]))
            write_records(table, rows)
            print(row, flush=True)


def environment(interpreter: str, folder: Path) -> tuple[str, dict[str, str]]:
    """Return the Python of the environment of an interpreter, and the versions in it; what is not there yet is installed.

    Args:
        interpreter: Path or command.
        folder: Where environments lie, by the version of Python.
    """
    version = subprocess.check_output(
        [interpreter, "-c", "import platform; print(platform.python_version())"], text=True
    ).strip()
    python = str((folder / version / "bin" / "python").absolute())
    if not os.path.exists(python):
        subprocess.check_call([interpreter, "-m", "venv", str(folder / version)])
    pip = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--constraint",
        str(ROOT / "constraints.txt"),
    ]
    subprocess.check_call([*pip, "--editable", f"{ROOT}[dev]"])
    return python, json.loads(subprocess.check_output([python, "-c", _VERSIONS, *PACKAGES], text=True))


def run(python: str, backend: str, folders: Sequence[str], log: Path) -> dict[str, Any]:
    """Run tests and return what they were, their numbers, the day and the machine.

    Args:
        python: Of an environment.
        backend: Of Keras.
        folders: Of `tests/`.
        log: Path without a suffix, of what pytest prints and of its report.
    """
    paths = [f"tests/{name}" for name in ("test_imports.py", *folders)]
    settings: dict[str, Any] = {"cwd": ROOT, "env": os.environ | {"KERAS_BACKEND": backend}}
    document = Path(f"{log}.xml")
    document.unlink(missing_ok=True)
    with open(f"{log}.txt", "w") as output:
        command = [python, "-m", "pytest", "-q", f"--junitxml={document}", *paths]
        subprocess.call(command, stdout=output, stderr=subprocess.STDOUT, **settings)
    if not document.exists():
        raise RuntimeError(f"pytest ends with a report. Received: none, see {log}.txt")
    machine = subprocess.check_output([python, "-c", _MACHINE], text=True, stderr=subprocess.DEVNULL, **settings).strip()
    numbers = counted(document.read_text())
    return {"folders": " ".join(folders)} | numbers | {"date": date.today().isoformat(), "machine": machine}


def counted(document: str) -> dict[str, int]:
    """Return how many tests passed, failed and were skipped, by pytest's report in JUnit's form."""
    suites = ElementTree.fromstring(document).iter("testsuite")
    total = {name: 0 for name in ("tests", "failures", "errors", "skipped")}
    for suite in suites:
        total = {name: count + int(suite.get(name, 0)) for name, count in total.items()}
    failed = total["failures"] + total["errors"]
    return {"passed": total["tests"] - failed - total["skipped"], "failed": failed, "skipped": total["skipped"]}


def report(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the table."""
    header = ["Python", "backend", *PACKAGES, "folders", "passed", "failed", "skipped", "date"]
    return f"\n\n{markdown_table(header, [[str(row[name.lower()]) for name in header] for row in records])}\n\n"


if __name__ == "__main__":
    main()
