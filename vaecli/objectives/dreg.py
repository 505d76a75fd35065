"""The importance-weighted bound with doubly reparameterised gradients."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import kl_divergence

from vaecli.distributions.normal import DiagonalNormal
from vaecli.model import VAE
from vaecli.objectives.base import Bound
from vaecli.seeding import Noise


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

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, noise: Noise) -> Bound:
        """Nats per image, shape (B,)."""
        q = model.posterior(x, y)
        z = q.rsample((self.k,), noise)
        log_likelihood = model.likelihood(z, y).log_prob(x)
        # a gradient through z alone: the score of q has mean zero, and leaving it out is the first half of the method
        log_q = DiagonalNormal(q.loc.detach(), q.log_scale.detach()).log_prob(z)
        log_w = log_likelihood + model.prior.log_prob(z) - log_q
        if z.requires_grad:
            weights = log_w.detach().softmax(0).unsqueeze(-1)
            z.register_hook(lambda gradient: gradient * weights)
        value = log_w.logsumexp(0) - math.log(self.k)
        with torch.no_grad():
            return Bound(value, log_likelihood.mean(0), kl_divergence(q, model.prior))
