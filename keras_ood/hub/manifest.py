"""What the package knows of the zoo's presets before any of their files is read: digest, repository, pinned commit."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path(__file__).with_name("manifest.json")


@dataclass(frozen=True)
class Entry:
    """A preset of the zoo.

    Attributes:
        preset_sha256: SHA-256 of its `preset.json`, which names the digests of all other files.
        repo_id: Its repository on the Hugging Face Hub; None before it was first published.
        revision: The commit there, 40 hexadecimal digits, that holds these very files.
    """

    preset_sha256: str
    repo_id: str | None = None
    revision: str | None = None


def entries() -> dict[str, Entry]:
    """Return the entry of each preset by its name."""
    return {name: Entry(**fields) for name, fields in json.loads(FILE.read_text()).items()}


def record(name: str, entry: Entry) -> None:
    """Write the entry of one preset, in place of the one before."""
    changed = entries() | {name: entry}
    fields = {name: {key: value for key, value in asdict(changed[name]).items() if value} for name in sorted(changed)}
    written = FILE.with_suffix(".unfinished")
    written.write_text(json.dumps(fields, indent=2) + "\n")
    os.replace(written, FILE)


def renew(name: str, preset_sha256: str) -> None:
    """Write the digest of a preset that may have changed; what was published of another state is no longer pinned."""
    known = entries().get(name)
    if known is None or known.preset_sha256 != preset_sha256:
        record(name, Entry(preset_sha256, known.repo_id if known else None))
