"""The posteriors of images."""

import torch

from vaecli.arguments import Seed, checked
from vaecli.data.images import Images
from vaecli.distributions.normal import DiagonalNormal
from vaecli.model import VAE
from vaecli.seeding import generator

BATCH = 1000


@checked
@torch.inference_mode()
def encode(model: VAE, images: Images, seed: Seed = 0) -> DiagonalNormal:
    """The posteriors q(z | x, y) of N images, on the CPU: loc and log sigma of shape (N, latent_dim).

    Args:
        model: on the same device as `images`.
        images: with their labels, which a conditional model sees.
        seed: of pixels that are binarised at random.

    Raises:
        VaecliError: an argument is wrong, or the encoder gives values that are no finite numbers.

    Example:
        >>> q = vaecli.encode(vaecli.load("baseline").model, vaecli.load_images("mnist", "test", limit=5))
        >>> q.loc.shape, q.stddev.shape
        (torch.Size([5, 2]), torch.Size([5, 2]))
    """
    model.eval()
    noise = generator(images.pixels.device, "encode", seed)
    parts = []
    batch_size = model.image_shape.scaled_batch(BATCH)
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        q = model.encode(model.observe(batch.pixels, noise), model.condition(batch.labels))
        parts.append(torch.stack((q.loc, q.log_scale)).cpu())
    return DiagonalNormal(*torch.cat(parts, 1))
