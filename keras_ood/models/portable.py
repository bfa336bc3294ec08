"""A model whose calibration travels with its weights."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import keras
import numpy as np

from keras_ood.backend.blueprint import drawing
from keras_ood.backend.forking import require_backend
from keras_ood.backend.settings import own_settings
from keras_ood.calibration.calibrated_scores import CalibratedScores, weights_digest
from keras_ood.export import export as exporting
from keras_ood.hub import serialization

if TYPE_CHECKING:
    from keras_ood.hub.push import Published

Self = TypeVar("Self", bound="Portable")

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


class Portable(keras.Model):  # type: ignore[misc]
    """The part of a detector that is saved, published and copied: weights, configuration, and what it knows of its scores."""

    background: Any = None
    feature_space: Any = None
    feature_spaces: Any = ()
    entrance: Any

    def __init__(self, **kwargs: Any) -> None:
        require_backend()
        super().__init__(**kwargs)
        self._calibrated = CalibratedScores()

    @property
    def calibrated(self) -> CalibratedScores:
        """What the detector knows of its scores, as far as it belongs to the weights as they are; a look at every weight."""
        return self._calibrated.for_weights(self.weights_digest())

    def weights_digest(self) -> bytes:
        """Return a digest of every weight, the background model's and the gate's among them."""
        return weights_digest(weight.numpy() for weight in self.weights)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """As any Keras model; statistics are float32 whatever `keras.config.set_floatx` says."""
        with own_settings():
            return super().__call__(*inputs, **options)

    def save_pretrained(self, folder: str | os.PathLike[str], **provenance: Any) -> None:
        """Write a preset folder that `keras_ood.from_pretrained` and `keras.saving.load_model` read.

        Args:
            folder: Created where absent. A preset that is there is replaced as a whole, its card and results too, or left as
                it was if saving fails; other files stay where they are, and are not of the preset.
            **provenance: What `preset.json` shall say of the detector's origin, JSON values.

        Raises:
            FileExistsError: The path is a file, or the folder holds a file of something else by a preset's name for one.
            PresetError: The detector could not be loaded again.
        """
        serialization.save(self, folder, provenance)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        create_pr: bool = False,
        commit_message: str | None = None,
        token: str | bool | None = None,
        **provenance: Any,
    ) -> "Published":
        """Publish the detector on the Hugging Face Hub, with its calibration and a card; `keras_ood.hub.push.Published`.

        Args:
            repo_id: `"user/repo"`, created where absent.
            private: Whether a new repository is private; None for the account's default.
            create_pr: Whether to open a pull request in place of a commit to the default branch.
            commit_message: None for one that names the version.
            token: None for the one that `hf auth login` has kept.
            **provenance: As in `save_pretrained`; `license` goes to the head of the card.

        Raises:
            OSError: The Hub refused; the message says what was done and how to go on.
        """
        from keras_ood.hub import push, short_card  # here: they import the Hub's client, which nothing else needs

        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, **provenance)
            short_card.write(Path(folder), repo_id, self.citation)
            return push.push(
                Path(folder), repo_id, private=private, create_pr=create_pr, commit_message=commit_message, token=token
            )

    def export(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,
        *,
        method: str | None = None,
        image_shape: tuple[int | None, int | None, int] | None = None,
        precision: str = "float32",
        calibration: Any = None,
    ) -> Path:
        """Write the detector, one score and its calibration as one model for another runtime.

        The model takes `images`, uint8 `(batch, height, width, channels)`, and `fpr`, a float32 number; it returns `score` and
        `p_value`, `(batch,)` float32 each, what `score` and `p_values` return up to rounding, and `flag`, `(batch,)` bool.
        Where maps are calibrated there is also `heat_map`, `(batch, height, width)` of the detector's own `image_shape`. The
        runtime itself is asked for those of some images before anything is written to `path`. (Not the signature of Keras' own
        `export`, on purpose.)

        Args:
            path: A file, or a folder for TensorFlow's SavedModel, in a folder that exists; an earlier export is replaced.
                OpenVINO's weights go beside it, under the same name with the suffix `.bin`.
            format: One of Keras' names `"onnx"`, `"litert"`, `"openvino"`, `"tf_saved_model"`; None to follow the suffix of
                `path`: `.onnx`, `.tflite`, `.xml`, none. On JAX `"tf_saved_model"` alone.
            method: A score that is a function of one pass; None for the default one.
            image_shape: `(height, width, channels)` of the images, resized and converted inside the model where it is not the
                detector's own; `(None, None, channels)` for images of any size; None for the detector's own.
            precision: Arithmetic of the networks, `"float32"`, `"float16"` or `"int8"`. The score's formula and the p-values
                stay in float32. Other than float32 there are no heat maps.
            calibration: Any accepted source of held-out in-distribution images, for float16 and int8, such as those of
                `calibrate`: the ranges of int8 are theirs, and p-values are made of the scores that the export itself gives
                them.

        Returns:
            The path.

        Raises:
            ValueError: A format, score, image shape or precision that cannot be exported; the message lists those that can.
            NotCalibratedError: `calibrate` has not covered the score.
            OSError: There is no such folder, or something else has that name.
            RuntimeError: A package is missing, or the runtime does not give the detector's scores.
        """
        return exporting.export(self, self.calibrated, path, format, method, image_shape, precision, calibration)

    def inference_copy(self: Self, dtype: str | None = None) -> Self:
        """Return a detector of the same weights and calibration, without optimizer.

        Args:
            dtype: Policy of the networks' arithmetic, one of `POLICIES`; None for that of this detector. Statistics and scores
                are float32 all the same; the calibration stays that of the original.

        Raises:
            ValueError: Another policy.
        """
        if dtype is not None and dtype not in POLICIES:
            raise ValueError(f"`dtype` must be None or one of {POLICIES}. Received: {dtype!r}")
        copy = self.remade(dtype)
        if not drawing():
            copy.set_weights(self.get_weights())
        copy._calibrated = self._calibrated
        return copy

    def remade(self: Self, dtype: str | None = None, **changes: Any) -> Self:
        """Return a detector of the same class, arguments and dtype policy with fresh weights, not calibrated.

        Args:
            dtype: Another policy, None for that of this detector and that of its background model, which keeps its weights.
            **changes: Arguments of the constructor that are others.
        """
        config = self.get_config()
        if dtype is None and config.get("background") is not None:
            config["background"] = self.background
        with own_settings(dtype or self.dtype_policy):
            made: Self = type(self).from_config(config | changes)
        if not drawing() and "encoder" not in changes:  # of the images, not of a training
            for new, old in zip(made.feature_spaces, self.feature_spaces, strict=True):
                new.set_weights(old.get_weights())
        return made

    def save_own_variables(self, store: Any) -> None:
        """Keep the calibration scores beside the weights (called by Keras)."""
        super().save_own_variables(store)
        for name, array in self.calibrated.arrays().items():
            store[name] = array

    def load_own_variables(self, store: Any) -> None:
        """Read what `save_own_variables` wrote (called by Keras)."""
        arrays = {name: store[name] for name in list(store.keys())}
        kept = {name: np.asarray(array) for name, array in arrays.items() if CalibratedScores.owns(name)}
        super().load_own_variables({name: array for name, array in arrays.items() if name not in kept})
        self._calibrated = CalibratedScores.from_arrays(kept)
