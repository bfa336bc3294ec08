"""The command that measures a detector."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from keras_ood.calibration import NOMINAL_FPR
from keras_ood.cli import completion
from keras_ood.cli.computing import computing, load
from keras_ood.cli.console import (
    BatchSize,
    Json,
    Model,
    command,
    in_distribution,
    locate,
    prepare,
    show,
    table,
)
from keras_ood.cli.reading import Background, Frames, FramesOption, Reading, Unreadable, UnreadableOption, ValueRange
from keras_ood.tables.records import CONVENTION, write_records

LOCALISATION = (
    "Each kind of defect against the clean test images. PRO: overlap by region, up to a false positive rate of 0.3. Flagged: "
    f"the share of images with a p-value of at most {NOMINAL_FPR:g} anywhere; of the clean ones they are false alarms."
)


def evaluate(
    model: Model,
    ood: Annotated[
        list[str] | None,
        typer.Option(
            help="OOD set, repeatable: data set, synthetic set, folder or array file.",
            autocompletion=completion.data_sets,
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            help="In place of --ood: folder of one category as MVTec AD or VisA has it; measures how well the detector finds "
            "the defects that the masks show."
        ),
    ] = None,
    inside: Annotated[
        list[str] | None,
        typer.Option(
            "--in",
            help="In-distribution images, repeatable for folders and files; the preset's test split if absent.",
            autocompletion=completion.data_sets,
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="Score, repeatable; all if absent.", autocompletion=completion.methods),
    ] = None,
    out_file: Annotated[Path | None, typer.Option("--out", "-o", help="Write the rows as CSV.")] = None,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for ROC curves and score histograms, with --masks for heat maps.")
    ] = None,
    batch_size: BatchSize = 256,
    unreadable: UnreadableOption = Unreadable.RAISE,
    frames: FramesOption = Frames.FIRST,
    background: Background = "white",
    value_range: ValueRange = None,
    as_json: Json = False,
) -> None:
    """Measure a detector: AUROC, AUPR-in, AUPR-out, FPR95 per image, OOD positive; with --masks how well it finds defects.

    Example: keras-ood evaluate tilted-vae-fashion-mnist-pixels --ood mnist --ood noise
    """
    if (masks is None) == (not ood):
        raise typer.BadParameter("an evaluation takes --ood, or --masks in its place")
    with computing():
        reading = Reading(unreadable, background, frames, value_range)
        prepare(out_file, *([plots] if plots else []))
        if masks is not None:
            of_sets = {"--in": inside, "--method": methods, "--unreadable skip": reading.unreadable == "skip"}
            of_sets["--frames all"] = reading.decoding.frames == "all"
            if refused := [option for option, given in of_sets.items() if given]:
                raise ValueError(f"`--masks` takes every test image as it is, by its map. Received: {', '.join(refused)}")
            _show_masks(model, masks, reading, batch_size, out_file, plots, as_json)
            return
        from keras_ood import evaluation
        from keras_ood.evaluation import pictures

        folder = locate(model)
        detector = load(folder)
        inside = inside or [in_distribution(folder)]
        title = ", ".join(inside)
        held_out = reading.open_set(inside[0]) if len(inside) == 1 else reading.open(inside)[0]
        outside = {name: reading.open_set(name) for name in ood or ()}
        report = evaluation.evaluate(detector, held_out, outside, methods, batch_size=batch_size)
        if out_file:
            report.to_csv(out_file)
        if plots:
            pictures.save_report(detector, report, methods[0] if methods else None, plots)

        def tabulate() -> Group:
            heading = escape(f"{model}, in: {title}")
            table = Table("OOD set", "score", "images", "AUROC", "AUPR-in", "AUPR-out", "FPR95", title=heading)
            for row in report.rows:
                cells = [f"{getattr(row, name).value:.4f}" for name in ("aupr_in", "aupr_out", "fpr95")]
                auroc = f"{row.auroc.value:.4f} \\[{row.auroc.low:.4f}, {row.auroc.high:.4f}]"
                table.add_row(row.out_of_distribution, row.method, f"{row.in_images} + {row.out_images}", auroc, *cells)
            return Group(table, Text(f"{CONVENTION}{reading.words}", style="dim"))

        value = {"preset": model, "in_distribution": title, "rows": report.records()} | reading.omitted
        show(value, as_json, tabulate, command("score", model, "IMAGES"))


def _show_masks(
    model: str, masks: Path, reading: Reading, batch_size: int, out_file: Path | None, plots: Path | None, as_json: bool
) -> None:
    from keras_ood import datasets, evaluation
    from keras_ood.evaluation import pictures
    from keras_ood.models.localising import BATCH

    masked = datasets.masked_images(masks)
    detector = load(model)
    if plots:  # first: refuses a detector whose maps are not calibrated
        pictures.save_overlays(detector, masked, plots, reading.decoding)
    rows = evaluation.evaluate_masks(detector, masked, decoding=reading.decoding, batch_size=min(batch_size, BATCH))
    records = [{name: round(item, 5) if isinstance(item, float) else item for name, item in vars(row).items()} for row in rows]
    if out_file:
        write_records(out_file, records)

    def tabulate() -> Group:
        lines = [Text(LOCALISATION, style="dim")]
        if rows[0].flagged is None:
            uncalibrated = (
                "The detector's maps are not calibrated: nothing can be said of flags, see `keras-ood calibrate --maps`."
            )
            lines.append(Text(uncalibrated, style="dim"))
        return Group(table(records, f"{model}, masks: {masks}"), *lines)

    show({"preset": model, "masks": str(masks), "rows": records}, as_json, tabulate)
