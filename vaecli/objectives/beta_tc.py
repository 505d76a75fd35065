"""The ELBO with another weight of the total correlation."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaecli.distributions.normal import DiagonalNormal
from vaecli.model import VAE
from vaecli.objectives.base import ALL, Batch, Bound, kl_with_free_bits


@dataclass(frozen=True)
class BetaTC:
    """E_q[log p(x|z)] - kl_weight * (MI + tc_weight * TC + sum_d KL(q(z_d) || p(z_d))) (Chen et al. 2018, arXiv:1802.04942).

    The mean of KL(q(z|x) || p(z)) over images is the sum of the mutual information MI of image and latents, the total correlation
    TC = KL(q(z) || prod_d q(z_d)) of the aggregate posterior q(z), and the divergence of each latent. So the value is that of the
    ELBO, with KL in closed form where it has one, less (tc_weight - 1) * TC.

    TC is estimated by minibatch-weighted sampling: q(z) is taken to be 1 / (N M) sum_j q(z|x_j) over the M images of
    the batch, N images being trained on, and each q(z_d) likewise. N lowers the value by the constant kl_weight *
    (tc_weight - 1) * (latent_dim - 1) * log N, and changes no gradient. The estimate takes M^2 * latent_dim numbers a particle.

    Attributes:
        k: particles.
        kl_weight: of all three terms.
        kl_warmup: epochs in which training raises that weight from 0.
        free_bits: nats of KL per latent that cost nothing, as in the ELBO.
        tc_weight: their beta; 1 is the ELBO.
    """

    k: int
    kl_weight: float | Tensor
    kl_warmup: float = 0.0
    free_bits: float = 0.0
    tc_weight: float = 4.0

    couples = True

    @property
    def draws(self) -> int:
        """Noise for each of the k particles."""
        return self.k

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor, batch: Batch = ALL) -> Bound:
        """Nats per image, shape (B,)."""
        w = model.log_weights(x, y, eps)
        q: Any = w.q
        loc, log_scale = batch.gather(torch.stack((q.loc, q.log_scale), 1)).unbind(1)
        tc = total_correlation(w.z, DiagonalNormal(loc, log_scale), batch.images or len(loc)).mean(0)
        kl = kl_with_free_bits(w, self.free_bits, batch)
        return Bound.of(w.reconstruction - self.kl_weight * (kl + (self.tc_weight - 1) * tc), w)


def total_correlation(z: Tensor, q: DiagonalNormal, images: int) -> Tensor:
    """Estimates log q(z) - sum_d log q(z_d) of latents z, shape (k, B, latent_dim), in nats, shape (k, B).

    Args:
        z: latents.
        q: the posteriors of the M images of the batch.
        images: N, those that are trained on.
    """
    by_latent = q.marginals.log_prob(z.unsqueeze(2).unsqueeze(-1))  # (k, B, M, latent_dim)
    log_size = math.log(images * len(q.loc))
    return by_latent.sum(-1).logsumexp(-1) - log_size - (by_latent.logsumexp(-2) - log_size).sum(-1)
