"""The tab that scores a .zip file of images."""

from pathlib import Path
from typing import Any

from keras_ood.app.archive import MOST_BYTES, MOST_MEMBERS
from keras_ood.app.batch import score_archive
from keras_ood.app.controls import ONE_AT_A_TIME, Controls, errors_on_the_page, new_file, rule
from keras_ood.app.session import MOST_PIXELS

EXPLANATION = (
    f"A .zip file of images, in any folders: at most {MOST_MEMBERS:,} files, {MOST_BYTES / 2**30:g} GiB unpacked, "
    f"{MOST_PIXELS / 1e6:g} megapixels an image. You get a CSV file with path, score, p-value and verdict (`ood`) of each."
)


def build(controls: Controls) -> None:
    """Lay out the tab in the page that is being built."""
    import gradio as gr

    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            gr.Markdown(EXPLANATION)
            archive = gr.File(label="A .zip file", file_types=[".zip"], height=180, elem_id="archive")
            start = gr.Button("Score the images", variant="primary", elem_id="start")
        with gr.Column(scale=5, min_width=420):
            summary = gr.Markdown("Drop a .zip file on the left.", elem_id="batch-summary")
            table = gr.File(label="Scores", interactive=False, visible=False, elem_id="scores")
            histogram = gr.Plot(show_label=False, buttons=[], visible=False, elem_id="histogram")

    def score(
        path: str | None,
        name: str,
        held: str,
        rate: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[str, Any, Any]:
        with errors_on_the_page():
            if path is None:
                raise ValueError("Expected a .zip file of images. Received: none")
            session = controls.session(name)
            written = new_file(table, f"{Path(path).stem}-scores.csv")
            words, figure = score_archive(
                session, Path(path), rule(held, rate), written, lambda done, count: progress((done, count), unit="images")
            )
        return words, gr.update(value=str(written), visible=True), gr.update(value=figure, visible=figure is not None)

    start.click(score, [archive, controls.name, controls.held, controls.rate], [summary, table, histogram], **ONE_AT_A_TIME)
