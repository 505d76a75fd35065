"""One training step: a batch's bound, its gradient and Adam's update."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from vaecli.config import Config
from vaecli.data.images import Images
from vaecli.device import resolve_precision
from vaecli.model import VAE, levels
from vaecli.objectives.base import Batch, Bound, couples, make_objective
from vaecli.processes import ALONE, Processes
from vaecli.training.optimizer import Adam

ROWS = 10_000
"""Images of 28 x 28 times particles decoded at once, 31 MB for each tensor of their pixels; fewer of larger ones."""

Step = Callable[[Tensor, torch.Generator], Tensor]
"""Trains on the images whose numbers are in a tensor of shape (B,), with noise from a generator; returns the first three parts of
`Bound`, summed over these images: shape (3,), in nats."""


def make_step(
    model: VAE, optimizer: Adam, images: Images, config: Config, processes: Processes = ALONE, count: int | None = None,
    kl_weight: Tensor | None = None,
) -> Step:  # fmt: skip
    """The training step of these settings, on `images`, which are on the model's device.

    A batch with more than ROWS particles goes through the model a few images at a time. Every objective is a sum
    over images, so that the gradient is the same. Each of several processes draws the noise of the whole batch, and computes with
    its slice of the images and of the noise; their gradients are added up, so that all of them take the step of one. Where the
    objective couples images, a batch goes through the model at once, and a process without an image takes part with one that does
    not count. With `clip_norm` the gradient is scaled down to that norm where its own is larger (Pascanu, Mikolov & Bengio 2013,
    arXiv:1211.5063).

    Args:
        model: trained.
        optimizer: of its parameters.
        images: the training images, or those of them that are on the device at a time.
        config: the settings.
        processes: those that share each batch.
        count: how many training images there are; as many as `images` if not given.
        kl_weight: the weight of KL, shape (), on the device, if it changes between steps.
    """
    objective = make_objective(config, kl_weight)
    bound_of: Callable[..., Bound] = objective
    coupled = couples(objective)
    device = images.pixels.device
    half = resolve_precision(config.precision, device) == "bf16"
    particles = (config.k or objective.draws) * (config.groups or 1)
    at_once = max(1, model.image_shape.scaled_batch(ROWS) // particles)

    def step(index: Tensor, noise: torch.Generator) -> Tensor:
        size, own = len(index), processes.shard(len(index))
        counted = own.stop - own.start
        if coupled and not counted:
            own = slice(own.start, own.start + 1)
        index = index[own]
        white_above = levels((size, model.image_shape.size), noise)[own] if model.binarize == "stochastic" else noise
        x = model.observe(images.pixels.index_select(0, index), white_above)
        y = model.condition(images.labels.index_select(0, index))
        sums = torch.zeros(3, device=device)
        optimizer.zero_grad()
        batch = (Batch(count or len(images), lambda rows: processes.gather(rows, size)),) if coupled else ()
        for start in range(0, size, size if coupled else at_once):
            stop = size if coupled else min(start + at_once, size)
            eps = torch.randn(objective.draws, stop - start, model.latent_dim, generator=noise, device=device)
            # this process has the images from `first` to `last`, maybe none; in its own batch they are `part`
            first, last = (min(max(start, end), stop) for end in (own.start, own.stop))
            if first == last:
                continue
            part = slice(first - own.start, last - own.start)
            with model.networks_in_bf16(half):
                bound = bound_of(model, x[part], None if y is None else y[part], eps[:, first - start : last - start], *batch)
            (-bound.value[:counted].sum() / size).backward()
            sums += torch.stack(bound[:3]).detach()[:, :counted].sum(1)
        if not processes.alone:
            sum_gradients(optimizer.parameters, processes)
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_(optimizer.parameters, config.clip_norm)
        optimizer.step()
        return sums

    return step


def sum_gradients(parameters: Sequence[Tensor], processes: Processes) -> None:
    """Replaces the gradients of these parameters by their sum over the processes, which send one tensor."""
    gradients = [torch.zeros_like(parameter) if parameter.grad is None else parameter.grad for parameter in parameters]
    flat = processes.sum(torch.cat([gradient.flatten() for gradient in gradients]))
    for parameter, part in zip(parameters, flat.split([parameter.numel() for parameter in parameters]), strict=True):
        parameter.grad = part.view_as(parameter)
