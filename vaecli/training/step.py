"""One training step: a batch's bound, its gradient and Adam's update."""

from collections.abc import Callable

import torch
from torch import Tensor

from vaecli.config import Config
from vaecli.data.images import Images
from vaecli.device import resolve_precision
from vaecli.model import VAE
from vaecli.objectives.base import make_objective
from vaecli.training.optimizer import Adam

ROWS = 10_000
"""Images times particles decoded at once: 31 MB for each tensor of 784 pixels."""

Step = Callable[[Tensor, torch.Generator], Tensor]
"""Trains on the images whose numbers are in a tensor of shape (B,), with noise from a generator; returns the three parts of
`Bound`, summed over these images: shape (3,), in nats."""


def make_step(model: VAE, optimizer: Adam, images: Images, config: Config) -> Step:
    """The training step of these settings, on `images`, which are on the model's device.

    A batch with more than ROWS particles goes through the model a few images at a time. Every objective is a sum
    over images, so that the gradient is the same.
    """
    objective = make_objective(config)
    device = images.pixels.device
    half = resolve_precision(config.precision, device) == "bf16"
    at_once = max(1, ROWS // (config.k or 1))

    def step(index: Tensor, noise: torch.Generator) -> Tensor:
        x = model.observe(images.pixels.index_select(0, index), noise)
        y = model.condition(images.labels.index_select(0, index))
        sums = torch.zeros(3, device=device)
        optimizer.zero_grad()
        for start in range(0, len(x), at_once):
            part = slice(start, start + at_once)
            with torch.autocast(device.type, torch.bfloat16, enabled=half, cache_enabled=False):
                bound = objective(model, x[part], None if y is None else y[part], noise)
            (-bound.value.sum() / len(x)).backward()
            sums += torch.stack(bound).detach().sum(1)
        optimizer.step()
        return sums

    return step
