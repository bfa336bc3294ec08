"""The command that serves the app."""

from typing import Annotated

import typer

from keras_ood.cli.computing import computing
from keras_ood.cli.console import Model
from keras_ood.cli.reading import Background, Frames, Reading, Unreadable, UnreadableOption, ValueRange


def serve(
    model: Model = "tilted-vae-digits",
    images: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder of its in-distribution images, repeatable, to show the nearest of; its test split if absent."
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; GRADIO_SERVER_NAME, or this machine alone, if absent.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; GRADIO_SERVER_PORT, or the first free one from 7860 on, if absent.")
    ] = None,
    share: Annotated[
        bool, typer.Option("--share", help="Publish the page for up to a week through Gradio's server: images pass through it.")
    ] = False,
    unreadable: UnreadableOption = Unreadable.RAISE,
    background: Background = "white",
    value_range: ValueRange = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = False,
) -> None:
    """Serve a page in the browser that judges images dropped on it.

    Example: keras-ood app
    """
    with computing():
        from keras_ood.app import build

        reading = Reading(unreadable, background, Frames.FIRST, value_range)
        page = build(model, images, reading.unreadable, reading.decoding)
        page.launch(server_name=host, server_port=port, share=share, inbrowser=browser)
