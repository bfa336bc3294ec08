"""The commands that make a detector: from a recipe, or from one that is already trained."""

from pathlib import Path
from typing import Annotated, Any

import typer

from keras_ood.calibration import NOMINAL_FPR
from keras_ood.cli import completion
from keras_ood.cli.computing import computing, load
from keras_ood.cli.console import BatchSize, Json, Model, command, same_command, show
from keras_ood.cli.reading import Background, Frames, FramesOption, Reading, Unreadable, UnreadableOption, ValueRange


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe.toml; the preset is written beside it.")],
    runs: Annotated[Path, typer.Option(help="Where checkpoints and finished seeds are kept.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Train, calibrate, measure and write a preset; a killed training goes on where it was.

    Example: keras-ood train zoo/tilted-vae-digits/recipe.toml
    """
    with computing(same_command()):
        from keras_ood.training import from_recipe

        folder = from_recipe.train(recipe, runs)
        show({"folder": str(folder)}, as_json, lambda: f"Wrote {folder}", command("info", folder))


def calibrate(
    model: Model,
    images: Annotated[list[str], typer.Argument(help="Held-out in-distribution images, as for `score`.", metavar="IMAGES...")],
    out_folder: Annotated[Path, typer.Option("--out", "-o", help="The new preset folder.")],
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="Score, repeatable; all cheap ones if absent.", autocompletion=completion.methods),
    ] = None,
    maps: Annotated[
        bool, typer.Option("--maps", help="Heat maps too, for which images are read once more; 40 or more.")
    ] = False,
    by_folder: Annotated[
        bool,
        typer.Option(
            "--groups",
            help="The name of an image's folder (class, camera, day) is its group: each, of 20 or more images (40 for fitted "
            "scores), is calibrated for itself, too.",
        ),
    ] = False,
    batch_size: BatchSize = 256,
    unreadable: UnreadableOption = Unreadable.RAISE,
    frames: FramesOption = Frames.FIRST,
    background: Background = "white",
    value_range: ValueRange = None,
    as_json: Json = False,
) -> None:
    """Calibrate a detector on your own in-distribution images and save it as a preset folder.

    Example: keras-ood calibrate tilted-vae-digits my_images/ --out my-detector
    """
    with computing():
        from keras_ood.calibration.guarantees import promise
        from keras_ood.images.groups import BY_FOLDER

        reading = Reading(unreadable, background, frames, value_range)
        detector = load(model)
        source, _ = reading.open(images)
        count = detector.calibrate(source, methods, BY_FOLDER if by_folder else None, batch_size=batch_size)
        if maps:
            from keras_ood.models.localising import BATCH

            detector.calibrate_maps(source, min(batch_size, BATCH))
        detector.save_pretrained(out_folder, calibrated_from=model)
        shown = methods[0] if methods else detector.default_score
        calibrated: dict[str, Any] = {"scores": detector.calibrated_scores(), "maps": detector.calibrated.has_maps}
        if by_folder:
            calibrated["groups"] = detector.mondrian(shown).groups
        value = {"folder": str(out_folder), "images": count} | calibrated | reading.omitted
        promised = promise(len(detector.calibration(shown)), NOMINAL_FPR)
        written = f"Calibrated on {count} images; wrote {out_folder}{reading.words}\nFalse alarms of {shown}: {promised}."
        show(value, as_json, lambda: written, command("score", out_folder, "IMAGES"))
