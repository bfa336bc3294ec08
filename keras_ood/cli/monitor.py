"""The command that watches a stream of images."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from keras_ood.calibration import NOMINAL_FPR
from keras_ood.cli.computing import computing
from keras_ood.cli.console import BatchSize, Method, Model, err, out, prepare, show
from keras_ood.cli.reading import Background, Frames, FramesOption, Reading, Unreadable, UnreadableOption, ValueRange
from keras_ood.cli.score import FLAGGED
from keras_ood.cli.streams import check_stream, open_stream


def monitor(
    model: Model,
    source: Annotated[
        str,
        typer.Argument(
            help="A folder of images; a .csv or .jsonl file with scores, as `score` writes them; or - for lines on standard "
            "input, each a score, an object with one, or the path of an image."
        ),
    ],
    out_file: Annotated[
        Path | None, typer.Option("--out", "-o", help="A .jsonl file, with --state appended to; standard output if absent.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder of the state: the same command goes on from there, killed or stopped.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Probability of ever a false alarm; with --window of each window's.")] = 0.01,
    method: Method = None,
    fpr: Annotated[float, typer.Option(help="False positive rate of the flag of each image.")] = NOMINAL_FPR,
    every: Annotated[
        int, typer.Option(min=1, help="Bet on one image in so many, of frames that depend on each other; all are scored.")
    ] = 1,
    window: Annotated[
        int | None, typer.Option(min=2, help="In place of the martingale: test windows of so many images, each as a set.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for further files of the folder, until Ctrl-C.")] = False,
    plot: Annotated[Path | None, typer.Option(help="A .png file: the evidence and the scores of this run's images.")] = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Serve numbers for Prometheus there; 0 for a free port.")
    ] = None,
    metrics_host: Annotated[
        str, typer.Option(help="Address to serve them on; 0.0.0.0 for scrapes from other machines.")
    ] = "127.0.0.1",
    fail_on_alarm: Annotated[bool, typer.Option("--fail-on-alarm", help="Exit with 3 if the alarm was raised.")] = False,
    unreadable: UnreadableOption = Unreadable.RAISE,
    frames: FramesOption = Frames.FIRST,
    background: Background = "white",
    value_range: ValueRange = None,
    batch_size: BatchSize = 256,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON on standard output, and nothing else there; with --out, one document."),
    ] = False,
) -> None:
    """Watch a stream of images for a change: one line of JSON for each image, an alarm that may be trusted at any time.

    Example: keras-ood monitor tilted-vae-fashion-mnist-pixels camera/ --follow --state watched/ --out watched.jsonl
    """
    with computing():
        from keras_ood.cli.watching import MartingaleWatch, WindowWatch

        of_martingale = {"--state": state, "--metrics-port": metrics_port, "--plot": plot, "--method": method}
        refused = [name for name, value in of_martingale.items() if value is not None] + ["--every"] * (every > 1)
        if window and refused:
            raise ValueError(f"`--window` takes no option of the martingale. Received: --window with {', '.join(refused)}")
        check_stream(source, follow)
        for file in (out_file, plot):
            prepare(file)
        reading = Reading(unreadable, background, frames, value_range)
        watching: Any
        if window:
            watching = WindowWatch(model, reading, window, alpha)
        else:
            settings = {"alpha": alpha, "method": method, "every": every, "fpr": fpr, "state": state}
            watching = MartingaleWatch(model, reading, batch_size, plot, **settings)
        batches = open_stream(source, batch_size, follow, watching.position(source))
        served = nullcontext() if metrics_port is None else watching.serve(metrics_port, metrics_host)
        stream: AbstractContextManager[IO[str]] = nullcontext(out.file)
        if out_file:
            stream = out_file.open("a" if state else "w", encoding="utf-8")
        with served, stream as lines:
            try:
                for batch in batches:
                    watching.watch(batch, source, lines)
            except KeyboardInterrupt:
                kept = " Go on: the same command." if state else ""
                raise KeyboardInterrupt(f"{watching.words}{reading.words}.{kept}") from None
            finally:
                watching.finish()
        if out_file:
            value = {"preset": model} | watching.summary | {"out": str(out_file)} | reading.omitted
            show(value, as_json, lambda: f"Wrote {out_file}")
    err.print(f"{watching.words}{reading.words}.", highlight=False, markup=False)
    if fail_on_alarm and watching.alarmed:
        raise typer.Exit(FLAGGED)
