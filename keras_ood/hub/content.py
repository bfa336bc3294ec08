"""What `preset.json` says, as types."""

from typing import Any, TypedDict

from keras_ood.calibration import NOMINAL_FPR


class File(TypedDict):
    """A file of a preset folder.

    Attributes:
        size: Number of bytes.
        sha256: Digest, in hex.
    """

    size: int
    sha256: str


class InDistribution(TypedDict, total=False):
    """The images that a detector takes for in-distribution.

    Attributes:
        name: Name in `keras_ood.datasets.DATASETS`; none for images of one's own.
        title: Name for people.
        source: Authors and year.
        licence: Terms of the images.
        training_images: Number of images that were trained on.
        validation_images: Number that said when to stop (fine-tuning).
        calibration_images: Number that gave the p-values.
        gate_images: Number that the gate keeps to itself.
        test_images: Number that the card's figures were measured on.
        duplicates: Number left out because the set held them before (fine-tuning).
    """

    name: str
    title: str
    source: str
    licence: str
    training_images: int
    validation_images: int
    calibration_images: int
    gate_images: int
    test_images: int
    duplicates: int


class Encoder(TypedDict):
    """The frozen encoder that a detector looks through; its weights are not in the preset.

    Attributes:
        title: Its name for people.
        trained_on: What its weights were trained on.
        network: Its name in `keras_ood.encoders`.
        image_shape: To what images are resized for it.
        stages: Its stages that are looked at.
        digest: SHA-256 of its weights, in hex.
    """

    title: str
    trained_on: str
    network: str
    image_shape: list[int]
    stages: list[int]
    digest: str


class EncoderBeside(Encoder, total=False):
    """An encoder that a recipe has measured beside the preset's own.

    Attributes:
        training: What its training noted, where the recipe trains it: epochs, images, seconds, machine.
    """

    training: dict[str, Any]


class FalseAlarms(TypedDict, total=False):
    """In-distribution test images flagged by the default score.

    Attributes:
        nominal: Share that was promised.
        measured: Share that was flagged.
        images: Number of test images.
        by_chance: Ends of the 95 % interval of the share, over calibrations and test images (fine-tuning).
    """

    nominal: float
    measured: float
    images: int
    by_chance: list[float]


class Described(TypedDict):
    """What `preset.json` says in any case: what the detector itself knows.

    Attributes:
        format: Version of this form.
        code_version: Version of keras_ood that wrote it.
        family: Name of the detector's class.
        input_shape: `[height, width, channels]`.
        parameters: Number of trainable ones.
        default_score: Score that methods use when none is named.
        calibration_size: Number of calibration images by score.
        golden_scores: Scores of eight fixed images, checked after loading.
    """

    format: int
    code_version: str
    family: str
    input_shape: list[int]
    parameters: int
    default_score: str
    calibration_size: dict[str, int]
    golden_scores: list[float]


class Content(Described, total=False):
    """The content of `preset.json`: what the detector itself knows, then what training adds; keys of one's own beside them.

    Attributes:
        map_calibration: Number of held-out images behind heat maps; missing where maps are not calibrated.
        aspect: What becomes of images whose sides have another ratio; stretched where absent.
        files: Every other file of the folder, by name.
        name: Name of the preset.
        license: Identifier for the head of the card.
        in_distribution: The images it was trained on.
        recipe_sha256: Digest of all that decides the weights.
        model: The constructor's arguments.
        encoder: The frozen encoder; none of a detector of pixels.
        encoders_beside: Other encoders that were measured beside it, by the titles of their rows.
        seeds: Seeds of the trainings that the card compares.
        training: What the training noted: epochs, seconds, machine, ...
        statistics: Mean of each statistic over the test images.
        false_positive_rate: False alarms at the nominal rate.
        auroc: AUROC of the default score by out-of-distribution set.
        background: The background model's recipe and training.
        attention: The gate's recipe, None for a plain flow.
        bits_per_dimension: Mean over test images, of a flow.
        gate: False alarms of the gate.
        sample_quality: What the study of that name measured.
        set_level: What the study of that name measured.
        adversarial: What the study of that name measured.
        localisation: What the study of that name measured.
        spectrum: What the study of that name measured.
        finetuned_from: Source of a fine-tuned detector.
        transfer: How its weights were taken over, in words.
        settings: How it was fine-tuned.
        test_nll: Mean nll of the test images, fine-tuned, source and untrained.
        choice: What was chosen by cross-validation for few images: memory, folds, mean held-out log-density by memory.
        calibrated_from: Source of a detector that was only calibrated again.
    """

    map_calibration: int
    aspect: str
    files: dict[str, File]
    name: str
    license: str
    in_distribution: InDistribution
    recipe_sha256: str
    model: dict[str, Any]
    encoder: Encoder
    encoders_beside: dict[str, EncoderBeside]
    seeds: list[int]
    training: dict[str, Any]
    statistics: dict[str, float]
    false_positive_rate: FalseAlarms
    auroc: dict[str, float]
    background: dict[str, Any]
    attention: dict[str, Any] | None
    bits_per_dimension: float
    gate: dict[str, Any]
    sample_quality: dict[str, Any]
    set_level: dict[str, Any]
    adversarial: dict[str, Any]
    localisation: dict[str, Any]
    spectrum: dict[str, Any]
    finetuned_from: str
    transfer: str
    settings: dict[str, Any]
    test_nll: dict[str, float]
    choice: dict[str, Any]
    calibrated_from: str


def promised(content: Content, fpr: float = NOMINAL_FPR) -> str | None:
    """Return what the default score's calibration promises at a false positive rate, in words; None where nothing is known.

    A cross-fitted detector ranks with several fits at once, and its rate has no exact law.
    """
    from keras_ood.calibration.guarantees import promise  # here: a shell that completes a preset's name waits for no NumPy

    size = content["calibration_size"].get(content["default_score"])
    return None if size is None or content["family"] == "FeatureMixture" else promise(size, fpr)


def looks_at(encoder: Encoder | None) -> str:
    """Return what a detector looks at, as tables say it: pixels, or an encoder and what that was trained on."""
    return "pixels" if encoder is None else f"{encoder['title']}, trained on {encoder['trained_on']}"
