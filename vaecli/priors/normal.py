"""The standard normal prior."""

import torch
from torch import Tensor

from vaecli.distributions.normal import DiagonalNormal
from vaecli.priors.base import Prior


class StandardNormal(Prior):
    """p(z) = N(0, I) (Kingma & Welling 2014, arXiv:1312.6114).

    Example:
        >>> StandardNormal(2).sample(3, torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2])
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.register_buffer("zeros", torch.zeros(latent_dim), persistent=False)
        self.zeros: Tensor

    def forward(self) -> DiagonalNormal:
        """N(0, I)."""
        return DiagonalNormal(self.zeros, self.zeros)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents drawn with `generator`, shape (count, latent_dim)."""
        return self.forward().rsample((count,), generator)

    def quantile(self, u: Tensor) -> Tensor:
        """The quantiles of each coordinate, for u in (0, 1) of shape (..., latent_dim)."""
        z: Tensor = torch.special.ndtri(u)
        return z
