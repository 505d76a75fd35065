"""The importance-weighted bound with doubly reparameterised gradients."""

import math
from dataclasses import dataclass

from torch import Tensor

from vaecli.model import VAE
from vaecli.objectives.base import Bound


@dataclass(frozen=True)
class DReG:
    """L_k as in IWAE; for the encoder its gradient is sum_i w~_i^2 (d log_w_i / d z_i) (d z_i / d phi).

    Tucker, Lawson, Gu & Maddison 2018, arXiv:1810.04152, eq. 8. The mean of the gradient is IWAE's. Its variance is
    usually lower, though no theorem says so, and the signal does not vanish in the noise as k grows. The decoder's gradient is
    IWAE's own.

    Attributes:
        k: particles.
    """

    k: int

    @property
    def draws(self) -> int:
        """Noise for each of the k particles."""
        return self.k

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor) -> Bound:
        """Nats per image, shape (B,)."""
        w = model.log_weights(x, y, eps)
        # a gradient through z alone: the score of q has mean zero, and leaving it out is the first half of the method
        log_w = w.likelihood + w.prior - w.q.detached().log_prob(w.z)
        if w.z.requires_grad:
            weights = log_w.detach().softmax(0).unsqueeze(-1)
            w.z.register_hook(lambda gradient: gradient * weights)
        return Bound.of(log_w.logsumexp(0) - math.log(self.k), w)
