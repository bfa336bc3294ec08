"""The top of the page, which all tabs read: the detector and the rate that is held."""

import html
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from keras_ood.app import own_detector
from keras_ood.app.session import Paths, Session, at_hand, open_session
from keras_ood.calibration import NOMINAL_FPR
from keras_ood.calibration.rule import Rule
from keras_ood.hub.content import promised
from keras_ood.images import Decoding
from keras_ood.terminal.errors import MENDABLE

HIGHEST_RATE = 0.5
FALSE_POSITIVES, FALSE_DISCOVERIES = "false positives", "false discoveries"
ONE_AT_A_TIME: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "detector", "api_visibility": "private"}
"""Of every event that computes: they share the detectors."""


class Controls(NamedTuple):
    """What the tabs take.

    Attributes:
        session: Function from the value of a detector in `name` to its session.
        decoding: How what somebody sends becomes images.
        name: The component that holds which detector is chosen; it takes what it offered to this visitor, nothing else.
        held: The component that says of what a rate is held, see `rule`.
        rate: The component that says which.
        chosen: The event after which `name` and `rate` belong to another detector.
    """

    session: Callable[[str], Session]
    decoding: Decoding
    name: Any
    held: Any
    rate: Any
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
        held = gr.Radio(
            [FALSE_POSITIVES, FALSE_DISCOVERIES],
            value=FALSE_POSITIVES,
            label="Hold the rate of",
            info="Among in-distribution images, or among those flagged.",
            min_width=240,
            elem_id="held",
        )
        rate = gr.Slider(**_range(first, NOMINAL_FPR), step=0.001, label="Rate", min_width=200, elem_id="rate")
    about = gr.HTML(_about(first, FALSE_POSITIVES, NOMINAL_FPR), elem_id="about")

    def tell(chosen: str, of: str, share: float) -> str:
        with errors_on_the_page():
            return _about(session_of(chosen), of, share)

    def choose(chosen: str, of: str, share: float) -> tuple[str, Any]:
        with errors_on_the_page():
            session = session_of(chosen)
            ends = _range(session, share)
            return _about(session, of, ends["value"]), gr.update(**ends)

    inputs = [name, held, rate]
    for event in (held.input, rate.release):
        event(tell, inputs, about, **ONE_AT_A_TIME)
    changed = name.change(choose, inputs, [about, rate], **ONE_AT_A_TIME)
    return Controls(session_of, first.decoding, name, held, rate, changed)


def rule(held: str, rate: float) -> Rule:
    """Return what is flagged, from the values of the components."""
    return Rule(fdr=rate) if held == FALSE_DISCOVERIES else Rule(rate)


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


def _range(session: Session, rate: float) -> dict[str, Any]:
    """The slider's ends, and the value between them that is nearest to the one chosen before."""
    lowest = session.lowest_rate
    return {"minimum": lowest, "maximum": HIGHEST_RATE, "value": min(max(rate, lowest), HIGHEST_RATE)}


def _about(session: Session, held: str, rate: float) -> str:
    """What the detector is, in HTML: a preset's title in Markdown could show images from elsewhere."""
    detector, share = session.detector, f"{100 * rate:.3g} %"
    height, width, channels = detector.image_shape
    if held == FALSE_DISCOVERIES:
        told = f"Of the images that are flagged at most {share} are in-distribution, on average."
    else:
        told = f"In-distribution images flagged: at most {promised(session.content, rate) or f'{share} on average'}."
    return (
        f"In-distribution for it: <b>{html.escape(session.title)}</b>. It sees {height} x {width} pixels in "
        f"{'grey' if channels == 1 else 'colour'}; images of other sizes are converted. Score: "
        f"<code>{detector.default_score}</code>, calibrated on {len(session.calibration):,} images. {told}"
    )
