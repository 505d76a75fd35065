"""The posteriors of images."""

import torch

from vaecli.arguments import Seed, checked
from vaecli.data.images import Images
from vaecli.distributions.latents import PosteriorDistribution
from vaecli.model import VAE, check_finite
from vaecli.seeding import generator

BATCH = 1000


@checked
@torch.inference_mode()
def encode(model: VAE, images: Images, seed: Seed = 0) -> PosteriorDistribution:
    """The posteriors q(z | x, y) of N images, on the model's device: mean and stddev of shape (N, latent_dim).

    Args:
        model: on the same device as `images`.
        images: with their labels, which a conditional model sees.
        seed: of pixels that are binarised at random.

    Raises:
        VaecliError: an argument is wrong, or the encoder gives values that are no finite numbers.

    Example:
        >>> q = vaecli.encode(vaecli.load("baseline").model, vaecli.load_images("mnist", "test", limit=5))
        >>> q.mean.shape, q.stddev.shape
        (torch.Size([5, 2]), torch.Size([5, 2]))
    """
    model.eval()
    noise = generator(images.pixels.device, "encode", seed)
    parts = []
    y = model.condition(images.labels)
    batch_size = model.image_shape.in_place_of(BATCH)
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        parts.append(model.features(model.observe(images.pixels[part], noise), None if y is None else y[part]))
    q: PosteriorDistribution = model.posterior_of(torch.cat(parts), y)
    check_finite(q.mean, q.stddev)
    return q
