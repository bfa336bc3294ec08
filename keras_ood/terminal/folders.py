"""Folders that are written to."""

from pathlib import Path


def require_vacant(folder: Path, purpose: str) -> None:
    """Refuse a folder that holds something, before any work is done for it.

    Args:
        folder: Absent, or an empty folder.
        purpose: How the message begins, up to "a folder".

    Raises:
        FileExistsError: It is a file, or holds something.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FileExistsError(f"{purpose} a folder that is absent or empty. Received: {folder}")
