"""The posterior of two stochastic layers."""

from collections.abc import Sequence

from torch import Tensor

from vaecli.distributions.normal import DiagonalNormal
from vaecli.distributions.two_layers import TwoLayers, check_layers
from vaecli.networks.mlp import Dense
from vaecli.posteriors.base import Posterior
from vaecli.posteriors.diagonal import MAX_LOG_SCALE


class TwoLayer(Posterior):
    """q(z | x, y) = q(z1 | x, y) q(z2 | z1), Gaussians of independent latents; the encoder gives the first of them.

    Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, section 5. z is z1 and z2 side by side.

    Args:
        latent_dim: size of z.
        second_latents: size of z2, less than latent_dim.
        posterior_hidden: units of the hidden layers of the network from z1 to the mean and log sigma of z2.

    Raises:
        UsageError: nothing is left for z1.
    """

    def __init__(self, latent_dim: int, second_latents: int, posterior_hidden: Sequence[int]) -> None:
        check_layers(latent_dim, second_latents)
        first = latent_dim - second_latents
        super().__init__(latent_dim, 2 * first)
        self.network = Dense(first, 0, (*posterior_hidden, 2 * second_latents))

    def forward(self, h: Tensor, y: Tensor | None = None) -> TwoLayers:
        """The posteriors of h, shape (B, features): the loc and log_scale of z1 side by side."""
        loc, log_scale = h.chunk(2, -1)
        first = DiagonalNormal(loc, log_scale.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE))
        return TwoLayers(first, self.network, given_is_left=True)
