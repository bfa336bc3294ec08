"""Sample photographs, to try on what one would do with one's own."""

import fnmatch
import tempfile
from pathlib import Path, PurePosixPath

from keras_ood.datasets.debian_package import read_package
from keras_ood.datasets.originals import fetch
from keras_ood.datasets.qt_resources import read_resources
from keras_ood.terminal.folders import require_vacant

# The pictures of GCompris 3.1, an educational program, as Debian packages them.
PACKAGE = "https://deb.debian.org/debian/pool/main/g/gcompris-qt/gcompris-qt-data_3.1-2_all.deb"
SHA256 = "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f"

_COPYRIGHT = "usr/share/doc/gcompris-qt-data/copyright"
_PREFIX = "gcompris/src/activities/"
# Of places that have two photographs the first alone is taken: none of these is in `explore_monuments`.
_MONUMENTS = (
    *("IndiaGate", "arcDeTriomphe", "bayterek", "burj", "cathedral", "empireState", "jucheTower", "leMusee"),
    *("leaningTowerOfPisa", "monument1", "monument2", "monument3", "operaHouse", "parthenon", "usCapitol", "zimniPalace"),
)
_CASTLES = ("EgeskovSlotSpejling", "EilanDonanCastle", "NDP", "Nagoya", "TowerBridgeLondon")
_VAN_GOGH = (
    *("Eglise_dAuvers-sur-Oise", "Gogh4", "PortraitOfPereTanguy", "Van_Gogh_The_Night_Cafe"),
    *("VincentVanGogh0012", "VincentVanGogh0013", "VincentVanGogh0019", "VincentVanGoghBridge"),
)
# Folder of the set -> paths in the package, with wildcards.
_PARTS: dict[str, list[str]] = {
    **{
        f"landmarks/{country}": [f"explore_monuments/resource/{country}/*.webp"]
        for country in ("egypt", "france", "germany", "india", "usa", "wonders")
    },
    "landmarks/elsewhere": [
        *(f"categorization/resource/images/monuments/{name}.webp" for name in _MONUMENTS),
        *(f"details/resource/image/{name}_background.webp" for name in _CASTLES),
    ],
    "windmills": ["categorization/resource/images/renewable/windmill*.webp"],
    "paintings": [f"details/resource/image/{name}_background.webp" for name in _VAN_GOGH],
    "power_plants": [f"categorization/resource/images/renewable/{kind}*.webp" for kind in ("dam", "geothermal", "solar")],
    "animals/farm": ["explore_farm_animals/resource/animals/*.webp"],
    "animals/wild": ["erase/resource/*.webp"],
    "animals/world": ["explore_world_animals/resource/animals/*.webp"],
    "fishes": ["categorization/resource/images/fishes/fish*.webp"],
    "tools": ["categorization/resource/images/tools/*.webp"],
}
_RESOURCES = {f"usr/share/gcompris-qt/rcc/{pattern.split('/')[0]}.rcc" for patterns in _PARTS.values() for pattern in patterns}


def photographs(folder: Path | str | None = None) -> Path:
    """Return a folder of photographs, a folder a set: landmarks, what is near them, and what is far.

    - `landmarks`: 70 places, one photograph each, in class folders by country: what a detector may learn.
    - near: `windmills` 15, `power_plants` 14 (dams, geothermal, solar), `paintings` 8 by Van Gogh, of houses and people.
    - far: `animals` 57, `fishes` 28, `tools` 39.

    WebP files of up to 1,920 pixels, in all shapes. They are the pictures of GCompris, downloaded once as Debian's package
    `gcompris-qt-data` (44 MB, checked), and never part of this one. Their licences differ, from CC0 to GPL-3+; Debian's list of
    them lies beside them as `LICENCES.txt`.

    Args:
        folder: Where to write them, absent or empty; None for a folder beside Keras' own downloads, where they are found again.

    Raises:
        FileExistsError: `folder` holds something.
        OSError: They cannot be downloaded, or `folder` cannot be written.
    """
    if folder is not None:
        folder = Path(folder).resolve()
        require_vacant(folder, "Photographs are written to")
    package = _download()
    target = package.with_name("photographs") if folder is None else folder
    if folder is not None or not target.is_dir():
        unpack(package, target)
    return target


def unpack(package: Path, folder: Path) -> None:
    """Write the photographs of GCompris' package to a folder, which is whole before it is seen.

    Raises:
        ValueError: Another package.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        made = Path(scratch, folder.name)
        for path, content in read_package(package, lambda path: path == _COPYRIGHT or path in _RESOURCES):
            if path == _COPYRIGHT:
                _write(made / "LICENCES.txt", content)
                continue
            for name, picture in read_resources(content):
                if (part := _part(name.removeprefix(_PREFIX))) is not None:
                    _write(made / part / PurePosixPath(name).name.replace("_background", ""), picture)
        missing = [part for part in _PARTS if not (made / part).is_dir()]
        if missing:
            raise ValueError(
                f"Expected GCompris' package with pictures of {sorted(_PARTS)}. Received: {package} without {missing}"
            )
        made.replace(folder)


def _part(name: str) -> str | None:
    """The folder that a picture belongs in; None for what is no photograph of ours."""
    return next((part for part, patterns in _PARTS.items() if any(fnmatch.fnmatchcase(name, one) for one in patterns)), None)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _download() -> Path:
    try:
        return fetch(PACKAGE, SHA256)
    except Exception as error:  # Keras raises nothing narrower
        raise OSError(f"The sample photographs cannot be downloaded from {PACKAGE} ({error})") from error
