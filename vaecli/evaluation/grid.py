"""A regular grid over a latent space of one or two dimensions, and the likelihoods of images at latents that they share."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vaecli.distributions.normal import DiagonalNormal
from vaecli.model import VAE

REACH = 6.0
"""Standard deviations, of the prior and of every image's posterior, that a grid covers."""

_CELLS = 20_000_000


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
    chunk = max(1, min(model.image_shape.scaled_batch(4000), _CELLS // (block or len(x))))
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
                images = x[filled]
                if of_parts:
                    marginals = zip(of_parts, parts, strict=True)
                    value = torch.stack([marginal.pairwise_log_prob(images[:, part]) for marginal, part in marginals])
                else:
                    value = likelihood.pairwise_log_prob(images)
                yield positions, slice(start, start + len(z)), z, value[..., : len(positions)]


def reach_of(q: DiagonalNormal) -> float:
    """The reach of a grid that covers these posteriors and the prior."""
    return max(REACH, float((q.loc.abs() + REACH * q.stddev).max()))


def reaches_of(q: DiagonalNormal) -> Tensor:
    """The reach of a grid that covers a posterior and the prior, for each posterior: shape (N,), float64 on the CPU.

    In steps of a quarter, so that many images share a grid, and which one does not depend on the other images.
    """
    factor = (q.loc.abs() + REACH * q.stddev).amax(-1).double().cpu() / REACH
    return REACH * 1.25 ** (factor.clamp(min=1).log() / math.log(1.25)).ceil()
