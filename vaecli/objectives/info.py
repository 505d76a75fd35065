"""The ELBO with the maximum mean discrepancy between all codes and the prior."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaecli.model import VAE
from vaecli.objectives.base import ALL, Batch, Bound, kl_with_free_bits


@dataclass(frozen=True)
class Info:
    """E_q[log p(x|z)] - kl_weight * KL(q(z|x) || p(z)) - mmd_weight * MMD^2(q(z) || p(z)), q(z) the aggregate posterior.

    Zhao, Song & Ermon 2017, arXiv:1706.02262, with their alpha = 1 - kl_weight and lambda = mmd_weight + kl_weight. MMD^2 is
    the unbiased estimate of Gretton et al. 2012, JMLR 13, by the latents of the batch and as many draws of the prior.

    The kernel is the inverse multiquadratic C / (C + |z - z'|^2) with C = 2 latent_dim (Tolstikhin et al. 2018, arXiv:1711.01558):
    C is the mean squared distance of two draws of N(0, I), so that no width has to be chosen, and latents that lie far from the
    prior are still drawn to it, where a Gaussian kernel's gradient vanishes.

    Attributes:
        k: particles, of the posterior and of the prior.
        kl_weight: 1 leaves the ELBO whole; 0 is the paper's MMD-VAE.
        kl_warmup: epochs in which training raises that weight from 0.
        free_bits: nats of KL per latent that cost nothing, as in the ELBO.
        mmd_weight: 0 is the ELBO; MMD^2 is at most 2.
    """

    k: int
    kl_weight: float | Tensor
    kl_warmup: float = 0.0
    free_bits: float = 0.0
    mmd_weight: float = 100.0

    couples = True

    @property
    def draws(self) -> int:
        """Noise for each of the k particles of the posterior, then for those of the prior."""
        return 2 * self.k

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor, batch: Batch = ALL) -> Bound:
        """Nats per image, shape (B,)."""
        w = model.log_weights(x, y, eps[: self.k])
        p: Any = w.p
        drawn = p.transform(eps[self.k :])
        all_z, all_drawn = batch.gather(torch.cat((w.z, drawn)).transpose(0, 1)).transpose(0, 1).split(self.k)
        mmd = discrepancy(w.z, drawn, all_z, all_drawn).mean(0)
        kl = kl_with_free_bits(w, self.free_bits, batch)
        return Bound.of(w.reconstruction - self.kl_weight * kl - self.mmd_weight * mmd, w)


def discrepancy(z: Tensor, p: Tensor, all_z: Tensor, all_p: Tensor) -> Tensor:
    """The shares of B images in MMD^2, whose mean over the M images of a batch is its unbiased estimate: shape (k, B).

    Args:
        z: latents of the images, shape (k, B, latent_dim).
        p: as many draws of the prior, the same for all but them.
        all_z: the latents of all images of the batch, shape (k, M, latent_dim).
        all_p: their draws of the prior.
    """
    count = all_z.shape[1]
    others = max(1, count - 1)  # a batch of one image has no others

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        """The sum over b, shape (k, B)."""
        squares = a.square().sum(-1, keepdim=True) + b.square().sum(-1).unsqueeze(1) - 2 * a @ b.transpose(1, 2)
        width = 2 * a.shape[-1]
        return (width / (width + squares.clamp(min=0))).sum(-1)

    within = kernel(z, all_z) + kernel(p, all_p) - 2  # but of itself
    return within / others - (kernel(z, all_p) + kernel(p, all_z)) / count
