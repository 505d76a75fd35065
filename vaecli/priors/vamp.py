"""The variational mixture of posteriors as a prior."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vaecli.distributions.mixture import DiagonalMixture
from vaecli.priors.base import Prior

NOISE = 0.01
"""Standard deviation by which pseudo-inputs differ from the images that they begin at."""


class Vamp(Prior):
    """p(z) = sum_c pi_c q(z | u_c): the posteriors of learned pseudo-inputs u_c, mixed with learned weights.

    Tomczak & Welling 2018, arXiv:1705.07120, section 3. The pseudo-inputs are images, with as many entries of y beside them where
    the model has labels. They begin at training images, and are not bound to the values of pixels. A step takes one more pass of
    the encoder, of all of them. Where q(z | u_c) is narrower than a hundredth, its standard deviations are that.

    Args:
        latent_dim: size of z.
        components: how many pseudo-inputs there are.
    """

    def __init__(self, latent_dim: int, components: int) -> None:
        super().__init__(latent_dim)
        self.examples = components
        self.logits = nn.Parameter(torch.zeros(components))

    def attach(self, posterior: Callable[[Tensor, Tensor | None], Any], pixels: int, labels: int) -> None:
        """Makes the pseudo-inputs, each of so many pixels and labels."""
        self._posterior, self._pixels = posterior, pixels
        self.inputs = nn.Parameter(torch.rand(self.examples, pixels + labels))

    @torch.no_grad()
    def begin(self, x: Tensor, y: Tensor | None, noise: torch.Generator) -> None:
        """Puts the pseudo-inputs at images x, shape (N, pixels), and their labels y; several at one where there are too few."""
        at = x if y is None else torch.cat((x, y), 1)
        at = at.repeat(-(-self.examples // len(at)), 1)[: self.examples]
        self.inputs.copy_(at + NOISE * torch.randn(at.shape, generator=noise))

    def forward(self) -> DiagonalMixture:
        """The mixture."""
        x, y = self.inputs.split([self._pixels, self.inputs.shape[1] - self._pixels], 1)
        q = self._posterior(x, y if y.shape[1] else None)
        return DiagonalMixture(self.logits, q.loc, q.log_scale)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents drawn with `generator`, shape (count, latent_dim)."""
        return self.forward().sample(count, generator)
