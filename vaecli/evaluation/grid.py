"""A regular grid over a latent space of one or two dimensions, and the likelihoods of images at latents that they share."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaecli.model import VAE

_CELLS = 20_000_000

STEP = 1.25
"""How much farther the next larger grid of `reaches_of` reaches."""


@dataclass(frozen=True)
class Grid:
    """The midpoints of side^size cells that cover [-reach, reach] in each dimension, the last dimension fastest.

    Attributes:
        size: dimensions.
        side: points per side.
        reach: half the length of an edge of the grid.
    """

    size: int
    side: int
    reach: float

    @property
    def cell(self) -> float:
        """The length of a cell's edge."""
        return 2 * self.reach / self.side

    def points(self, device: torch.device) -> Tensor:
        """All points, shape (side^size, size)."""
        axis = ((torch.arange(self.side, dtype=torch.float64) + 0.5) * self.cell - self.reach).float().to(device)
        return torch.cartesian_prod(*[axis] * self.size).view(-1, self.size)

    def tile(self, position: Tensor, edge: int) -> tuple[Tensor, Tensor]:
        """The points of the tile of `edge` points per side at this position, counted in tiles, shape (size,).

        Returns:
            The points, shape (edge^size, size), and which of them the grid has, shape (edge^size,): the last tiles reach beyond it.
        """
        steps = position.unsqueeze(1) * edge + torch.arange(edge, device=position.device)
        places = ((steps.double().cpu() + 0.5) * self.cell - self.reach).float().to(position.device)
        points, inside = (torch.cartesian_prod(*axes).view(-1, self.size) for axes in (places, steps < self.side))
        return points, inside.all(-1)

    def log_likelihoods(self, model: VAE, x: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, slice, Tensor, Tensor]]:
        """`log_likelihoods` at every point of the grid."""
        yield from log_likelihoods(model, self.points(x.device), x, labels)


def log_likelihoods(
    model: VAE, points: Tensor, x: Tensor, labels: Tensor, parts: Sequence[Tensor] = (), block: int | None = None,
    mine_in_turn: Iterator[bool] | None = None,
) -> Iterator[tuple[Tensor, slice, Tensor, Tensor]]:  # fmt: skip
    """The log p(x | z, y) of N images at each of G latents, a chunk of latents at a time.

    Images with the same label share the decoder's outputs for the latents.

    Args:
        model: on the same device as the images.
        points: the latents z, shape (G, latent_dim).
        x: what it observes of the images, shape (N, D).
        labels: shape (N,); only a conditional model sees them.
        parts: boolean masks of pixels, shape (D,); without any the likelihood is that of the whole image.
        block: images at a time. The last block is filled up, so that all products have one shape: an image's numbers are then
            the same to the bit, however many images follow it. Without it, all images at once, which is faster for many.
        mine_in_turn: whether each chunk of latents is to be computed, in turn; others are left out.

    Yields:
        Which images, positions of shape (n,); which latents; those latents, shape (g, latent_dim); and nats, shape (g, n), or
        (parts, g, n) where there are parts.
    """
    chunk = max(1, min(model.image_shape.measured_batch(4000), _CELLS // (block or len(x))))
    given = labels.unique().tolist() if model.conditional else [None]
    for label in given:
        members = torch.arange(len(x), device=x.device) if label is None else (labels == label).nonzero().squeeze(1)
        for start in range(0, len(points), chunk):
            if mine_in_turn and not next(mine_in_turn):
                continue
            z = points[start : start + chunk]
            y = None if label is None else model.condition(labels.new_full((len(z),), label))
            likelihood = model.likelihood(z, y)
            of_parts = [likelihood.marginal(part) for part in parts]
            for positions in members.split(block or len(members)):
                last = len(positions) - 1
                filled = positions if block is None else positions[torch.arange(block, device=x.device).clamp(max=last)]
                images = x if len(filled) == len(x) and block is None else x[filled]
                if of_parts:
                    marginals = zip(of_parts, parts, strict=True)
                    value = torch.stack([marginal.pairwise_log_prob(images[:, part]) for marginal, part in marginals])
                else:
                    value = likelihood.pairwise_log_prob(images)
                yield positions, slice(start, start + len(z)), z, value[..., : len(positions)]


def has_extent(model: VAE) -> bool:
    """Whether prior and posterior say how far they extend and how narrow they are (`vaecli.distributions.latents`)."""
    q = model.posterior_of(torch.zeros(1, model.posterior_of.features, device=model.device))
    return all(hasattr(distribution, name) for distribution in (model.prior(), q) for name in ("extent", "narrowest"))


def reach_of(p: Any, q: Any) -> float:
    """The reach of a grid that covers the prior and these posteriors."""
    return max(float(p.extent), float(q.extent.max()))


def reaches_of(p: Any, q: Any) -> Tensor:
    """The reach of a grid that covers the prior and a posterior, for each posterior: shape (N,), float64 on the CPU.

    In steps of STEP, so that many images share a grid, and which one does not depend on the other images.
    """
    least = float(p.extent)
    factor: Tensor = q.extent.double().cpu() / least
    return least * STEP ** (factor.clamp(min=1).log() / math.log(STEP)).ceil()
