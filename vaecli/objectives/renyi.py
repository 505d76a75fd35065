"""The variational Renyi bound."""

import math
from dataclasses import dataclass

from torch import Tensor

from vaecli.model import VAE
from vaecli.objectives.base import Bound


@dataclass(frozen=True)
class Renyi:
    """1/(1-a) [logsumexp_i (1-a) log_w_i - log k], a = order: log p(x) less the Renyi divergence of q(z|x) from p(z|x).

    Li & Turner 2016, arXiv:1602.02311. It falls as a grows: at 0 it is L_k, at 1 the mean of log_w, the ELBO, and from there
    on to the least log_w, below 0 to the greatest. Only from 0 to 1 is it a lower bound in expectation, whatever k is: below 0
    it may exceed log p(x), and above 1 few particles make it too large.

    Attributes:
        k: particles.
        order: a, which the paper calls alpha.
    """

    k: int
    order: float

    @property
    def draws(self) -> int:
        """Noise for each of the k particles."""
        return self.k

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor) -> Bound:
        """Nats per image, shape (B,)."""
        w = model.log_weights(x, y, eps)
        power = 1 - self.order
        if power == 0:
            return Bound.of(w.log_w.mean(0), w)
        return Bound.of(((power * w.log_w).logsumexp(0) - math.log(self.k)) / power, w)
