"""The Gaussian posterior with a full covariance."""

import torch
from torch import Tensor

from vaecli.distributions.full_normal import FullNormal
from vaecli.posteriors.base import Posterior

MAX_LOG_DIAGONAL = 10.0


class Full(Posterior):
    """q(z | x, y) = N(mu, L L^T); the encoder gives mu and the lower triangle of L, whose diagonal is exponentiated.

    Kingma & Welling 2019, arXiv:1906.02691, section 2.5.1. The log of the diagonal is clamped to within MAX_LOG_DIAGONAL of 0.
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__(latent_dim, latent_dim + latent_dim * (latent_dim + 1) // 2)

    def forward(self, h: Tensor, y: Tensor | None = None) -> FullNormal:
        """The posteriors of h, shape (B, features): loc, then the triangle row by row."""
        loc, rest = h.split([self.latent_dim, self.features - self.latent_dim], -1)
        rows, columns = torch.tril_indices(self.latent_dim, self.latent_dim, device=h.device)
        triangle = h.new_zeros(*h.shape[:-1], self.latent_dim, self.latent_dim)
        triangle[..., rows, columns] = rest
        diagonal = triangle.diagonal(dim1=-2, dim2=-1).clamp(-MAX_LOG_DIAGONAL, MAX_LOG_DIAGONAL)
        return FullNormal(loc, triangle.tril(-1) + torch.diag_embed(diagonal.exp()))
