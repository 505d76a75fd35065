"""Samples from the prior, and reconstructions of images."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vaecli.arguments import Count, Seed, checked
from vaecli.data.images import UNKNOWN, Images
from vaecli.display import png, rows_of
from vaecli.errors import UsageError
from vaecli.image_shape import ImageShape
from vaecli.model import VAE
from vaecli.seeding import generator


@dataclass(frozen=True)
class Samples:
    """Images decoded from draws of the prior.

    Attributes:
        z: the latents, shape (L * n, latent_dim): the same n for each of L labels.
        labels: the L labels; empty for a model without labels.
        mean: the means of p(x | z, y), shape (L * n, D).
        draw: an image drawn from each, shape (L * n, D).
        shape: of each image.
    """

    z: Tensor
    labels: tuple[int, ...]
    mean: Tensor
    draw: Tensor
    shape: ImageShape

    def grid(self) -> Tensor:
        """What a notebook shows, bytes of shape (3, height, width): means, and draws below them."""
        return rows_of(self.mean, self.draw, shape=self.shape)

    def _repr_png_(self) -> bytes:
        return png(self.grid())


@dataclass(frozen=True)
class Reconstructions:
    """Images encoded and decoded again.

    Attributes:
        x: the images as the likelihood sees them, shape (N, D).
        mean: the means of p(x | z, y) for a z drawn from each posterior, shape (N, D).
        draw: an image drawn from each, shape (N, D).
        shape: of each image.
    """

    x: Tensor
    mean: Tensor
    draw: Tensor
    shape: ImageShape

    def grid(self) -> Tensor:
        """What a notebook shows, bytes of shape (3, height, width): images, and their means and draws below them."""
        return rows_of(self.x, self.mean, self.draw, shape=self.shape)

    def _repr_png_(self) -> bytes:
        return png(self.grid())


@checked
@torch.inference_mode()
def sample(model: VAE, n: Count = 10, *, labels: Sequence[int] = (), seed: Seed = 0) -> Samples:
    """Draws images from the prior.

    Args:
        model: on any device.
        n: how many latents.
        labels: decode the latents with each of these labels; of a conditional model all labels if not given.
        seed: of the latents and of the draws from the pixels.

    Raises:
        UsageError: labels are given and the model has none, or others; another argument is wrong.

    Example:
        >>> vaecli.sample(vaecli.load("baseline").model, 3).mean.shape
        torch.Size([3, 784])
    """
    model.eval()
    if labels and not model.conditional:
        raise UsageError("{labels}: the model was trained without labels, expected a conditional one", labels=labels)
    chosen = tuple(labels or range(model.labels))
    if not all(0 <= label < model.labels for label in chosen):
        raise UsageError(f"{{labels}}: expected each from 0 to {model.labels - 1}", labels=labels)
    device = model.device
    noise = generator(device, "sample", seed)
    # the images of a column share their z, so that only the label changes
    z = model.prior.sample(n, noise).repeat(max(1, len(chosen)), 1)
    y = model.condition(torch.tensor(chosen, device=device).repeat_interleave(n)) if chosen else None
    likelihood = model.decode(z, y)
    return Samples(z, chosen, likelihood.mean, likelihood.sample(generator=noise), model.image_shape)


@checked
@torch.inference_mode()
def reconstruct(model: VAE, images: Images, *, labels_known: bool = True, seed: Seed = 0) -> Reconstructions:
    """Encodes images, draws a latent from each posterior, and decodes it.

    Args:
        model: on the same device as `images`.
        images: with their labels.
        labels_known: whether a conditional model sees them.
        seed: of the latents and of the draws from the pixels.

    Example:
        >>> digits = vaecli.load_images("mnist", "test", limit=3)
        >>> vaecli.reconstruct(vaecli.load("baseline").model, digits).mean.shape
        torch.Size([3, 784])
    """
    model.eval()
    noise = generator(images.pixels.device, "reconstruct", seed)
    x = model.observe(images.pixels)
    y = model.condition(images.labels if labels_known else torch.full_like(images.labels, UNKNOWN))
    z = model.encode(x, y).transform(torch.randn(1, len(x), model.latent_dim, generator=noise, device=x.device))
    likelihood = model.decode(z[0], y)
    return Reconstructions(x, likelihood.mean, likelihood.sample(generator=noise), model.image_shape)
