"""The top of the page, which all tabs read: the detector and the false positive rate."""

import html
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from keras_ood.app import own_detector
from keras_ood.app.session import Paths, Session, at_hand, open_session
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.images import Decoding
from keras_ood.terminal.errors import MENDABLE

HIGHEST_FPR = 0.5
ONE_AT_A_TIME: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "detector", "api_visibility": "private"}
"""Of every event that computes: they share the detectors."""


class Controls(NamedTuple):
    """What the tabs take.

    Attributes:
        session: Function from the value of a detector in `name` to its session.
        decoding: How what somebody sends becomes images.
        name: The component that holds which detector is chosen; it takes what it offered to this visitor, nothing else.
        fpr: The component that holds the false positive rate.
        chosen: The event after which `name` and `fpr` belong to another detector.
    """

    session: Callable[[str], Session]
    decoding: Decoding
    name: Any
    fpr: Any
    chosen: Any


def build(model: str, folder: Paths | None, unreadable: str, decoding: Decoding) -> Controls:
    """Lay out the controls in the page that is being built, see `keras_ood.app.build`."""
    import gradio as gr

    def session_of(value: str) -> Session:
        if value != model and Path(value).is_relative_to(name.GRADIO_CACHE):
            return own_detector.session(value, decoding)
        own = folder if value == model else None
        return open_session(value, tuple(own) if isinstance(own, list) else own, unreadable, decoding)

    first, presets = session_of(model), at_hand()
    with gr.Row(equal_height=True):
        name = gr.Dropdown(
            presets if model in presets else [model, *presets],
            value=model,
            label="Detector",
            info="Pretrained presets on this machine, and your own.",
            min_width=240,
        )
        fpr = gr.Slider(
            **_fpr_range(first, NOMINAL_FPR),
            step=0.001,
            label="False positive rate",
            info="At most this share of in-distribution images is flagged, on average.",
            min_width=240,
            elem_id="fpr",
        )
    about = gr.Markdown(_about(first))

    def choose(chosen: str, rate: float) -> tuple[str, Any]:
        with errors_on_the_page():
            session = session_of(chosen)
            return _about(session), gr.update(**_fpr_range(session, rate))

    return Controls(session_of, first.decoding, name, fpr, name.change(choose, [name, fpr], [about, fpr], **ONE_AT_A_TIME))


@contextmanager
def errors_on_the_page() -> Iterator[None]:
    """Show an error that a user can mend as one message; the app goes on."""
    import gradio as gr

    try:
        yield
    except MENDABLE as error:
        raise gr.Error(html.escape(str(error)), print_exception=False) from error


def new_file(component: Any, name: str) -> Path:
    """Return the path of a file to be made for a component: Gradio serves it, and deletes it as it deletes uploads."""
    folder = Path(component.GRADIO_CACHE) / secrets.token_hex(16)
    folder.mkdir(parents=True)
    return folder / name


def delete_with_uploads(component: Any, folder: Path) -> None:
    """Have Gradio delete the files below a folder that `new_file` made as it deletes uploads, whether it serves them or not."""
    component.temp_files.update(str(path) for path in folder.rglob("*") if path.is_file())


def _fpr_range(session: Session, rate: float) -> dict[str, Any]:
    """The slider's ends, and the value between them that is nearest to the one chosen before."""
    lowest = session.lowest_fpr
    return {"minimum": lowest, "maximum": HIGHEST_FPR, "value": min(max(rate, lowest), HIGHEST_FPR)}


def _about(session: Session) -> str:
    detector = session.detector
    height, width, channels = detector.image_shape
    return (
        f"In-distribution for it: **{html.escape(session.title)}**. It sees {height} x {width} pixels in "
        f"{'grey' if channels == 1 else 'colour'}; images of other sizes are converted. Score: `{detector.default_score}`, "
        f"calibrated on {len(session.calibration):,} images."
    )
