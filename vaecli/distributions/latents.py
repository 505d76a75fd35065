"""What priors and posteriors give: distributions over latents z, shape (..., latent_dim), whose log densities are in nats.

Where `torch.distributions.kl_divergence` knows KL(q || p) of their classes in closed form, it is used; elsewhere KL is estimated by
the particles.

Exact log p(x) by quadrature needs two more attributes of both distributions, tensors of their batch shape:

- ``extent``: half the length of an edge of the box around 0 that holds all mass but 1e-8 or so, as 6 standard deviations do;
- ``narrowest``: the standard deviation of the narrowest peak, in its narrowest direction.
"""

from typing import Protocol

from torch import Tensor


class LatentDistribution(Protocol):
    """A distribution over latents."""

    def log_prob(self, value: Tensor) -> Tensor:
        """The log density of latents of shape (..., latent_dim), in nats, shape (...)."""
        ...


class PosteriorDistribution(LatentDistribution, Protocol):
    """Distributions over the latents of B images, made of noise that the caller draws."""

    @property
    def mean(self) -> Tensor:
        """The means, shape (B, latent_dim)."""
        ...

    @property
    def stddev(self) -> Tensor:
        """The standard deviations of each latent, shape (B, latent_dim)."""
        ...

    def transform(self, eps: Tensor) -> Tensor:
        """The latents z that standard normal noise becomes, shape (k, B, latent_dim) as it.

        `log_prob` is then asked of this very tensor, or not at all: a flow may keep the density that it found on the way.
        """
        ...

    def detached(self) -> "PosteriorDistribution":
        """The same distribution, through whose parameters no gradient goes."""
        ...
