"""Run the notebooks of `tutorials/` from top to bottom, each in a fresh kernel, two at a time, and keep their outputs.

`--check` runs them and writes nothing: what CI does.
"""

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TUTORIALS = Path(__file__).parents[1] / "tutorials"
LONGEST = 600  # seconds a cell
AT_A_TIME = 2


def main() -> None:
    """Run all notebooks, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(TUTORIALS.glob("*.ipynb")))
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # for `!keras-ood`
    asyncio.run(run_all(arguments.notebooks, keep=not arguments.check))


async def run_all(paths: list[Path], keep: bool) -> None:
    """Run notebooks, `AT_A_TIME` of them side by side; the first that fails ends all."""
    places = asyncio.Semaphore(AT_A_TIME)

    async def in_turn(path: Path) -> None:
        async with places:
            await run(path, keep)

    await asyncio.gather(*map(in_turn, paths))


async def run(path: Path, keep: bool) -> None:
    """Run a notebook and tell how long it took, or which one failed."""
    start = time.monotonic()
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    try:
        client = NotebookClient(notebook, timeout=LONGEST, kernel_name="python3", record_timing=False, coalesce_streams=True)
        await client.async_execute()
    except Exception:
        print(f"{path.name}: failed", flush=True)
        raise
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    if keep:
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    print(f"{path.name}: {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
