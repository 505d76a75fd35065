"""The evidence lower bound without the score term in its gradient."""

from dataclasses import dataclass

from torch import Tensor

from vaecli.model import VAE
from vaecli.objectives.base import ALL, Batch, Bound, free_bits


@dataclass(frozen=True)
class STL:
    """The ELBO, E_q[log p(x|z) - kl_weight * (log q(z|x) - log p(z))], whose gradient reaches the encoder through z alone.

    Roeder, Wu & Duvenaud 2017, arXiv:1703.09194 ("sticking the landing"). The term that is left out, the score of q, has mean zero,
    so the mean of the gradient is the ELBO's; with kl_weight 1 its variance is zero where q(z|x) is p(z|x). KL is estimated by the
    particles: the gradient of a closed form would not cancel the noise of the reconstruction's.

    Attributes:
        k: particles.
        kl_weight: as of the ELBO.
        kl_warmup: epochs in which training raises the weight from 0.
        free_bits: nats of KL per latent that cost nothing, of all latents together.
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
        kl = (w.q.detached().log_prob(w.z) - w.prior).mean(0)
        if self.free_bits:
            kl = free_bits(kl.unsqueeze(-1), self.free_bits * model.latent_dim, batch)
        return Bound.of(w.reconstruction - self.kl_weight * kl, w)
