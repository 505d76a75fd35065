"""The Jensen-Shannon divergence instead of KL."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import kl_divergence

from vaecli.model import VAE
from vaecli.objectives.base import Bound
from vaecli.seeding import Noise


@dataclass(frozen=True)
class JSD:
    """E_q[log p(x|z)] - JSD(q(z|x) || p(z)), where JSD(q || p) = 1/2 KL(q || m) + 1/2 KL(p || m) and m = (q + p) / 2.

    Lin 1991, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37(1). Each of the two KL divergences
    is estimated with samples from its own first argument. JSD lies between 0 and log 2, so the value is not a bound on log p(x).

    Attributes:
        k: particles, of the posterior and of the prior.
    """

    k: int

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, noise: Noise) -> Bound:
        """Nats per image, shape (B,)."""
        q, p = model.posterior(x, y), model.prior
        z = q.rsample((self.k,), noise)
        z_prior = p.rsample((self.k, len(x)), noise)
        reconstruction = model.likelihood(z, y).log_prob(x).mean(0)

        def log_m(at: Tensor) -> Tensor:
            return torch.logaddexp(q.log_prob(at), p.log_prob(at)) - math.log(2)

        jsd = 0.5 * (q.log_prob(z) - log_m(z) + p.log_prob(z_prior) - log_m(z_prior)).mean(0)
        with torch.no_grad():
            kl = kl_divergence(q, p)
        return Bound(reconstruction - jsd, reconstruction, kl)
