"""What a training step of several processes needs: noise for images of the others, and the sum of all gradients."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from vaecli.distributions.normal import DiagonalNormal
from vaecli.model import VAE
from vaecli.objectives.base import Objective
from vaecli.processes import Processes
from vaecli.seeding import RowsNoise


def draw_only(objective: Objective, model: VAE, x: Tensor, y: Tensor | None, noise: torch.Generator, count: int) -> None:
    """Draws the noise that an objective draws for `count` images, which are other processes', and computes nothing.

    Args:
        objective: the objective.
        model: the model.
        x: this process's images; none of them is used.
        y: their labels or None.
        noise: the generator.
        count: how many images.
    """
    blind = cast(VAE, _Blind(model))
    with torch.no_grad():
        objective(blind, x[:0], None if y is None else y[:0], RowsNoise(noise, count, slice(0, 0)))


class _Blind:
    """A model of no images, whose networks are not used."""

    def __init__(self, model: VAE) -> None:
        self.prior = model.prior

    def posterior(self, x: Tensor, y: Tensor | None) -> DiagonalNormal:
        """The posteriors of no images."""
        nothing = self.prior.loc.new_zeros(len(x), *self.prior.event_shape)
        return DiagonalNormal(nothing, nothing)

    def likelihood(self, z: Tensor, y: Tensor | None) -> "_BlindLikelihood":
        """Their likelihoods."""
        return _BlindLikelihood()


class _BlindLikelihood:
    def log_prob(self, x: Tensor) -> Tensor:
        """No nats, of shape (1, 0)."""
        return x.new_zeros(1, len(x))


def sum_gradients(parameters: Sequence[Tensor], processes: Processes) -> None:
    """Replaces the gradients of these parameters by their sum over the processes, which send one tensor."""
    gradients = [torch.zeros_like(parameter) if parameter.grad is None else parameter.grad for parameter in parameters]
    flat = processes.sum(torch.cat([gradient.flatten() for gradient in gradients]))
    for parameter, part in zip(parameters, flat.split([parameter.numel() for parameter in parameters]), strict=True):
        parameter.grad = part.view_as(parameter)
