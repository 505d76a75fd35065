"""The importance-weighted bound."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import kl_divergence

from vaecli.model import VAE
from vaecli.objectives.base import Bound
from vaecli.seeding import Noise


@dataclass(frozen=True)
class IWAE:
    """L_k = E[logsumexp_i log_w_i - log k] with log_w = log p(x|z) + log p(z) - log q(z|x).

    Burda, Grosse & Salakhutdinov 2015, arXiv:1509.00519, eq. 8. Its gradient is their eq. 14: the derivative of logsumexp is
    the normalised weights.

    Attributes:
        k: particles; L_1 is the ELBO, and L_k rises towards log p(x) with k.
    """

    k: int

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, noise: Noise) -> Bound:
        """Nats per image, shape (B,)."""
        q = model.posterior(x, y)
        z = q.rsample((self.k,), noise)
        log_likelihood = model.likelihood(z, y).log_prob(x)
        log_w = log_likelihood + model.prior.log_prob(z) - q.log_prob(z)
        value = log_w.logsumexp(0) - math.log(self.k)
        with torch.no_grad():
            return Bound(value, log_likelihood.mean(0), kl_divergence(q, model.prior))
