"""The tilted variational autoencoder."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ood import distributions
from keras_ood.backend.compiled import forward, value_and_gradient
from keras_ood.backend.settings import under_own_settings
from keras_ood.distributions import gaussian, radial
from keras_ood.images.sources import gather
from keras_ood.images.statistics import image_statistics, octave_name, octaves, shrink
from keras_ood.models.detector import Detector
from keras_ood.networks.vae import ARCHITECTURES, FEATURE_ARCHITECTURES

KL_FORMS = ("quadratic", "exact")


_CITATION = """Floto, Kremer, Nica: "The Tilted Variational Autoencoder: Improving Out-of-Distribution Detection", \
ICLR 2023, arXiv
2111.15646. These are weights of our own code and recipe; no figure of the paper is claimed as reproduced.

```bibtex
@inproceedings{floto2023tilted,
  title = {The Tilted Variational Autoencoder: Improving Out-of-Distribution Detection},
  author = {Floto, Griffin and Kremer, Stefan and Nica, Mihai},
  booktitle = {International Conference on Learning Representations},
  year = {2023},
}
```"""


@keras.saving.register_keras_serializable(package="keras_ood")
class TiltedVAE(Detector):
    """Variational autoencoder whose prior is the exponentially tilted Gaussian.

    With `x` an image of `D` numbers in 0..1, or an image's whitened features (`encoder`), `z` a latent of `d` numbers, `f` the
    decoder and `g` the scale of the pixels:

        prior       p(z)   = TiltedGaussian(tilt, d)
        posterior   q(z|x) = N(loc(x), I) for tilt > 0;  N(loc(x), diag(scale(x)^2)) for tilt = 0
        likelihood  p(x|z) = N(f(z), g^2 I)
        nll                = -log p(x|z) + KL(q(z|x) || p(z))   (a bound on -log p(x) when z is drawn and the KL is exact)

    `tilt = 0` is the Gaussian VAE, the baseline. Training minimises the mean `nll` with one draw of `z` per image; scoring
    takes `z = loc(x)` and is deterministic, or averages `samples` draws.

    Statistics, `(batch,)` float32: `nll`, `reconstruction` (-log p(x|z)), `kl`, all in nats; `latent_norm` (|loc(x)|),
    `shell_distance` (| |loc(x)| - optimal radius |), `posterior_scale_norm` (|scale(x)|, for tilt = 0), `squared_error`
    (|x - f(z)|^2), `squared_error_2`, `squared_error_4` (of error images averaged over squares of 2 and 4 pixels); and those of
    `keras_ood.images.statistics`. Over an encoder those of images are not there, and those of
    `keras_ood.encoders.FeatureSpace.statistics` are.

    Args:
        image_shape: `(height, width, channels)`.
        latent_dim: `d`.
        tilt: 0, or a number above `keras_ood.distributions.critical_tilt(latent_dim)`, below which a tilt does nothing.
        architecture: `"small"`, the default, or `"paper"`, see `keras_ood.networks.vae`; over an encoder `"dense"`.
        kl: `"quadratic"`, the paper's approximation and the default for tilt > 0, or `"exact"`, the only form for tilt = 0.
        scale: `g`, fixed; None to learn it.
        default_score: The score that methods use when none is named.
        **kwargs: `background` and `encoder`, see `Detector`, and what `keras.Model` takes.

    Raises:
        ValueError: A setting outside what is named above.

    Source: Floto, Kremer, Nica, "The Tilted Variational Autoencoder", ICLR 2023, arXiv 2111.15646.
    """

    citation = _CITATION
    reported = ("nll", "reconstruction", "kl", "latent_norm")

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int = 10,
        tilt: float = 15.0,
        architecture: str | None = None,
        kl: str | None = None,
        scale: float | None = None,
        default_score: str = "nll",
        **kwargs: Any,
    ) -> None:
        super().__init__(image_shape, default_score, **kwargs)
        self.latent_dim = int(latent_dim)
        self.tilt = float(tilt)
        self._architectures = ARCHITECTURES if self.feature_space is None else FEATURE_ARCHITECTURES
        self.architecture = architecture or ("small" if self.feature_space is None else "dense")
        self.kl = kl or ("quadratic" if self.tilt else "exact")
        self.scale = scale
        self._check_settings()
        encoder, decoder = self._architectures[self.architecture](self.entrance.event_shape, self.latent_dim)
        self.encoder, self.decoder = encoder, decoder
        self.loc_head = keras.layers.Dense(self.latent_dim, dtype="float32", name="loc")
        self.log_scale_head = None if self.tilt else keras.layers.Dense(self.latent_dim, dtype="float32", name="log_scale")
        if scale is None:
            initializer = keras.initializers.Constant(math.log(0.3))
            self.log_pixel_scale = self.add_weight(
                shape=(), initializer=initializer, dtype="float32", autocast=False, name="log_pixel_scale"
            )
        self._seeds = keras.random.SeedGenerator(name="posterior_noise")
        for head in (self.loc_head, self.log_scale_head):
            if head is not None:
                head.build(encoder.output_shape)
        self.built = True

    def _check_settings(self) -> None:
        if self.latent_dim < 1:
            raise ValueError(f"`latent_dim` must be a positive integer. Received: {self.latent_dim}")
        critical = radial.critical_tilt(self.latent_dim)
        if self.tilt != 0 and not (math.isfinite(self.tilt) and self.tilt > critical):
            raise ValueError(
                f"`tilt` must be 0 (the Gaussian VAE) or above the critical tilt of {self.latent_dim} latents, {critical:.3f}: "
                f"below it the optimal radius is 0 and the tilt does nothing. Received: {self.tilt}"
            )
        if self.architecture not in self._architectures:
            raise ValueError(f"`architecture` must be one of {sorted(self._architectures)}. Received: {self.architecture!r}")
        if self.kl not in KL_FORMS or (self.kl == "quadratic" and not self.tilt):
            raise ValueError(f'`kl` must be one of {KL_FORMS}, and "exact" for tilt = 0. Received: {self.kl!r}')
        if self.scale is not None and not self.scale > 0:
            raise ValueError(f"`scale` must be None or a positive number. Received: {self.scale!r}")

    def prior(self) -> Any:
        """Return p(z), a `TiltedGaussian`."""
        return distributions.TiltedGaussian(self.tilt, self.latent_dim)

    @property
    def pixel_scale(self) -> Any:
        """`g`, a number or a scalar tensor."""
        return ops.exp(ops.convert_to_tensor(self.log_pixel_scale)) if self.scale is None else self.scale

    def encode(self, images: Any) -> tuple[Any, Any]:
        """Return `loc(x)` and `scale(x)`, `(batch, latent_dim)` each, of prepared `(batch, *entrance.given_shape)` images."""
        return self._encode(self.entrance.look(images))

    def _encode(self, events: Any) -> tuple[Any, Any]:
        features = ops.cast(self.encoder(events), "float32")
        loc = self.loc_head(features)
        return loc, ops.ones_like(loc) if self.log_scale_head is None else ops.exp(self.log_scale_head(features))

    def decode(self, latents: Any) -> Any:
        """Return `f(z)`, float32 `(..., *entrance.event_shape)`, of `(..., latent_dim)` latents."""
        decoded = self.decoder(ops.reshape(latents, (-1, self.latent_dim)))
        return ops.reshape(ops.cast(decoded, "float32"), (*ops.shape(latents)[:-1], *self.entrance.event_shape))

    def posterior(self, images: Any) -> Any:
        """Return q(z|x), a TFP distribution of batch shape `(batch,)`, for prepared `(batch, *entrance.given_shape)` images."""
        from keras_ood.backend.tfp import tfd  # here: TensorFlow Probability takes seconds to import

        loc, scale = self.encode(images)
        return tfd.MultivariateNormalDiag(loc, scale_diag=None if self.tilt else scale)

    def likelihood(self, latents: Any) -> Any:
        """Return p(x|z), a TFP distribution over `entrance.event_shape`, for `(..., latent_dim)` latents."""
        from keras_ood.backend.tfp import tfd

        return tfd.Independent(tfd.Normal(self.decode(latents), self.pixel_scale), reinterpreted_batch_ndims=self._event_ndims)

    @property
    def _event_ndims(self) -> int:
        return len(self.entrance.event_shape)

    def call(self, inputs: Any, training: bool = False) -> dict[str, Any]:
        """Return the statistics of a batch.

        Args:
            inputs: Images `(batch, height, width, channels)`, or `{"images": images, "noise": (samples, latent_dim)}` with
                standard normal noise for the mean over stochastic passes.
            training: Whether to draw one `z` per image.
        """
        images, noise = (inputs["images"], inputs["noise"]) if isinstance(inputs, dict) else (inputs, None)
        events = self.entrance.look(images)
        loc, scale = self._encode(events)
        if training:
            noise = keras.random.normal(ops.shape(loc), seed=self._seeds)[None]
        elif noise is not None:
            noise = ops.cast(noise, "float32")[:, None]
        latents = loc[None] if noise is None else loc + scale * noise  # (samples, batch, latent_dim)
        errors = events - self.decode(latents)
        densities = gaussian.negative_log_density(errors, self.pixel_scale, event_ndims=self._event_ndims)
        reconstruction = ops.mean(densities, axis=0)
        kl = self._kl(loc, scale)
        statistics = {
            "nll": reconstruction + kl,
            "reconstruction": reconstruction,
            "kl": kl,
            "latent_norm": ops.norm(loc, axis=-1),
        }
        if not training:
            statistics["shell_distance"] = ops.abs(
                statistics["latent_norm"] - radial.optimal_radius(self.tilt, self.latent_dim)
            )
            if not self.tilt:
                statistics["posterior_scale_norm"] = ops.norm(scale, axis=-1)
            if self.feature_space is None:
                statistics |= self._squared_errors(errors) | image_statistics(events)
            else:
                squared = ops.mean(ops.sum(ops.square(errors), axis=-1), axis=0)
                statistics |= {"squared_error": squared} | self.feature_space.statistics(events)
        return statistics

    def _squared_errors(self, errors: Any) -> dict[str, Any]:
        """Squared norms at each octave, `(batch,)`, of `(samples, batch, *image_shape)` errors: means over the samples."""
        samples = ops.shape(errors)[0]
        errors = ops.reshape(errors, (-1, *self.image_shape))
        squared = {
            octave_name("squared_error", octave): ops.sum(ops.square(shrink(errors, octave)), axis=(1, 2, 3))
            for octave in octaves(self.image_shape)
        }
        return {name: ops.mean(ops.reshape(values, (samples, -1)), axis=0) for name, values in squared.items()}

    def position_scores(self, seen: Any) -> Any:
        """Return squared errors `(x - f(loc(x)))^2`, means over the channels and over squares of pixels; see `Detector`.

        The grid has 16 to 31 positions on the shorter side of an image that has as many pixels.
        """
        if self.feature_space is not None:
            return super().position_scores(seen)
        squared = ops.mean(ops.square(seen - self.decode(self._encode(seen)[0])), axis=-1, keepdims=True)
        return shrink(squared, max(1, min(self.image_shape[:2]) // 16))[..., 0]

    def _kl(self, loc: Any, scale: Any) -> Any:
        if not self.tilt:
            return gaussian.kl_to_standard(loc, scale)
        form = gaussian.quadratic_kl_to_tilted if self.kl == "quadratic" else gaussian.kl_to_tilted
        return form(loc, self.tilt, self.latent_dim)

    def log_weights(self, images: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return `log p(x|z) + log p(z) - log q(z|x)` in nats, `(samples, batch)`, of draws `z` of the posterior.

        Args:
            images: Prepared, `(batch, *entrance.given_shape)`.
            noise: Standard normal, `(samples, latent_dim)`.
        """

        def weights(images: Any, noise: Any) -> Any:
            posterior, events = self.posterior(images), self.entrance.look(images)
            latents = posterior.mean() + posterior.stddev() * noise[:, None]
            log_prior = self.prior().log_prob(latents) - posterior.log_prob(latents)
            return self.likelihood(latents).log_prob(events) + log_prior

        return np.asarray(self.statistics_pass.compiled_function("log_weights", lambda: forward(weights, self))(images, noise))

    def posterior_parameters(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return `loc(x)` and `scale(x)`, `(batch, latent_dim)` each, of prepared images."""
        loc, scale = self.statistics_pass.compiled_function("posterior_parameters", lambda: forward(self.encode, self))(images)
        return loc, scale

    def posterior_nll(self, loc: np.ndarray, scale: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the nll in nats, `(batch,)`, at `z = loc` under a posterior of these parameters, and its gradient in `loc`.

        Args:
            loc: `(batch, latent_dim)`.
            scale: `(batch, latent_dim)`; a tilted VAE's is 1.
            images: Prepared, `(batch, *entrance.given_shape)`.
        """

        def nll(loc: Any, scale: Any, images: Any) -> Any:
            errors = self.entrance.look(images) - self.decode(loc)
            return self._kl(loc, scale) + gaussian.negative_log_density(errors, self.pixel_scale, self._event_ndims)

        compiled = self.statistics_pass.compiled_function("posterior_nll", lambda: value_and_gradient(nll, self))
        values, slope = compiled(loc, scale, images)
        return values, slope

    def draw_noise(self, samples: int, seed: int) -> np.ndarray:
        """Return standard normal noise `(samples, latent_dim)`, the same on every backend."""
        return np.random.default_rng(seed).standard_normal((samples, self.latent_dim)).astype(np.float32)

    @under_own_settings
    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Return the decoder's mean images of `n` draws from the prior, float32 `(n, *image_shape)` clipped to 0..1.

        Raises:
            NotImplementedError: Over an encoder: features are no images.
        """
        if self.feature_space is not None:
            return super().sample(n, seed)
        latents = self.prior().sample(n, seed=seed)
        return np.asarray(np.clip(ops.convert_to_numpy(self.decode(latents)), 0, 1))

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the posterior means of prepared images, `(N, latent_dim)`."""
        return self.posterior_parameters(images if self.feature_space is None else self.entrance.embed(images).values())[0]

    @under_own_settings
    def reconstruct(self, images: Any, batch_size: int = 256) -> tuple[np.ndarray, np.ndarray] | None:
        """Return `(originals, reconstructions)`, both float32 `(N, *image_shape)`, the reconstructions clipped to 0..1.

        None over an encoder: features are no images.

        Args:
            images: Any accepted source, small enough for its reconstructions to be held in memory.
            batch_size: Images per pass.
        """
        if self.feature_space is not None:
            return None
        originals = gather(images, self.preprocessing, batch_size)
        batches = (originals[start : start + batch_size] for start in range(0, len(originals), batch_size))
        decoded = [ops.convert_to_numpy(self.decode(self.encode(ops.convert_to_tensor(batch))[0])) for batch in batches]
        return originals, np.clip(np.concatenate(decoded), 0, 1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "latent_dim": self.latent_dim,
            "tilt": self.tilt,
            "architecture": self.architecture,
            "kl": self.kl,
            "scale": self.scale,
        }
