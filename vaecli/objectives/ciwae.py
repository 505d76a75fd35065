"""A mean of the ELBO and the importance-weighted bound."""

import math
from dataclasses import dataclass

from torch import Tensor

from vaecli.model import VAE
from vaecli.objectives.base import Bound


@dataclass(frozen=True)
class CIWAE:
    """elbo_weight * ELBO + (1 - elbo_weight) * L_k (Rainforth et al. 2018, arXiv:1802.04537, with their beta).

    Attributes:
        k: particles, of both.
        elbo_weight: 0 is IWAE, 1 the ELBO with k particles.
    """

    k: int
    elbo_weight: float

    @property
    def draws(self) -> int:
        """Noise for each of the k particles."""
        return self.k

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor) -> Bound:
        """Nats per image, shape (B,)."""
        w = model.log_weights(x, y, eps)
        bound = w.log_w.logsumexp(0) - math.log(self.k)
        return Bound.of(self.elbo_weight * (w.reconstruction - w.kl) + (1 - self.elbo_weight) * bound, w)
