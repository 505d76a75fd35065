"""The diagonal Gaussian."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, register_kl

REACH = 6.0
"""Standard deviations on either side of the mean outside of which there is no mass to speak of: 2e-9."""


class DiagonalNormal(Distribution):
    """N(loc, diag(sigma^2)) over latents.

    Args:
        loc: means, shape (..., D).
        log_scale: logarithms of the standard deviations, shape (..., D).
    """

    arg_constraints: dict[str, Any] = {}
    has_rsample = True

    def __init__(self, loc: Tensor, log_scale: Tensor) -> None:
        self.loc, self.log_scale = loc, log_scale
        super().__init__(loc.shape[:-1], loc.shape[-1:])

    @property
    def mean(self) -> Tensor:
        """The means loc, shape (..., D)."""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """The standard deviations sigma, shape (..., D)."""
        return self.log_scale.exp()

    @property
    def variance(self) -> Tensor:
        """The variances sigma^2, shape (..., D)."""
        return (2 * self.log_scale).exp()

    @property
    def marginals(self) -> "DiagonalNormal":
        """The distributions of single latents, batch shape (..., D), event shape (1,)."""
        return DiagonalNormal(self.loc.unsqueeze(-1), self.log_scale.unsqueeze(-1))

    @property
    def extent(self) -> Tensor:
        """Half the length of an edge of the box around 0 that holds the mass, shape (...)."""
        return (self.loc.abs() + REACH * self.stddev).amax(-1)

    @property
    def narrowest(self) -> Tensor:
        """The least of the standard deviations, shape (...)."""
        return self.stddev.amin(-1)

    def detached(self) -> "DiagonalNormal":
        """The same distribution, through whose parameters no gradient goes."""
        return DiagonalNormal(self.loc.detach(), self.log_scale.detach())

    def rsample(self, sample_shape: Any = (), generator: torch.Generator | None = None) -> Tensor:
        """Latents loc + sigma * eps with eps ~ N(0, I) from `generator`, shape (*sample_shape, ..., D)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.transform(torch.randn(shape, generator=generator, device=self.loc.device, dtype=self.loc.dtype))

    def transform(self, eps: Tensor) -> Tensor:
        """The latents loc + sigma * eps, shape (..., D) as eps."""
        return (self.stddev * eps).add_(self.loc)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log density of latents of shape (..., D), in nats, shape (...)."""
        if torch.is_grad_enabled():
            eps = (value - self.loc) * (-self.log_scale).exp()
            return (-0.5 * eps.square() - self.log_scale - 0.5 * math.log(2 * math.pi)).sum(-1)
        # in place, and the constants once for all values
        squares = (value - self.loc).mul_((-self.log_scale).exp()).square_()
        return -0.5 * squares.sum(-1) - (self.log_scale + 0.5 * math.log(2 * math.pi)).sum(-1)


@register_kl(DiagonalNormal, DiagonalNormal)  # type: ignore[untyped-decorator]
def _kl(q: DiagonalNormal, p: DiagonalNormal) -> Tensor:
    """KL(q || p) in nats, in closed form (Kingma & Welling 2014, appendix B, for any two diagonal Gaussians)."""
    log_ratio = 2 * (q.log_scale - p.log_scale)
    distance = (q.loc - p.loc) * (-p.log_scale).exp()
    return 0.5 * (log_ratio.expm1() - log_ratio + distance.square()).sum(-1)
