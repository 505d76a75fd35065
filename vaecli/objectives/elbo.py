"""The evidence lower bound."""

from dataclasses import dataclass

from torch import Tensor

from vaecli.model import VAE
from vaecli.objectives.base import Bound


@dataclass(frozen=True)
class ELBO:
    """E_q[log p(x|z)] - kl_weight * KL(q(z|x) || p(z)) (Kingma & Welling 2014, eq. 10; beta-VAE: Higgins et al. 2017, eq. 4).

    Attributes:
        k: particles in the estimate of the expectation; more lower its variance and leave its mean.
        kl_weight: 1 for the ELBO; below 1 the value may exceed log p(x).
    """

    k: int
    kl_weight: float

    @property
    def draws(self) -> int:
        """Noise for each of the k particles."""
        return self.k

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor) -> Bound:
        """Nats per image, shape (B,)."""
        w = model.log_weights(x, y, eps)
        return Bound.of(w.reconstruction - self.kl_weight * w.kl, w)
