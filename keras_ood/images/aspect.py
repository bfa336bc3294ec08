"""What becomes of an image whose sides have another ratio than a network's."""

from dataclasses import dataclass

from keras_ood.terminal.names import did_you_mean

ASPECTS = ("stretch", "crop", "pad")

PADDING = 0.5
"""The grey, in 0..1, of what `pad` puts beside an image."""


@dataclass(frozen=True)
class Placement:
    """Which part of an image goes where in the target.

    Attributes:
        window: `(top, left, height, width)` of the part that is looked at.
        inner: `(height, width)` to which that part is resized.
        margins: `((top, bottom), (left, right))` of the target beside it.
    """

    window: tuple[int, int, int, int]
    inner: tuple[int, int]
    margins: tuple[tuple[int, int], tuple[int, int]]

    @classmethod
    def of(cls, size: tuple[int, int], target: tuple[int, int], aspect: str) -> "Placement":
        """Return the placement of an image by a rule.

        - `"stretch"`: all of the image in all of the target.
        - `"crop"`: the largest part of the target's ratio, in the middle, in all of the target.
        - `"pad"`: all of the image as large as it fits, in the middle of the target.

        Sides are rounded to whole pixels, half to even, and are 1 at least; of an odd margin the larger half is at bottom
        and right.

        Args:
            size: `(height, width)` of the image.
            target: `(height, width)`.
            aspect: One of `ASPECTS`.
        """
        (height, width), (rows, columns) = size, target
        window, inner = size, target
        if aspect == "crop":
            window = (
                min(height, max(1, round(width * rows / columns))),
                min(width, max(1, round(height * columns / rows))),
            )
        elif aspect == "pad":
            inner = (
                min(rows, max(1, round(columns * height / width))),
                min(columns, max(1, round(rows * width / height))),
            )
        top, left = (height - window[0]) // 2, (width - window[1]) // 2
        above, before = (rows - inner[0]) // 2, (columns - inner[1]) // 2
        margins = ((above, rows - inner[0] - above), (before, columns - inner[1] - before))
        return cls((top, left, *window), inner, margins)


def check_aspect(aspect: str) -> str:
    """Return a rule's name.

    Raises:
        ValueError: There is none of that name.
    """
    if aspect not in ASPECTS:
        raise ValueError(f"`aspect` must be one of {ASPECTS}.{did_you_mean(str(aspect), ASPECTS)} Received: {aspect!r}")
    return aspect
