"""The tab that judges a few images and shows each of them closer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_ood.app.controls import ONE_AT_A_TIME, Controls, errors_on_the_page, new_file, rule
from keras_ood.app.examples import examples
from keras_ood.app.explanation import explain
from keras_ood.app.session import Session
from keras_ood.app.verdicts import HEADERS, judge
from keras_ood.images.decoding import DECODING_ERRORS
from keras_ood.images.formats import suffixes

NOTHING_YET = "Drop images on the left, or click an example."

Paths = Sequence[str] | None


def build(controls: Controls) -> None:
    """Lay out the tab in the page that is being built."""
    import gradio as gr

    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            files = gr.File(label="Images", file_count="multiple", file_types=sorted(suffixes()), height=180, elem_id="files")
            gr.Markdown("Or click an example:")
            offered = gr.Gallery(
                examples(controls.session(controls.name.value)),
                show_label=False,
                columns=4,
                format="png",
                buttons=[],
                interactive=False,
                allow_preview=False,
                elem_id="examples",
            )
        with gr.Column(scale=5, min_width=420):
            summary = gr.HTML(NOTHING_YET, elem_id="summary")
            table = gr.Dataframe(
                headers=list(HEADERS),
                datatype=["number", "str", "str", "str", "html"],
                buttons=[],
                interactive=False,
                visible=False,
                elem_id="verdicts",
            )
            picture = gr.Plot(show_label=False, buttons=[], visible=False, elem_id="picture")
            caption = gr.Markdown(elem_id="caption")

    def verdicts(paths: Paths, name: str, held: str, rate: float) -> tuple[str, Any]:
        if not paths:
            return NOTHING_YET, gr.update(visible=False)
        with errors_on_the_page():
            words, lines = judge(controls.session(name), paths, rule(held, rate))
        return words, gr.update(value=lines, visible=True)

    def closer(paths: Paths, name: str) -> tuple[Any, str]:
        return look(paths or (), name, range(len(paths or ())))

    def chosen(paths: Sequence[str], name: str, event: gr.SelectData) -> tuple[Any, str]:
        return look(paths, name, [int(event.row_value[0]) - 1])

    def look(paths: Sequence[str], name: str, indices: Sequence[int]) -> tuple[Any, str]:
        """Show the first of some images that can be read."""
        with errors_on_the_page():
            for index in indices:
                session = controls.session(name)
                if (image := _read(session, paths[index])) is not None:
                    figure, words = explain(session, image)
                    return gr.update(value=figure, visible=True), f"**Image {index + 1}.** {words}"
        return gr.update(visible=False), ""

    def offer(name: str) -> list[tuple[Any, str]]:
        with errors_on_the_page():
            return examples(controls.session(name))

    def take(name: str, event: gr.SelectData) -> list[str]:
        with errors_on_the_page():
            image, word = examples(controls.session(name))[event.index]
        path = new_file(files, f"{word}.png")
        image.save(path)
        return [str(path)]

    judging = (verdicts, [files, controls.name, controls.held, controls.rate], [summary, table])
    looking = [files, controls.name], [picture, caption]
    for event in (files.change, controls.chosen.success):
        event(*judging, **ONE_AT_A_TIME).success(closer, *looking, **ONE_AT_A_TIME)
    for event in (controls.rate.release, controls.held.input):
        event(*judging, **ONE_AT_A_TIME)
    table.select(chosen, *looking, **ONE_AT_A_TIME)
    controls.chosen.success(offer, controls.name, offered, **ONE_AT_A_TIME)
    offered.select(take, controls.name, files, **ONE_AT_A_TIME)


def _read(session: Session, path: str) -> np.ndarray | None:
    try:
        return next(session.decoding.images(path, left_out=lambda _: None))  # the verdicts count them
    except DECODING_ERRORS:
        return None
