"""The Jensen-Shannon divergence instead of KL."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vaecli.model import VAE
from vaecli.objectives.base import Bound


@dataclass(frozen=True)
class JSD:
    """E_q[log p(x|z)] - JSD(q(z|x) || p(z)), where JSD(q || p) = 1/2 KL(q || m) + 1/2 KL(p || m) and m = (q + p) / 2.

    Lin 1991, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37(1). Each of the two KL divergences
    is estimated with samples from its own first argument. JSD lies between 0 and log 2, so the value is not a bound on log p(x).

    Attributes:
        k: particles, of the posterior and of the prior.
    """

    k: int

    @property
    def draws(self) -> int:
        """Noise for each of the k particles of the posterior, then for those of the prior."""
        return 2 * self.k

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor) -> Bound:
        """Nats per image, shape (B,)."""
        w, p = model.log_weights(x, y, eps[: self.k]), model.prior()
        z = p.transform(eps[self.k :])
        log_p = p.log_prob(z)
        below_m = w.posterior - torch.logaddexp(w.posterior, w.prior) + log_p - torch.logaddexp(w.q.log_prob(z), log_p)
        return Bound.of(w.reconstruction - 0.5 * below_m.mean(0) - math.log(2), w)
