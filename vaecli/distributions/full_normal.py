"""The Gaussian with a full covariance."""

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, register_kl

from vaecli.distributions.normal import REACH, DiagonalNormal


class FullNormal(Distribution):
    """N(loc, L L^T) over latents.

    Args:
        loc: means, shape (B, D).
        scale_tril: L, lower triangles with a positive diagonal, shape (B, D, D).
    """

    arg_constraints = {}

    def __init__(self, loc: Tensor, scale_tril: Tensor) -> None:
        self.loc, self.scale_tril = loc, scale_tril
        super().__init__(loc.shape[:-1], loc.shape[-1:])

    @property
    def mean(self) -> Tensor:
        """The means loc, shape (B, D)."""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """The standard deviations of each latent, shape (B, D)."""
        return self.scale_tril.square().sum(-1).sqrt()

    @property
    def log_volume(self) -> Tensor:
        """The values of log det L, shape (B,)."""
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    @property
    def extent(self) -> Tensor:
        """Half the length of an edge of the box around 0 that holds the mass, shape (B,)."""
        return (self.loc.abs() + REACH * self.stddev).amax(-1)

    @property
    def narrowest(self) -> Tensor:
        """The standard deviations in the narrowest direction, shape (B,)."""
        widths: Tensor = torch.linalg.svdvals(self.scale_tril).amin(-1)
        return widths

    def detached(self) -> "FullNormal":
        """The same distribution, through whose parameters no gradient goes."""
        return FullNormal(self.loc.detach(), self.scale_tril.detach())

    def transform(self, eps: Tensor) -> Tensor:
        """The latents loc + L eps, shape (..., B, D) as eps."""
        return self.loc + torch.einsum("bij,...bj->...bi", self.scale_tril, eps)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log density of latents of shape (..., B, D), in nats, shape (..., B)."""
        distance = value - self.loc
        columns = distance.flatten(0, -3).permute(1, 2, 0) if distance.ndim > 2 else distance.unsqueeze(-1)
        eps = torch.linalg.solve_triangular(self.scale_tril, columns, upper=False)
        squares: Tensor = eps.square().sum(1).mT.reshape(distance.shape[:-1])
        return -0.5 * squares - self.log_volume - 0.5 * math.log(2 * math.pi) * distance.shape[-1]


@register_kl(FullNormal, DiagonalNormal)  # type: ignore[untyped-decorator]
def _kl(q: FullNormal, p: DiagonalNormal) -> Tensor:
    """KL(q || p) in nats, in closed form."""
    ratio = (q.scale_tril / p.stddev.unsqueeze(-1)).square().sum((-2, -1))
    distance = ((q.loc - p.loc) / p.stddev).square().sum(-1)
    return 0.5 * (ratio + distance - q.loc.shape[-1]) + p.log_scale.sum(-1) - q.log_volume
