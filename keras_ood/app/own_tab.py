"""The tab that makes a detector of one's own images."""

from collections.abc import Sequence
from typing import Any

from keras_ood.app import own_detector
from keras_ood.app.controls import ONE_AT_A_TIME, Controls, delete_with_uploads, errors_on_the_page, new_file
from keras_ood.app.uploads import MOST_IMAGES
from keras_ood.terminal.progress import begin, listening
from keras_ood.training.few_images import MINIMUM

EXPLANATION = (
    f"Images of one kind, {MINIMUM} to {MOST_IMAGES:,} different ones, of any sizes: what the detector will take for "
    "in-distribution. Drop a folder, many images or a .zip file."
)
NOTHING_YET = "A detector of 200 photos is made in about a minute."

ASPECTS = [("stretched", "stretch"), ("cropped in the middle", "crop"), ("padded", "pad")]

Choice = tuple[str, str]
"""A label of the dropdown, and its value: the folder of a detector."""


def build(controls: Controls) -> None:
    """Lay out the tab in the page that is being built."""
    import gradio as gr

    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            gr.Markdown(EXPLANATION)
            files = gr.File(label="Your images", file_count="multiple", height=180, elem_id="own-images")
            chosen = gr.UploadButton("Choose a folder", file_count="directory", size="sm", elem_id="own-folder")
            title = gr.Textbox(
                label="What they are",
                placeholder=own_detector.UNTITLED,
                max_length=own_detector.LONGEST_TITLE,
                elem_id="own-title",
            )
            aspect = gr.Radio(ASPECTS, value="stretch", label="Images that are not square are", elem_id="own-aspect")
            start = gr.Button("Make a detector", variant="primary", elem_id="own-start")
        with gr.Column(scale=5, min_width=420):
            words = gr.HTML(NOTHING_YET, elem_id="own-words")
            download = gr.File(label="The detector", interactive=False, visible=False, elem_id="own-download")
    made = gr.State([])

    def make(
        paths: Sequence[str] | None,
        given: str,
        rule: str,
        before: list[Choice],
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[str, Any, Any, list[Choice]]:
        def report(stage: str, done: int, total: int | None) -> None:
            progress((done, total) if total else 0.0, desc=stage, unit="images")

        with errors_on_the_page():
            name = own_detector.title_of(given, paths or ())
            folder = new_file(download, own_detector.folder_name(name))
            said = own_detector.make(paths or (), name, rule, controls.decoding, folder, report)
            delete_with_uploads(download, folder.parent)
            with listening(report):
                begin("Opening")
                controls.session(str(folder))
        now = [(f"{name} (yours)", str(folder))]
        now += [(label, value) for label, value in before if label != now[0][0] and own_detector.exists(value)]
        offered = gr.update(choices=[*now, *controls.name.choices], value=str(folder))
        return said, gr.update(value=f"{folder}.zip", visible=True), offered, now

    chosen.upload(lambda paths: paths, chosen, files, api_visibility="private")
    start.click(
        make,
        [files, title, aspect, made],
        [words, download, controls.name, made],
        show_progress_on=words,
        **ONE_AT_A_TIME,
    )
