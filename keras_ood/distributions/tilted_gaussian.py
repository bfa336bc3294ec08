"""The exponentially tilted Gaussian."""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_ood.backend.tfp import ParameterProperties, rejection_sampler, samplers, seed_key, tfd
from keras_ood.distributions import gaussian, radial


class TiltedGaussian(tfd.Distribution):  # type: ignore[misc]
    """Standard Gaussian whose density is tilted by `exp(tilt |z|)`: its mass lies in a shell, all directions alike.

    With `z` a vector of `d = event_size` numbers and `t = tilt >= 0`:

        p(z) = exp(t |z| - |z|^2 / 2) / (Z (2 pi)^(d/2)),   Z = E exp(t |y|) over y ~ N(0, I)

    `t = 0` is the standard Gaussian. Three radii, not to be interchanged: the density is largest at `|z| = t`; a sample
    has the norm `mean_norm`; the posterior `N(loc, I)` is nearest, in KL, at `|loc| = optimal_radius`.

    All constants are computed once on the host, in float64 and log space; the distribution owns no variable.

    Args:
        tilt: A Python number, 0 or more (checked against references up to 60).
        event_size: A positive Python integer (checked up to 1024).
        dtype: Dtype of samples and densities.

    Source: Floto, Kremer, Nica, "The Tilted Variational Autoencoder", ICLR 2023, arXiv 2111.15646.
    """

    def __init__(
        self,
        tilt: float,
        event_size: int,
        dtype: Any = "float32",
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "TiltedGaussian",
    ) -> None:
        parameters = dict(locals())
        if not (isinstance(tilt, (int, float, np.number)) and math.isfinite(tilt) and tilt >= 0):
            raise ValueError(f"`tilt` must be a finite number, 0 or more. Received: {tilt!r}")
        if not (isinstance(event_size, (int, np.integer)) and event_size >= 1):
            raise ValueError(f"`event_size` must be a positive integer. Received: {event_size!r}")
        self._tilt, self._event_size = float(tilt), int(event_size)
        super().__init__(
            dtype=np.dtype(dtype),
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=validate_args,
            allow_nan_stats=allow_nan_stats,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> dict[str, Any]:
        static = ParameterProperties(event_ndims=None)  # Python numbers: never traced, never batched
        return {"tilt": static, "event_size": static}

    @property
    def tilt(self) -> float:
        """Strength of the tilt, per unit of the norm."""
        return self._tilt

    @property
    def event_size(self) -> int:
        """Number of dimensions `d`."""
        return self._event_size

    @property
    def log_normalizer(self) -> float:
        """`log Z` in nats."""
        return radial.radius_moments(self._tilt, self._event_size)[0]

    @property
    def mean_norm(self) -> float:
        """`E|z|` of a sample."""
        return radial.radius_moments(self._tilt, self._event_size)[1]

    @property
    def stddev_norm(self) -> float:
        """Standard deviation of the norm of a sample."""
        return radial.radius_moments(self._tilt, self._event_size)[2]

    @property
    def optimal_radius(self) -> float:
        """The norm of `loc` at which `kl` is smallest (mu* of the paper); 0 up to `critical_tilt(event_size)`."""
        return radial.optimal_radius(self._tilt, self._event_size)

    @property
    def committed_rate(self) -> float:
        """The smallest `kl` any posterior can reach, in nats."""
        return radial.committed_rate(self._tilt, self._event_size)

    def kl(self, loc: Any) -> Any:
        """Exact `KL(N(loc, I) || self)` in nats, smooth everywhere in `loc`: `log Z - t E|z| + |loc|^2 / 2`.

        Args:
            loc: A tensor `(..., event_size)`.

        Returns:
            A tensor `(...)`.
        """
        self._check_event(loc)
        return gaussian.kl_to_tilted(loc, self._tilt, self._event_size)

    def quadratic_kl(self, loc: Any) -> Any:
        """The paper's approximation of `kl` in nats: `committed_rate + (|loc| - optimal_radius)^2 / 2`.

        Tight only for `tilt` well above `sqrt(event_size)`; towards the origin it is up to three times too large.

        Args:
            loc: A tensor `(..., event_size)`.

        Returns:
            A tensor `(...)`.
        """
        self._check_event(loc)
        return gaussian.quadratic_kl_to_tilted(loc, self._tilt, self._event_size)

    def _check_event(self, vector: Any) -> None:
        if vector.shape[-1] not in (self._event_size, None):
            raise ValueError(f"Expected (..., {self._event_size}). Received: shape {tuple(vector.shape)}")

    def _log_prob(self, value: Any) -> Any:
        self._check_event(value)
        radius = gaussian.norm(value)
        constant = self.log_normalizer + self._event_size / 2 * math.log(2 * math.pi)
        return self._tilt * radius - ops.square(radius) / 2 - constant

    def _sample_n(self, n: Any, seed: Any = None) -> Any:
        direction_seed, radius_seed = samplers.split_seed(seed_key(seed), salt="tilted_gaussian")
        direction = samplers.normal([n, self._event_size], seed=direction_seed, dtype=self.dtype)
        direction = direction / ops.expand_dims(gaussian.norm(direction), -1)
        return direction * ops.expand_dims(self._sample_radius(n, radius_seed), -1)

    def _sample_radius(self, n: Any, seed: Any) -> Any:
        """Exact, by rejection from `N(mode, 1)`: with `u = r / mode - 1`, accept with `exp((d-1) (log(1 + u) - u))`."""
        mode = radial.radius_mode(self._tilt, self._event_size)

        def propose(seed: Any) -> tuple[Any, Any]:
            radius = samplers.normal([n], mean=mode, seed=seed, dtype=self.dtype)
            return radius, ops.ones_like(radius)

        def accept(radius: Any) -> Any:
            deviation = ops.maximum(radius, 1e-30) / max(mode, 1e-6) - 1
            log_ratio = (self._event_size - 1) * (ops.log1p(deviation) - deviation)
            return ops.where(radius > 0, ops.exp(log_ratio), 0.0)

        return rejection_sampler(propose, accept, seed=seed, dtype=self.dtype)[0]

    def _mean(self) -> Any:
        return ops.zeros([self._event_size], self.dtype)

    def _variance(self) -> Any:
        variance = (self.mean_norm**2 + self.stddev_norm**2) / self._event_size
        return ops.full([self._event_size], variance, self.dtype)

    def _event_shape_tensor(self) -> Any:
        return np.array([self._event_size], np.int32)

    def _event_shape(self) -> Any:
        return tfd.MultivariateNormalDiag(np.zeros(self._event_size, np.float32)).event_shape

    def _default_event_space_bijector(self) -> None:
        return None  # every vector is in the support


@tfd.RegisterKL(tfd.MultivariateNormalDiag, TiltedGaussian)  # type: ignore[untyped-decorator]
def _kl_diagonal_tilted(posterior: Any, prior: TiltedGaussian, name: str | None = None) -> Any:
    """KL of `N(loc, I)` to a tilted Gaussian; a diagonal covariance is accepted for `tilt = 0` alone."""
    if prior.tilt == 0:
        return gaussian.kl_to_standard(posterior.loc, posterior.stddev())
    if posterior.parameters["scale_diag"] is not None:
        raise ValueError(
            "The KL to a TiltedGaussian with tilt > 0 is known for unit covariance only: "
            "MultivariateNormalDiag(loc) without `scale_diag`. Received: a posterior with `scale_diag`."
        )
    return prior.kl(posterior.loc)
