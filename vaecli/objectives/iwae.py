"""The importance-weighted bound."""

import math
from dataclasses import dataclass

from torch import Tensor

from vaecli.model import VAE
from vaecli.objectives.base import Bound


@dataclass(frozen=True)
class IWAE:
    """L_k = E[logsumexp_i log_w_i - log k] with log_w = log p(x|z) + log p(z) - log q(z|x).

    Burda, Grosse & Salakhutdinov 2015, arXiv:1509.00519, eq. 8. Its gradient is their eq. 14: the derivative of logsumexp is
    the normalised weights.

    Attributes:
        k: particles; L_1 is the ELBO, and L_k rises towards log p(x) with k.
    """

    k: int

    @property
    def draws(self) -> int:
        """Noise for each of the k particles."""
        return self.k

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor) -> Bound:
        """Nats per image, shape (B,)."""
        w = model.log_weights(x, y, eps)
        return Bound.of(w.log_w.logsumexp(0) - math.log(self.k), w)
