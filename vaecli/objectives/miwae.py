"""The mean of several importance-weighted bounds."""

import math
from dataclasses import dataclass

from torch import Tensor

from vaecli.model import VAE
from vaecli.objectives.base import Bound


@dataclass(frozen=True)
class MIWAE:
    """The mean of M = `groups` independent L_k, 1/M sum_m [logsumexp_i log_w_mi - log k].

    Rainforth et al. 2018, arXiv:1802.04537. It has the mean of L_k, and a gradient of M times less variance: the encoder's
    signal does not vanish in the noise, as it does with more particles in one bound.

    Attributes:
        k: particles of each bound.
        groups: bounds; one is IWAE, and with k = 1 it is the ELBO of M particles.
    """

    k: int
    groups: int

    @property
    def draws(self) -> int:
        """Noise for each particle of each group, group by group."""
        return self.groups * self.k

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor) -> Bound:
        """Nats per image, shape (B,)."""
        w = model.log_weights(x, y, eps)
        bounds = w.log_w.unflatten(0, (self.groups, self.k)).logsumexp(1) - math.log(self.k)
        return Bound.of(bounds.mean(0), w)
