"""The posteriors of images."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vaecli.arguments import checked
from vaecli.data.images import Images
from vaecli.distributions.latents import PosteriorDistribution
from vaecli.model import VAE, check_finite

BATCH = 1000


@dataclass(frozen=True)
class Encoded:
    """The posteriors of N images, on the CPU.

    Attributes:
        mean: the means, shape (N, latent_dim).
        stddev: the standard deviations of each latent, shape (N, latent_dim).
    """

    mean: Tensor
    stddev: Tensor


@checked
@torch.inference_mode()
def encode(model: VAE, images: Images) -> Encoded:
    """The posteriors q(z | x, y) of N images.

    Args:
        model: on the same device as `images`.
        images: with their labels, which a conditional model sees.

    Raises:
        VaecliError: an argument is wrong, or the encoder gives values that are no finite numbers.

    Example:
        >>> q = vaecli.encode(vaecli.load("baseline").model, vaecli.load_images("mnist", "test", limit=5))
        >>> q.mean.shape, q.stddev.shape
        (torch.Size([5, 2]), torch.Size([5, 2]))
    """
    model.eval()
    parts = []
    batch_size = model.image_shape.measured_batch(BATCH)
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        q = model.encode(model.observe(batch.pixels), model.condition(batch.labels))
        parts.append(torch.stack((q.mean, q.stddev)).cpu())
    return Encoded(*torch.cat(parts, 1))


def posterior_of_each(model: VAE, x: Tensor, labels: Tensor) -> PosteriorDistribution:
    """The posteriors of N images that are encoded one by one: those of an image do not depend on the others, to the bit."""
    features = [model.features(image[None], model.condition(label[None])) for image, label in zip(x, labels, strict=True)]
    q: PosteriorDistribution = model.posterior_of(torch.cat(features), model.condition(labels))
    check_finite(q.mean, q.stddev)
    return q


def features_of(model: VAE, x: Tensor, y: Tensor | None) -> Tensor:
    """`VAE.features` of any number of images, a batch at a time: shape (N, posterior_of.features)."""
    size = model.image_shape.measured_batch(BATCH)
    return torch.cat([model.features(part, None if y is None else y[i * size :][:size]) for i, part in enumerate(x.split(size))])
