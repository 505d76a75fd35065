"""The diagonal Gaussian: prior and posterior of a VAE."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, register_kl


class DiagonalNormal(Distribution):
    """N(mu, diag(sigma^2)) over latents.

    Args:
        mu: means, shape (..., D).
        log_sigma: logarithms of the standard deviations, shape (..., D).
    """

    arg_constraints: dict[str, Any] = {}
    has_rsample = True

    def __init__(self, mu: Tensor, log_sigma: Tensor) -> None:
        self.mu, self.log_sigma = mu, log_sigma
        super().__init__(mu.shape[:-1], mu.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The means mu, shape (..., D)."""
        return self.mu

    @property
    def stddev(self) -> Tensor:
        """The standard deviations sigma, shape (..., D)."""
        return self.log_sigma.exp()

    @property
    def variance(self) -> Tensor:
        """The variances sigma^2, shape (..., D)."""
        return (2 * self.log_sigma).exp()

    def rsample(self, sample_shape: Any = (), generator: torch.Generator | None = None) -> Tensor:
        """Latents mu + sigma * eps with eps ~ N(0, I) from `generator`, shape (*sample_shape, ..., D)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        eps = torch.randn(shape, generator=generator, device=self.mu.device, dtype=self.mu.dtype)
        return self.mu + self.stddev * eps

    def log_prob(self, value: Tensor) -> Tensor:
        """The log density of latents of shape (..., D), in nats, shape (...)."""
        eps = (value - self.mu) * (-self.log_sigma).exp()
        return (-0.5 * eps.square() - self.log_sigma - 0.5 * math.log(2 * math.pi)).sum(-1)


@register_kl(DiagonalNormal, DiagonalNormal)  # type: ignore[untyped-decorator]
def _kl(q: DiagonalNormal, p: DiagonalNormal) -> Tensor:
    """KL(q || p) in nats, in closed form (Kingma & Welling 2014, appendix B, for any two diagonal Gaussians)."""
    log_ratio = 2 * (q.log_sigma - p.log_sigma)
    distance = (q.mu - p.mu) * (-p.log_sigma).exp()
    return 0.5 * (log_ratio.expm1() - log_ratio + distance.square()).sum(-1)
