"""How the commands read image files: their options, and what was not read."""

from collections import Counter
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer


class Unreadable(str, Enum):
    """What a broken image file does."""

    RAISE = "raise"
    SKIP = "skip"


class Frames(str, Enum):
    """What is read of files with several frames or pages."""

    FIRST = "first"
    ALL = "all"


def _check_colour(colour: str) -> str:
    from PIL import ImageColor

    try:
        ImageColor.getcolor(colour, "RGB")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return colour


def _check_ends(ends: tuple[float, float] | None) -> tuple[float, float] | None:
    if ends is not None and not ends[0] < ends[1]:
        raise typer.BadParameter(f"the first of the two numbers must be below the second. Received: {ends[0]:g} {ends[1]:g}")
    return ends


_PANEL = "Image files"

UnreadableOption = Annotated[
    Unreadable, typer.Option("--unreadable", help="A broken image file: an error, or skipped.", rich_help_panel=_PANEL)
]

FramesOption = Annotated[
    Frames, typer.Option("--frames", help="Of files with several frames or pages.", rich_help_panel=_PANEL)
]

Background = Annotated[
    str,
    typer.Option(
        "--background",
        help="What lies behind transparent pixels: the name of a colour, or #rrggbb.",
        callback=_check_colour,
        rich_help_panel=_PANEL,
    ),
]

ValueRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--value-range",
        metavar="BLACK WHITE",
        help="Of 16-bit grey (0 65535 if absent) and of floats (0 1): 0 4095 for 12 bits.",
        callback=_check_ends,
        rich_help_panel=_PANEL,
    ),
]


class Reading:
    """The image files of a command.

    Args:
        unreadable: What a broken file does.
        background: Name of the colour behind transparent pixels, or `"#rrggbb"`.
        frames: What is read of files with several frames.
        value_range: Black and white of 16-bit grey and of floats; None for what the formats say.

    Attributes:
        skipped: Number of images that somebody else skipped, such as Ray's workers.
    """

    def __init__(
        self, unreadable: Unreadable, background: str, frames: Frames, value_range: tuple[float, float] | None
    ) -> None:
        from PIL import ImageColor

        from keras_ood.images import Decoding, ImageFiles

        red, green, blue = ImageColor.getcolor(background, "RGB")  # type: ignore[misc]
        self.unreadable = unreadable.value
        self.decoding = Decoding((red, green, blue), value_range, frames.value)
        self.skipped = 0
        self._files: list[ImageFiles] = []

    def open(self, paths: list[str], start: int = 0) -> tuple[Any, Any]:
        """Return a source of images and their names, see `keras_ood.tables.score_table.open_images`."""
        from keras_ood.images import ImageFiles
        from keras_ood.tables import score_table

        source, names = score_table.open_images(paths, self.unreadable, self.decoding, start)
        if isinstance(source, ImageFiles):
            self._files.append(source)
        return source, names

    def open_set(self, given: str) -> Any:
        """Return the images of a path; a name of a data set or synthetic set, or what is neither, as it is."""
        from keras_ood.datasets import DATASETS, GENERATED

        return given if given in (*DATASETS, *GENERATED) or not Path(given).exists() else self.open([given])[0]

    @property
    def omitted(self) -> dict[str, int]:
        """Numbers of images that were skipped, and of files and frames that were left out."""
        total = Counter(skipped=self.skipped, left_out=0, frames_left_out=0)
        for files in self._files:
            total.update(files.omitted)
        return dict(total)

    @property
    def words(self) -> str:
        """What was not read, as the end of a sentence; nothing where everything was."""
        kinds = {
            "skipped": "unreadable skipped",
            "left_out": "other files left out",
            "frames_left_out": "further frames left out",
        }
        return "".join(f"; {count:,} {kinds[name]}" for name, count in self.omitted.items() if count)
