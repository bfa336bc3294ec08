"""The page: a detector is chosen at the top and used in the tabs below, one of which makes another."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_ood.images import Decoding

if TYPE_CHECKING:
    import gradio as gr

DEFAULT_MODEL = "tilted-vae-digits"
LARGEST_UPLOAD = "1gb"
HOUR = 3600
"""Seconds after which uploaded files are deleted."""

INTRODUCTION = """# Which of these images are out-of-distribution?
A detector has learned what one kind of images looks like, from such images alone. It says how unlike them others are."""

MEANING = """- **Score**: how unlike the images it knows the detector finds this one. Higher is more, on a scale of its own.
- **p-value**: the share of held-out in-distribution images, this one counted in, that score at least as high. Small is odd.
- **Verdict**: out-of-distribution where the p-value is at most the false positive rate; where the rate of false discoveries is
  held, the oddest of the images that are judged together, as many of them as hold it.
- **Promised**: of new images of the kind that the detector was calibrated on, at most the chosen share is flagged, on average.
- **Not promised**: how many out-of-distribution images are found. "In-distribution" means: not odd enough to be flagged."""


def build(
    model: str = DEFAULT_MODEL,
    images: str | Sequence[str] | None = None,
    unreadable: str = "raise",
    decoding: Decoding | None = None,
) -> "gr.Blocks":
    """Return the page; `build().launch()` serves it on this machine, or as a Hugging Face Space.

    Args:
        model: The detector chosen first, a handle as for `keras_ood.from_pretrained`; beside it the zoo's presets at hand.
        images: A folder of its in-distribution images, or several, to show the nearest of; None for its test split, if that is
            at hand.
        unreadable: What a broken file among them does: `"raise"` or `"skip"`, see `keras_ood.images.ImageFiles`.
        decoding: How files become images, those of `images` and those that are dropped on the page.

    Raises:
        RuntimeError: Gradio is not installed.
        ValueError: An image of `images` cannot be read.
    """
    try:
        import gradio as gr
    except ImportError as error:
        raise RuntimeError("The app needs Gradio: pip install 'keras-ood[app]'") from error
    from keras_ood.app import batch_tab, controls, images_tab, own_tab

    page = gr.Blocks(title="keras_ood", analytics_enabled=False, delete_cache=(HOUR, HOUR))
    with page:
        gr.Markdown(INTRODUCTION)
        shared = controls.build(model, images, unreadable, Decoding() if decoding is None else decoding)
        with gr.Accordion("What the numbers mean", open=False):
            gr.Markdown(MEANING)
        with gr.Tab("Images"):
            images_tab.build(shared)
        with gr.Tab("Batch"):
            batch_tab.build(shared)
        with gr.Tab("Your own detector"):
            own_tab.build(shared)
    hue: dict[str, Any] = {"primary_hue": "sky", "secondary_hue": "sky", "neutral_hue": "slate"}
    page.launch = functools.partial(  # type: ignore[method-assign]  # Gradio 6 is told the look when the page is launched
        page.launch,
        theme=gr.themes.Default(**hue, font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css_paths=Path(__file__).with_name("style.css"),
        js=Path(__file__).with_name("folder_drop.js").read_text(),
        footer_links=[],
        max_file_size=LARGEST_UPLOAD,
    )
    return page
