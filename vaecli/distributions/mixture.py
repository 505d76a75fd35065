"""A mixture of diagonal Gaussians."""

import math

import torch
from torch import Tensor

from vaecli.distributions.normal import REACH

LEAST_LOG_SCALE = math.log(0.01)
"""Of the logarithm of a component's standard deviation: matrix products in float32 err by some (z / sigma)^2 / 10^7 nats."""


class DiagonalMixture:
    """The density sum_c pi_c N(loc_c, diag(sigma_c^2)) over latents.

    The densities of all C components are one matrix product of (z^2, z) with (-1 / (2 sigma^2), loc / sigma^2): no tensor of C
    times D numbers per particle is made.

    Args:
        logits: unnormalised log weights, shape (C,).
        loc: means, shape (C, D).
        log_scale: logarithms of the standard deviations, shape (C, D); those below LEAST_LOG_SCALE are raised to it.

    Example:
        >>> DiagonalMixture(torch.zeros(3), torch.randn(3, 2), torch.zeros(3, 2)).log_prob(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    def __init__(self, logits: Tensor, loc: Tensor, log_scale: Tensor) -> None:
        self.logits, self.loc, self.log_scale = logits, loc, log_scale.clamp(min=LEAST_LOG_SCALE)
        precision = (-2 * self.log_scale).exp()
        self._products = torch.cat((-0.5 * precision, loc * precision), -1).mT
        constant = -0.5 * (loc.square() * precision).sum(-1) - self.log_scale.sum(-1) - 0.5 * loc.shape[-1] * math.log(2 * math.pi)
        self._constant = constant + logits.log_softmax(-1)

    @property
    def extent(self) -> Tensor:
        """Half the length of an edge of the box around 0 that holds the mass, shape ()."""
        return (self.loc.abs() + REACH * self.log_scale.exp()).amax()

    @property
    def narrowest(self) -> Tensor:
        """The least of the standard deviations, shape ()."""
        return self.log_scale.exp().amin()

    def log_prob(self, value: Tensor) -> Tensor:
        """The log density of latents of shape (..., D), in nats, shape (...)."""
        return (torch.cat((value.square(), value), -1) @ self._products + self._constant).logsumexp(-1)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents drawn with `generator`, shape (count, D)."""
        which = torch.multinomial(self.logits.softmax(-1), count, replacement=True, generator=generator)
        eps = torch.randn(count, self.loc.shape[-1], generator=generator, device=self.loc.device)
        return self.loc[which] + self.log_scale[which].exp() * eps
