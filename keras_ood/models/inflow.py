"""InFlow: a normalizing flow with an attention that senses unfamiliar images."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood.attention import PerImageGate
from keras_ood.backend.compiled import forward
from keras_ood.backend.settings import under_own_settings
from keras_ood.encoders import MapSpace, encode
from keras_ood.images.statistics import image_statistics
from keras_ood.models.feature_flow import FeatureFlow, as_map_space
from keras_ood.networks.flow import FEATURE_FLOWS, FLOWS

LEVELS = 256  # grey levels of an image
_INITIALIZE_WITH = 512  # images of the data-dependent start


_CITATION = """Kumar, Hanfeld, Hecht, Bussmann, Gumhold, Hoffmann: "InFlow: Robust outlier detection utilizing \
Normalizing Flows",
arXiv 2106.12894; the steps of the flow after Kingma, Dhariwal: "Glow", NeurIPS 2018. The attention for each image is \
ours. These
are weights of our own code and recipe; no figure of the paper is claimed as reproduced.

```bibtex
@article{kumar2021inflow,
  title = {InFlow: Robust outlier detection utilizing Normalizing Flows},
  author = {Kumar, Nishant and Hanfeld, Pia and Hecht, Michael and Bussmann, Michael and Gumhold, Stefan and Hoffmann, \
Nico},
  journal = {arXiv:2106.12894},
  year = {2021},
}
```"""


@keras.saving.register_keras_serializable(package="keras_ood")
class InFlow(FeatureFlow):
    """Normalizing flow whose couplings are switched by an attention `c(x)` in 0..1, one for each image.

    With `x` an image of `D` numbers in 0..1, `u` uniform noise in 0..1 and `f_c` the flow at attention `c`:

        dequantisation      y = (255 x + u) / 256
        latent              z = f_c(y),   f_1 the trained flow, f_0 the identity up to a permutation
        nll                 = |z|^2 / 2 + D log(2 pi) / 2 - log |det df_c/dy|       = -log p(y) at a fixed c
        bits per dimension  = (nll + D log 256) / (D log 2)

    Scoring takes `u = 1/2` and is deterministic, or averages `samples` draws of `u`, whose mean nll + D log 256 is a bound on
    the negative log-probability of the 8-bit image. Training draws `u`, minimises the mean nll, and takes `c = 1` throughout:
    at `c = 0` no weight touches the image. There the score is a function of the brightness |y|^2 alone, above that of any
    image that the flow compresses, so a gate that closes decides the verdict and the flow ranks what passes it. With a gate c
    depends on the image, and the nll is a score, no longer a density.

    Over an encoder `y` is the image's whitened features, which are not dequantised, and the gate looks at the encoder's stages
    that the flow does not see (`keras_ood.encoders.FeatureSpace`'s `stages`), at all where there are no others.

    Over feature maps `y` is the map of whitened features at every position `p`, couplings see 3x3 positions, and the base is no
    single normal distribution but one about each of the memory's centres, `q` (`keras_ood.encoders.MapSpace`). The flow starts
    as the identity, and a gate that closes leaves q:

        nll at a position   nll_p = -log q(z_p) - log |det df_c/dy|_p,  summing up to the nll
        peak                max_p (nll_p - a_p) / b_p, the image's score

    where `log |det df_c/dy|_p` is what the couplings' scales at `p` add to the log-determinant, and `a_p`, `b_p` are mean and
    deviation of nll_p over the images of the training (`settle`): at the border of an image more is odd than in its
    middle. The gate gives one `c` to an image, of features averaged over the positions, or, with `gate_positions`, one to each
    position.

    Statistics, `(batch,)` float32: `nll`, `log_det` (nats), `bits_per_dimension`, `latent_norm` (|z|), `attention` (c); with a
    gate also `mahalanobis` (the distance of the image's features, see `keras_ood.attention.PerImageGate`); and those of
    `keras_ood.images.statistics`. Over an encoder those of images and `bits_per_dimension` are not there, those of
    `keras_ood.encoders.FeatureSpace.statistics` are, and the gate's distance is `gate_mahalanobis`. Over feature maps also
    `peak`; with `gate_positions` `attention` is the mean over the positions, the gate's distance the largest and its p-value
    the smallest of any.

    Args:
        image_shape: `(height, width, channels)`.
        architecture: `"multiscale"`, the default, or `"paper"`, see `keras_ood.networks.flow`; over an encoder `"dense"`, the
            default, or `"feature_maps"`, for which `encoder` is a `keras_ood.encoders.MapSpace` or what that takes.
        depth: Steps at each scale (blocks of `"paper"`); None for the architecture's own number.
        attention: What yields c: a `keras_ood.attention.PerImageGate`; a number in 0..1 for all images; None for c = 1, the
            plain flow, the baseline.
        gate_positions: Whether a gate over feature maps yields a c for each position.
        default_score: The score that methods use when none is named; None for `"peak"` over feature maps, else `"nll"`.
        **kwargs: `background` and `encoder`, see `Detector`, and what `keras.Model` takes.

    Raises:
        ValueError: A setting outside what is named above.

    Source: Kumar et al., "InFlow: Robust outlier detection utilizing Normalizing Flows", arXiv 2106.12894. Differences: the
    attention is per image, multiplies the log-determinant too, and meets in-distribution images as it meets others.
    """

    citation = _CITATION
    reported = ("nll", "bits_per_dimension", "log_det", "latent_norm")
    of_pixels = ("bits_per_dimension",)

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        architecture: str | None = None,
        depth: int | None = None,
        attention: Any = None,
        gate_positions: bool = False,
        default_score: str | None = None,
        **kwargs: Any,
    ) -> None:
        if (of_maps := architecture == "feature_maps") and kwargs.get("encoder") is not None:
            kwargs["encoder"] = as_map_space(kwargs["encoder"])
        super().__init__(image_shape, default_score or ("peak" if of_maps else "nll"), **kwargs)
        flows: dict[str, Any] = FLOWS if self.feature_space is None else FEATURE_FLOWS
        architecture = architecture or ("multiscale" if self.feature_space is None else "dense")
        if architecture not in flows:
            raise ValueError(f"`architecture` must be one of {sorted(flows)}. Received: {architecture!r}")
        if depth is not None and depth < 1:
            raise ValueError(f"`depth` must be None or a positive integer. Received: {depth!r}")
        if isinstance(self.feature_space, MapSpace) != of_maps or (gate_positions and not of_maps):
            raise ValueError(
                'A `MapSpace` and `gate_positions` are for `architecture="feature_maps"`. '
                f"Received: {architecture=}, {gate_positions=}, {type(self.feature_space).__name__}"
            )
        self.architecture, self.depth, self.gate_positions = architecture, depth, bool(gate_positions)
        self.attention = _check_attention(attention)
        if self.gate is not None and (self.gate.encoder is None) != (self.feature_space is not None):
            raise ValueError(
                "Over an encoder a gate is made of features (`PerImageGate.from_features`), over pixels with an encoder of its "
                f"own. Received: a gate {'without' if self.gate.encoder is None else 'with'} encoder"
            )
        build, event_shape = flows[architecture], self.entrance.event_shape
        self.flow = build(event_shape) if depth is None else build(event_shape, depth)
        if of_maps:
            self.add_positions()
        self._seeds = keras.random.SeedGenerator(name="dequantisation")
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> dict[str, Any]:
        """Return the statistics of a batch.

        Args:
            inputs: Images `(batch, height, width, channels)`, or `{"images": images, "noise": (samples, *image_shape)}` with
                uniform noise in 0..1 for the mean over stochastic passes.
            training: Whether to draw the noise for each image and to leave the attention at 1.
        """
        images, noise = (inputs["images"], inputs["noise"]) if isinstance(inputs, dict) else (inputs, None)
        images = self.entrance.prepared(images)
        gate, attention = self._attention(images, training)
        if self.feature_space is not None:
            whitened = self.feature_space(images)
            found = gate | self.statistics_of_features(whitened, attention)
            return found if training else found | self.feature_space.statistics(whitened)
        if training:
            return gate | self._pass(images, keras.random.uniform(ops.shape(images), seed=self._seeds), attention)
        gate |= image_statistics(images)
        if noise is None:
            return gate | self._pass(images, 0.5, attention)
        passes = ops.map(lambda one: self._pass(images, one, attention), noise)  # one after the other, in a graph of one
        return gate | {name: ops.mean(values, axis=0) for name, values in passes.items()}

    def _attention(self, images: Any, training: bool) -> tuple[dict[str, Any], Any]:
        """The gate's statistics, and c, `(batch,)`, a scalar for all images, or one for each position, `(batch, h, w)`."""
        if training or not isinstance(self.attention, keras.layers.Layer):
            attention = 1.0 if training or self.attention is None else self.attention
            return {"attention": attention * ops.ones((ops.shape(images)[0],), "float32")}, attention
        if self.feature_space is not None:
            return self.gate_on_features(images)
        gate = dict(self.attention(images))
        return gate, gate["attention"]

    def _pass(self, images: Any, noise: Any, attention: Any) -> dict[str, Any]:
        found = self._of_latents(_dequantised(images, noise), attention)
        bits = (found["nll"] / math.prod(self.image_shape) + math.log(LEVELS)) / math.log(2)
        return found | {"bits_per_dimension": bits}

    def position_scores(self, seen: Any) -> Any:
        """Return the nll at every position over feature maps; over pixels `|z|^2` of the latents there; see `Detector`.

        A latent stands for a square of 2 pixels, of 4 at the second scale, and so on; the log-determinant has no place.
        """
        if self.feature_space is not None:
            return super().position_scores(seen)
        _, attention = self._attention(seen, training=False)
        return ops.sum(ops.square(self.flow.bijector(attention).forward(_dequantised(seen, 0.5))), axis=-1)

    def _of_latents(self, values: Any, attention: Any) -> dict[str, Any]:
        latents, log_det = self.flow.bijector(attention).forward_and_log_det(values)
        squared_norm = ops.sum(ops.square(latents), axis=(1, 2, 3))
        dimensions = math.prod(self.entrance.event_shape)
        nll = 0.5 * squared_norm + 0.5 * dimensions * math.log(2 * math.pi) - log_det
        return {"nll": nll, "log_det": log_det, "latent_norm": ops.sqrt(squared_norm)}

    def before_fit(self, data: Any) -> None:
        """Start a fresh flow from the first images of an array.

        A gate is not trained: it keeps to the in-distribution images that it was fitted to. For others, fit one of your own
        (`PerImageGate.from_images`) and take `with_attention`.
        """
        if hasattr(data, "shape") and self.feature_space is None:
            self.initialize(data[:_INITIALIZE_WITH])

    @under_own_settings
    def initialize(self, images: Any) -> None:
        """Set the act-norms of a fresh flow from a batch of images (Glow's data-dependent start)."""
        images = ops.convert_to_numpy(self.preprocessing(images))
        noise = np.random.default_rng(0).random(images.shape, np.float32)
        self.flow.initialize(ops.convert_to_tensor(_dequantised(images, noise)))

    def draw_noise(self, samples: int, seed: int) -> np.ndarray:
        """Return uniform noise `(samples, *image_shape)` in 0..1, the same on every backend.

        Raises:
            NotImplementedError: Over an encoder: features are not dequantised.
        """
        if self.feature_space is not None:
            return super().draw_noise(samples, seed)
        return np.random.default_rng(seed).random((samples, *self.image_shape), np.float32)

    @under_own_settings
    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Return `n` images of 256 grey levels from the flow at c = 1, float32 `(n, *image_shape)` in 0..1.

        Raises:
            NotImplementedError: Over an encoder: features are no images.
        """
        if self.feature_space is not None:
            return super().sample(n, seed)
        bijector = self.flow.bijector()
        shape = tuple(bijector.forward_event_shape(self.image_shape))
        latents = np.random.default_rng(seed).standard_normal((n, *shape)).astype(np.float32)
        images = bijector.inverse(ops.convert_to_tensor(latents))
        levels = np.floor(LEVELS * ops.convert_to_numpy(images))
        return np.asarray(np.clip(levels, 0, LEVELS - 1) / (LEVELS - 1), np.float32)

    @property
    def gate(self) -> PerImageGate | None:
        """The per-image gate that yields the attention, None where none does."""
        return self.attention if isinstance(self.attention, PerImageGate) else None

    def ungated(self) -> "InFlow":
        """Return the plain flow: the same weights at c = 1; not calibrated."""
        return self.with_attention(None)

    def features(self, images: np.ndarray) -> np.ndarray | None:
        """Return what the gate's encoder makes of prepared images, `(N, features)`; None without a gate.

        Over an encoder the whitened features, over feature maps their means over the positions.
        """
        if self.feature_space is not None:
            compiled = self.statistics_pass.compiled_function("features", lambda: forward(self.pooled_features, self))
            return np.asarray(compiled(self.entrance.embed(images).values()))
        return None if self.gate is None else encode(self.gate.encoder, images)

    def provenance(self, images: Any, statistics: dict[str, np.ndarray]) -> dict[str, Any]:
        """Return bits per dimension of the plain flow, uniformly dequantised, and how often the gate alarms; see `Family`."""
        measured: dict[str, Any] = {}
        if self.feature_space is None:
            bits = self.ungated().statistics(images, samples=1)["bits_per_dimension"]
            measured["bits_per_dimension"] = round(float(np.mean(bits)), 4)
        if self.gate is not None and not self.gate_positions:
            measured["gate"] = self.gate.false_alarms(statistics["attention_p_value"])
        return measured

    def with_attention(self, attention: Any) -> "InFlow":
        """Return a detector of the same class and weights with another attention; not calibrated."""
        other = self.remade(attention=attention, background=self.background)
        for variable, value in zip(other._weights_but_the_gate(), self._weights_but_the_gate(), strict=True):
            variable.assign(value.numpy())
        return other

    def _weights_but_the_gate(self) -> list[Any]:
        gate = {id(weight) for weight in getattr(self.attention, "weights", ())}
        return [weight for weight in self.own_weights() if id(weight) not in gate]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        attention = self.attention
        if isinstance(attention, keras.layers.Layer):
            attention = keras.saving.serialize_keras_object(attention)
        return super().get_config() | {
            "architecture": self.architecture,
            "depth": self.depth,
            "attention": attention,
            "gate_positions": self.gate_positions,
        }


def _dequantised(images: Any, noise: Any) -> Any:
    return ((LEVELS - 1) * images + noise) / LEVELS


def _check_attention(attention: Any) -> Any:
    if isinstance(attention, dict):
        attention = keras.saving.deserialize_keras_object(attention)
    if attention is None or isinstance(attention, keras.layers.Layer):
        return attention
    if isinstance(attention, (int, float)) and 0 <= attention <= 1:
        return float(attention)
    raise ValueError(f"`attention` must be None, a number in 0..1 or a gate. Received: {attention!r}")
