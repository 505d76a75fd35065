"""The evidence lower bound."""

from dataclasses import dataclass

from torch import Tensor
from torch.distributions import kl_divergence

from vaecli.model import VAE
from vaecli.objectives.base import Bound
from vaecli.seeding import Noise


@dataclass(frozen=True)
class ELBO:
    """E_q[log p(x|z)] - kl_weight * KL(q(z|x) || p(z)) (Kingma & Welling 2014, eq. 10; beta-VAE: Higgins et al. 2017, eq. 4).

    Attributes:
        k: particles in the estimate of the expectation; more lower its variance and leave its mean.
        kl_weight: 1 for the ELBO; below 1 the value may exceed log p(x).
    """

    k: int
    kl_weight: float

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, noise: Noise) -> Bound:
        """Nats per image, shape (B,)."""
        q = model.posterior(x, y)
        z = q.rsample((self.k,), noise)
        reconstruction = model.likelihood(z, y).log_prob(x).mean(0)
        kl = kl_divergence(q, model.prior)
        return Bound(reconstruction - self.kl_weight * kl, reconstruction, kl)
