"""The base of all priors."""

import torch
from torch import Tensor, nn

from vaecli.distributions.latents import LatentDistribution


class Prior(nn.Module):
    """A module that gives p(z); its parameters, if it has any, are trained with the networks.

    A member is made as ``Member(latent_dim, **options)``. It may have the method ``quantile(u)``, from u in (0, 1), shape
    (..., latent_dim), to latents of that shape whose coordinates are independent, which ``latent-plot --manifold`` needs.

    Attributes:
        latent_dim: size of z.
        decoded: how many of the latents, the first ones, the decoder sees; all of them but in a hierarchy.
    """

    def __init__(self, latent_dim: int, decoded: int | None = None) -> None:
        super().__init__()
        self.latent_dim, self.decoded = latent_dim, latent_dim if decoded is None else decoded

    def forward(self) -> LatentDistribution:
        """p(z), of batch shape ()."""
        raise NotImplementedError

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents drawn with `generator`, which is on the prior's device: shape (count, latent_dim)."""
        raise NotImplementedError
