"""The base of all priors."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vaecli.distributions.latents import LatentDistribution, PosteriorDistribution


class Prior(nn.Module):
    """A module that gives p(z); its parameters, if it has any, are trained with the networks.

    A member is made as ``Member(latent_dim, **options)``. It may have the method ``quantile(u)``, from u in (0, 1), shape
    (..., latent_dim), to latents of that shape whose coordinates are independent, which ``latent-plot --manifold`` needs.

    Attributes:
        latent_dim: size of z.
        decoded: how many of the latents, the first ones, the decoder sees; all of them but in a hierarchy.
        examples: how many training images `begin` takes.
    """

    examples = 0

    def __init__(self, latent_dim: int, decoded: int | None = None) -> None:
        super().__init__()
        self.latent_dim, self.decoded = latent_dim, latent_dim if decoded is None else decoded

    def forward(self) -> LatentDistribution:
        """p(z), of batch shape ()."""
        raise NotImplementedError

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents drawn with `generator`, which is on the prior's device: shape (count, latent_dim)."""
        raise NotImplementedError

    def attach(self, posterior: Callable[[Tensor, Tensor | None], PosteriorDistribution], pixels: int, labels: int) -> None:
        """Called once, by the model that the prior is of: makes what depends on the other parts, which most priors do not.

        Args:
            posterior: gives the model's q(z | x, y) of images x, shape (B, pixels), and labels y, shape (B, labels) or None.
            pixels: values of an image.
            labels: entries of y; 0 for a model without labels.
        """

    def begin(self, x: Tensor, y: Tensor | None, noise: torch.Generator) -> None:
        """Called before training, if there are `examples`, with as many images, or all if there are fewer, and their labels."""
