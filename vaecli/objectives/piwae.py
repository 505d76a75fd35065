"""The importance-weighted bound for the decoder, the mean of several for the encoder."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vaecli.model import VAE
from vaecli.objectives.base import Bound

LEAST = -60.0
"""The log of the least weight that a group has of all in the decoder's gradient, 1e-26: nothing there, and no underflow before the
encoder's gradient divides by it."""


@dataclass(frozen=True)
class PIWAE:
    """L_k of all particles, whose gradient is that of IWAE for the decoder and prior, and that of MIWAE for the encoder.

    Rainforth et al. 2018, arXiv:1802.04537 ("partially importance weighted"): the decoder has the tightest bound, the
    encoder the gradient with more signal. With M = `groups`, the particles' weights in the decoder's gradient are their share of
    all M * k weights, in the encoder's a share of their own group's, divided by M. Both come from one pass through the decoder.

    Attributes:
        k: particles of each group.
        groups: M; one is IWAE.
    """

    k: int
    groups: int

    @property
    def draws(self) -> int:
        """Noise for each particle of each group, group by group."""
        return self.groups * self.k

    def __call__(self, model: VAE, x: Tensor, y: Tensor | None, eps: Tensor) -> Bound:
        """Nats per image, shape (B,)."""
        w = model.log_weights(x, y, eps)
        seen = replace(w, z=w.z.view_as(w.z))  # by decoder and prior alone
        log_joint = seen.likelihood + seen.prior
        log_w = (log_joint - w.posterior).detach()
        groups = log_w.unflatten(0, (self.groups, self.k))
        encoder = (groups.softmax(1) / self.groups).flatten(0, 1)
        of_all = groups.logsumexp(1) - log_w.logsumexp(0) + math.log(self.groups)
        ratio = of_all.clamp(min=LEAST).exp().repeat_interleave(self.k, 0)
        if seen.z.requires_grad:
            seen.z.register_hook(lambda gradient: gradient / ratio.unsqueeze(-1))
        value = (encoder * ratio * log_joint - encoder * w.posterior).sum(0)  # of the right gradient
        bound = log_w.logsumexp(0) - math.log(self.draws)
        with torch.no_grad():
            reconstruction, kl = seen.reconstruction, w.kl
        return Bound(bound + (value - value.detach()), reconstruction, kl, w.kl_is_exact)
