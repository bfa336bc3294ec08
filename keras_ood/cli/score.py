"""The command that scores images, here or on a cluster."""

import re
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_ood.cli.computing import computing, load
from keras_ood.cli.console import BatchSize, Method, Model, err, out, same_command, show
from keras_ood.cli.reading import Background, Frames, FramesOption, Reading, Unreadable, UnreadableOption, ValueRange
from keras_ood.terminal.interrupts import hold_interrupts

if TYPE_CHECKING:
    from keras_ood.calibration.rule import Rule

FLAGGED = 3
"""Exit code of `score --fail-on-ood` when an image was flagged."""


class Engine(str, Enum):
    """What scores."""

    LOCAL = "local"
    RAY = "ray"


def score(
    model: Model,
    images: Annotated[
        list[str],
        typer.Argument(help="Folders and image files, or one .npy/.npz file. For Ray: a folder or URI.", metavar="IMAGES..."),
    ],
    out_file: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", help="A .csv, .jsonl or .parquet file; CSV on standard output if absent. For Ray: a folder or URI."
        ),
    ] = None,
    heat_maps: Annotated[
        Path | None,
        typer.Option(
            help="Folder, absent or empty, for two files of each image that say where it is odd: NAME.png, the image with "
            "colours there, and NAME.tiff, the p-values as 32-bit floats."
        ),
    ] = None,
    method: Method = None,
    fpr: Annotated[float | None, typer.Option(help="False positive rate to hold; 0.05 if neither is given.")] = None,
    fdr: Annotated[
        float | None,
        typer.Option(
            help="False discovery rate to hold instead, over all images together: of those flagged at most this share is "
            "in-distribution."
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            help="Hold the rate for this calibration with this probability, such as 0.95, not on average over calibrations."
        ),
    ] = None,
    storey: Annotated[
        bool, typer.Option("--storey", help="With --fdr: Storey's factor, which flags more where many images are odd.")
    ] = False,
    by_folder: Annotated[
        bool,
        typer.Option("--groups", help="The name of an image's folder is its group, see `calibrate --groups`."),
    ] = False,
    unreadable: UnreadableOption = Unreadable.RAISE,
    frames: FramesOption = Frames.FIRST,
    background: Background = "white",
    value_range: ValueRange = None,
    fail_on_ood: Annotated[bool, typer.Option("--fail-on-ood", help="Exit with 3 if an image is flagged.")] = False,
    batch_size: BatchSize = 256,
    start: Annotated[int, typer.Option(min=0, help="First images to leave out: goes on where a stopped run ended.")] = 0,
    engine: Annotated[
        Engine,
        typer.Option(
            help="local: this process. ray: the Ray cluster of RAY_ADDRESS or this machine; goes on where it stopped."
        ),
    ] = Engine.LOCAL,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print JSON on standard output, and nothing else there: the rows as JSON Lines, one object each; with --out, "
            "one document that sums up.",
        ),
    ] = False,
) -> None:
    """Score images: path, score, p-value and flag of each; with --heat-maps also where each is odd.

    Example: keras-ood score tilted-vae-fashion-mnist-pixels photos/ --out scores.csv --fpr 0.01
    """
    with computing(same_command() if engine is Engine.RAY else ""):
        from keras_ood.calibration.rule import Rule

        rule = Rule(fpr, fdr, confidence, storey)
        options: dict[str, Any] = {"method": method, "batch_size": batch_size}
        local = {"--heat-maps": heat_maps, "--fdr": fdr, "--confidence": confidence, "--groups": by_folder}
        if engine is Engine.LOCAL:
            options |= {"rows": ".jsonl" if as_json else ".csv", "heat_maps": heat_maps, "rule": rule, "by_folder": by_folder}
        elif given := [option for option, value in local.items() if value]:
            raise ValueError(f"{', '.join(local)} take `--engine local`. Received: --engine ray {' '.join(given)}")
        else:
            options["fpr"] = rule.rate
        run = _locally if engine is Engine.LOCAL else _with_ray
        reading = Reading(unreadable, background, frames, value_range)
        flagged, count = run(model, images, out_file, reading, start, **options)
        if out_file:
            held = {"fpr" if fdr is None else "fdr": rule.rate, "confidence": confidence, "out": out_file}
            summary = {"preset": model, "images": count, "flagged": flagged} | held | reading.omitted
            show(summary, as_json, lambda: f"Wrote {out_file}")
    err.print(f"{flagged} of {count} images flagged as out-of-distribution at {rule}{reading.words}.")
    if fail_on_ood and flagged:
        raise typer.Exit(FLAGGED)


def _locally(
    model: str,
    images: list[str],
    out_file: str | None,
    reading: Reading,
    start: int,
    rows: str,
    method: str | None,
    batch_size: int,
    heat_maps: Path | None,
    rule: "Rule",
    by_folder: bool,
) -> tuple[int, int]:
    from keras_ood.calibration import NOMINAL_FPR
    from keras_ood.evaluation.judge import Judge
    from keras_ood.tables import score_table

    table = score_table.Table(Path(out_file) if out_file else None, out.file, rows)
    detector = load(model)
    judge = Judge(detector, method, rule, by_folder)  # refuses a rate out of reach before any image is scored
    files = None
    if heat_maps:
        from keras_ood.evaluation.heat_map_files import HeatMapFiles

        files = HeatMapFiles(detector, heat_maps, images, rule.rate if rule.fdr is None else NOMINAL_FPR)
    source, names = reading.open(images, start)
    scored = (files.iterate if files else detector.iterate_p_values)(source, method, batch_size=batch_size)
    with table:
        try:
            for scores, p_values, *maps in scored:
                with hold_interrupts():
                    lines = list(names.rows(scores, p_values, p_values < 0))
                    if files:
                        files.write([path for path, score, *_ in lines if score is not None], *maps)
                    table.write(judge.judged(lines))
            table.write(judge.judged(list(names.rest())))
            table.write(judge.rest())
        except KeyboardInterrupt:
            table.write(judge.undecided())
            without = "" if rule.fdr is None else ", without flags, which rest on all images together"
            raise KeyboardInterrupt(
                f"{table.rows:,} images are done and their rows written{without}. Go on: the same command with --start "
                f"{start + table.rows}"
                + "".join(
                    f" and another {option}" for option, given in (("--out", out_file), ("--heat-maps", heat_maps)) if given
                )
            ) from None
    return judge.flagged, judge.count


def _with_ray(
    model: str, images: list[str], out_file: str | None, reading: Reading, start: int, **options: Any
) -> tuple[int, int]:
    if len(images) != 1 or out_file is None or start:
        raise ValueError(
            "`--engine ray` takes one folder or URI, and --out; it knows itself where to go on. "
            f"Received: {images}, --out {out_file}, --start {start}"
        )
    try:
        import keras_ood.ray as engine
    except ImportError as error:
        raise RuntimeError(str(error)) from error
    import pyarrow.dataset
    import ray.exceptions

    load(model).threshold(options["fpr"], options["method"])
    try:
        table = engine.score_files(
            images[0], model, out_file, unreadable=reading.unreadable, decoding=reading.decoding, **options
        )
    except ray.exceptions.RayError as error:
        named = re.findall(r"^\w+Error: (.+)$", str(error), re.MULTILINE)  # the worker's own words in Ray's account
        raise RuntimeError(named[0] if named else str(error)) from error
    count = table.count_rows(filter=pyarrow.dataset.field("error") == "")
    reading.skipped = table.count_rows() - count
    return table.count_rows(filter=pyarrow.dataset.field("ood")), count
