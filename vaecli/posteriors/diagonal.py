"""The diagonal Gaussian posterior."""

from torch import Tensor

from vaecli.distributions.normal import DiagonalNormal
from vaecli.posteriors.base import Posterior

MAX_LOG_SCALE = 20.0


class Diagonal(Posterior):
    """q(z | x, y) = N(mu, diag(sigma^2)); the encoder gives mu and log sigma (Kingma & Welling 2014, arXiv:1312.6114).

    log sigma is clamped to within 20 of 0, where sigma^2 and its inverse are finite in float32.
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__(latent_dim, 2 * latent_dim)

    def forward(self, h: Tensor, y: Tensor | None = None) -> DiagonalNormal:
        """The posteriors of h, shape (B, 2 * latent_dim): loc and log_scale side by side."""
        loc, log_scale = h.chunk(2, -1)
        return DiagonalNormal(loc, log_scale.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE))
