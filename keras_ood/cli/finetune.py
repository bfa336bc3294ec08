"""The command that fine-tunes a detector on somebody's own images."""

import re
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group

from keras_ood.cli import completion
from keras_ood.cli.computing import computing
from keras_ood.cli.console import Json, command, locate, same_command, show, table
from keras_ood.cli.reading import Background, Frames, FramesOption, Reading, Unreadable, UnreadableOption, ValueRange
from keras_ood.hub import preset


class Aspect(str, Enum):
    """Rules for images of another ratio of the sides."""

    STRETCH = "stretch"
    CROP = "crop"
    PAD = "pad"


class Family(str, Enum):
    """What can be made over an encoder."""

    MIXTURE = "FeatureMixture"
    TILTED_VAE = "TiltedVAE"
    INFLOW = "InFlow"


def finetune(
    data: Annotated[
        list[str],
        typer.Option("--data", help="In-distribution images: folders and image files, repeatable, or one array file."),
    ],
    out_folder: Annotated[Path, typer.Option("--out", "-o", help="The new preset folder.")],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="Where to start: an encoder, or a detector: zoo name, preset folder or user/repo on the Hub.",
            autocompletion=completion.models,
        ),
    ] = "efficientnet-lite0",
    family: Annotated[
        Family | None,
        typer.Option(help="Over an encoder; if absent, what suits the number of images."),
    ] = None,
    ood: Annotated[
        list[str] | None,
        typer.Option(help="Images to tell from yours, repeatable: folder, array file or data set. Measured, not trained on."),
    ] = None,
    title: Annotated[str, typer.Option(help="What the images are, for the card.")] = "images of one's own",
    licence: Annotated[str, typer.Option(help="Of the images, for the card.")] = "not stated",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images, at most.")] = 30,
    patience: Annotated[int, typer.Option(min=1, help="Epochs without a better validation loss before it stops.")] = 5,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", min=1, help="Images per step.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="Of Adam at the start.")] = 1e-3,
    freeze_encoder: Annotated[bool, typer.Option("--freeze-encoder", help="Keep the encoder's weights (VAEs).")] = False,
    size: Annotated[str | None, typer.Option(help="Height x width that the new detector sees, such as 64x64.")] = None,
    channels: Annotated[int | None, typer.Option(help="1 for grey, 3 for RGB.")] = None,
    aspect: Annotated[
        Aspect | None,
        typer.Option(help="Images of other ratios are stretched, cropped in the middle or padded; if absent, as the start's."),
    ] = None,
    together: Annotated[
        bool,
        typer.Option(
            "--keep-folders-together",
            help="A folder is one photograph, video or day: none trains what others of it calibrate or measure.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the split, the shuffling and the noise.")] = 0,
    unreadable: UnreadableOption = Unreadable.RAISE,
    frames: FramesOption = Frames.FIRST,
    background: Background = "white",
    value_range: ValueRange = None,
    as_json: Json = False,
) -> None:
    """Make a detector for your own in-distribution images: fitted, calibrated, measured and saved with a card.

    Takes 30 images or more, of any sizes; from a detector 100. Killed or stopped with Ctrl-C, the same command goes on.

    Example: keras-ood finetune --data my_photos/ --out my-detector
    """
    with computing(same_command()):
        from keras_ood.callbacks.progress import TrainingProgress
        from keras_ood.images.groups import BY_FOLDER
        from keras_ood.training import finetune
        from keras_ood.training.settings import Settings
        from keras_ood.training.start import as_encoder

        settings = Settings(epochs, patience, batch_size, learning_rate, freeze_encoder, seed)
        encoder = as_encoder(source)
        shape = preset.read(locate(source))["input_shape"] if encoder is None else encoder.image_shape
        reading = Reading(unreadable, background, frames, value_range)
        images, _ = reading.open(data)
        height, width = _parse(size) or shape[:2]
        finetune.finetune(
            source,
            images,
            out_folder,
            family=None if family is None else family.value,
            settings=settings,
            image_shape=(height, width, shape[2] if channels is None else channels),
            aspect=None if aspect is None else aspect.value,
            groups=BY_FOLDER if together else None,
            title=title,
            licence=licence,
            out_of_distribution={name: reading.open_set(given) for name, given in _names_of(ood or []).items()},
            callbacks=[TrainingProgress(out_folder.name)],
            verbose=0,
        )
        content = preset.read(out_folder)
        value: dict[str, Any] = {"folder": str(out_folder)} | {
            key: content[key]
            for key in ("family", "default_score", "transfer", "in_distribution", "false_positive_rate", "auroc")
        }
        value |= {key: content[key] for key in ("choice", "training") if key in content}
        value.update(reading.omitted)
        show(
            value,
            as_json,
            lambda: _render(value, reading.words),
            f"{command('score', out_folder, 'IMAGES')}; its card is {out_folder}/README.md",
        )


def _names_of(ood: list[str]) -> dict[str, str]:
    """The sets by the names that results give them: a path's last part, or what was given."""
    names = [Path(given).resolve().name if Path(given).exists() else given for given in ood]
    if len(set(names)) < len(set(ood)):
        raise ValueError(f"--ood takes sets of different names. Received: {ood}")
    return dict(zip(names, ood, strict=True))


def _render(value: dict[str, Any], omitted: str) -> Group:
    alarms, inside = value["false_positive_rate"], value["in_distribution"]
    rows = [{"OOD set": name, f"AUROC, {value['default_score']}": auroc} for name, auroc in value["auroc"].items()]
    return Group(
        table(rows, f"{value['folder']}, a {value['family']}: {value['transfer']}"),
        f"{alarms['measured']:.1%} of {alarms['images']} images kept apart flagged, {alarms['nominal']:.0%} promised.",
        f"Wrote {value['folder']}: fitted to {inside['training_images']} images, calibrated on {inside['calibration_images']}"
        f"{omitted}",
    )


def _parse(size: str | None) -> tuple[int, int] | None:
    if size is None:
        return None
    if not (match := re.fullmatch(r"(\d+)(?:x(\d+))?", size)):
        raise ValueError(f"`--size` is a height and a width, such as 64x48, or one number for both. Received: {size!r}")
    height = int(match[1])
    return height, int(match[2] or height)
