"""One training step: a batch's bound, its gradient and Adam's update."""

from collections.abc import Callable

import torch
from torch import Tensor

from vaecli.config import Config
from vaecli.data.images import Images
from vaecli.device import resolve_precision
from vaecli.model import VAE
from vaecli.objectives.base import make_objective
from vaecli.processes import ALONE, Processes
from vaecli.seeding import rows_of
from vaecli.training.optimizer import Adam
from vaecli.training.sharing import draw_only, sum_gradients

ROWS = 10_000
"""Images of 28 x 28 times particles decoded at once, 31 MB for each tensor of their pixels; fewer of larger ones."""

Step = Callable[[Tensor, torch.Generator], Tensor]
"""Trains on the images whose numbers are in a tensor of shape (B,), with noise from a generator; returns the three parts of
`Bound`, summed over these images: shape (3,), in nats."""


def make_step(model: VAE, optimizer: Adam, images: Images, config: Config, processes: Processes = ALONE) -> Step:
    """The training step of these settings, on `images`, which are on the model's device.

    A batch with more than ROWS particles goes through the model a few images at a time. Every objective is a sum
    over images, so that the gradient is the same. Each of several processes takes its own images of the batch and draws the
    noise of all; their gradients are added up, so that all of them take the step of one.
    """
    objective = make_objective(config)
    device = images.pixels.device
    half = resolve_precision(config.precision, device) == "bf16"
    at_once = max(1, model.image_shape.scaled_batch(ROWS) // (config.k or 1))

    def step(index: Tensor, noise: torch.Generator) -> Tensor:
        count, own = len(index), processes.shard(len(index))
        index = index[own]
        x = model.observe(images.pixels.index_select(0, index), rows_of(noise, count, own))
        y = model.condition(images.labels.index_select(0, index))
        sums = torch.zeros(3, device=device)
        optimizer.zero_grad()
        for start in range(0, count, at_once):
            stop = min(start + at_once, count)
            # of these images this process has those of `rows`, maybe none; in its own batch they are `part`
            first, last = (min(max(start, end), stop) for end in (own.start, own.stop))
            if first == last:
                draw_only(objective, model, x, y, noise, stop - start)
                continue
            rows, part = slice(first - start, last - start), slice(first - own.start, last - own.start)
            with torch.autocast(device.type, torch.bfloat16, enabled=half, cache_enabled=False):
                bound = objective(model, x[part], None if y is None else y[part], rows_of(noise, stop - start, rows))
            (-bound.value.sum() / count).backward()
            sums += torch.stack(bound).detach().sum(1)
        if not processes.alone:
            sum_gradients(optimizer.parameters, processes)
        optimizer.step()
        return sums

    return step
