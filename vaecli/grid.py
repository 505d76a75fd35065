"""A regular grid over a latent space of one or two dimensions, and what a model makes of images at each of its points."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vaecli.gaussian import DiagonalNormal
from vaecli.model import VAE

REACH = 6.0
"""Standard deviations, of the prior and of every image's posterior, that a grid covers."""

_CELLS = 20_000_000


@dataclass(frozen=True)
class Grid:
    """The midpoints of side^size cells that cover [-reach, reach] in each dimension, the last dimension fastest.

    Attributes:
        size: dimensions.
        side: points a side.
        reach: how far it goes.
    """

    size: int
    side: int
    reach: float

    @property
    def cell(self) -> float:
        """The length of a cell's edge."""
        return 2 * self.reach / self.side

    def points(self, device: torch.device) -> Tensor:
        """All of it, shape (side^size, size)."""
        axis = ((torch.arange(self.side, dtype=torch.float64) + 0.5) * self.cell - self.reach).float().to(device)
        return torch.cartesian_prod(*[axis] * self.size).view(-1, self.size)

    def log_likelihoods(self, model: VAE, x: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, slice, Tensor, Tensor]]:
        """The log p(x | z, y) of N images at every point, a chunk of points at a time.

        Images with the same label share what the decoder makes of it.

        Args:
            model: on the same device as the images.
            x: what it observes of them, shape (N, 784).
            labels: shape (N,); only a conditional model sees them.

        Yields:
            Which images, a boolean mask of shape (N,); which points of the grid; those points, shape (g, size); and nats, shape
            (g, n) for n images.
        """
        points = self.points(x.device)
        chunk = max(1, min(4000, _CELLS // len(x)))
        given = labels.unique().tolist() if model.conditional else [None]
        for label in given:
            members = torch.ones_like(labels, dtype=torch.bool) if label is None else labels == label
            some = x[members]
            for start in range(0, len(points), chunk):
                z = points[start : start + chunk]
                y = None if label is None else model.condition(labels.new_full((len(z),), label))
                yield members, slice(start, start + len(z)), z, model.likelihood(z, y).log_prob_of_each(some)


def reach_of(q: DiagonalNormal) -> float:
    """How far a grid has to go for these posteriors and for the prior."""
    return max(REACH, float((q.mu.abs() + REACH * q.stddev).max()))
