"""What images cost without a model of them, in nats: what a trained model must be better than."""

import math

import torch

from vaecli.data.images import Images
from vaecli.model import VAE

SOME = 10_000
"""The most training images whose mean is taken."""

AT_ONCE = 1000
"""Images of 28 x 28 that are looked at together."""


@torch.inference_mode()
def without_model(model: VAE, images: Images, held_out: Images) -> tuple[float, float]:
    """-log p of the images held out, nats per image, without latents: by equal values, and by the training images' mean.

    Equal values: log 256 for each value of 256 levels, log 2 for each that is black or white, 0 for a density on [0, 1]. The mean:
    independent pixels that the model's likelihood gives the mean of the training images, and the spread of their channels where it
    has a scale.

    Args:
        model: whose likelihood and binarisation count; its weights do not.
        images: to train on.
        held_out: to measure on, on the same device.
    """
    likelihood, levels = model.pixel_likelihood, 1
    if likelihood.discrete:
        levels = 256 if model.binarize == "none" else 2
    independent = likelihood(model.output_without_latents(images[:SOME]).unsqueeze(0))
    total = 0.0
    for pixels in held_out.pixels.split(model.image_shape.scaled_batch(AT_ONCE)):
        total -= float(independent.log_prob(model.observe(pixels)).double().sum())
    return model.image_shape.size * math.log(levels), total / len(held_out)


def grey_share(images: Images) -> float:
    """The share of values that are neither black nor white, an eighth of the range from either end."""
    parts = images.pixels.split(images.shape.scaled_batch(AT_ONCE))
    grey = sum(int(((part >= 32) & (part < 224)).sum()) for part in parts)
    return grey / images.pixels.numel()
