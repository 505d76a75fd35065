"""The mixture prior."""

import torch
from torch import Tensor, nn

from vaecli.distributions.mixture import DiagonalMixture
from vaecli.priors.base import Prior

SPREAD = 0.5
"""Standard deviation of the means at the start, each latent's."""


class Mixture(Prior):
    """p(z) = sum_c pi_c N(z; m_c, diag(s_c^2)), whose weights, means and standard deviations are learned.

    A mixture as the prior of a VAE: Tomczak & Welling 2018, arXiv:1705.07120, section 2 ("MoG"). It begins near N(0, I): each
    latent's means are drawn with the standard deviation SPREAD, and have the rest of the variance around them.

    Args:
        latent_dim: size of z.
        components: how many Gaussians there are.
    """

    def __init__(self, latent_dim: int, components: int) -> None:
        super().__init__(latent_dim)
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(SPREAD * torch.randn(components, latent_dim))
        self.log_scale = nn.Parameter(torch.full((components, latent_dim), 1 - SPREAD**2).log() / 2)

    def forward(self) -> DiagonalMixture:
        """The mixture."""
        return DiagonalMixture(self.logits, self.loc, self.log_scale)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents drawn with `generator`, shape (count, latent_dim)."""
        return self.forward().sample(count, generator)
