"""The prior of two stochastic layers."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vaecli.distributions.normal import DiagonalNormal
from vaecli.distributions.two_layers import TwoLayers, check_layers
from vaecli.networks.mlp import Dense
from vaecli.priors.base import Prior


class TwoLayer(Prior):
    """p(z) = p(z2) p(z1 | z2), p(z2) = N(0, I), p(z1 | z2) = N(mu(z2), diag(sigma(z2)^2)); the decoder sees z1.

    Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, section 5. z is z1 and z2 side by side.

    Args:
        latent_dim: size of z.
        second_latents: size of z2, less than latent_dim.
        prior_hidden: units of the hidden layers of the network from z2 to mu and log sigma.

    Raises:
        UsageError: nothing is left for z1.
    """

    def __init__(self, latent_dim: int, second_latents: int, prior_hidden: Sequence[int]) -> None:
        check_layers(latent_dim, second_latents)
        super().__init__(latent_dim, decoded=latent_dim - second_latents)
        self.network = Dense(second_latents, 0, (*prior_hidden, 2 * self.decoded))
        self.register_buffer("zeros", torch.zeros(second_latents), persistent=False)
        self.zeros: Tensor

    def forward(self) -> TwoLayers:
        """The density of both layers."""
        return TwoLayers(DiagonalNormal(self.zeros, self.zeros), self.network, given_is_left=False)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents drawn with `generator`, shape (count, latent_dim)."""
        return self.forward().transform(torch.randn(count, self.latent_dim, generator=generator, device=self.zeros.device))
