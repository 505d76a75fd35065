"""The evidence lower bound."""

from dataclasses import dataclass

from torch import Tensor

from vaecli.model import VAE
from vaecli.objectives.base import ALL, Batch, Bound, kl_with_free_bits


@dataclass(frozen=True)
class ELBO:
    """E_q[log p(x|z)] - kl_weight * KL(q(z|x) || p(z)) (Kingma & Welling 2014, eq. 10; beta-VAE: Higgins et al. 2017, eq. 4).

    Attributes:
        k: particles in the estimate of the expectation; more lower its variance and leave its mean.
        kl_weight: 1 for the ELBO; below 1 the value may exceed log p(x).
        kl_warmup: epochs in which training raises the weight from 0 (`vaecli.training.schedules.kl_weight`).
        free_bits: nats of KL per latent that cost nothing (`vaecli.objectives.base.kl_with_free_bits`).
    """

    k: int
    kl_weight: float | Tensor
    kl_warmup: float = 0.0
    free_bits: float = 0.0

    @property
    def draws(self) -> int:
        """Noise for each of the k particles."""
        return self.k

    @property
    def couples(self) -> bool:
        """Free bits are of the mean over a batch."""
        return self.free_bits > 0

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor, batch: Batch = ALL) -> Bound:
        """Nats per image, shape (B,)."""
        w = model.log_weights(x, y, eps)
        return Bound.of(w.reconstruction - self.kl_weight * kl_with_free_bits(w, self.free_bits, batch), w)
