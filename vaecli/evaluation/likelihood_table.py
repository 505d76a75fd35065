"""log p(x | z) read off a table, for the thousands of latents per image that importance sampling asks about.

A decoder of one or two latents is a smooth curve or surface. All images share one grid of it, on which their likelihoods are one
matrix product; between its points a cubic is laid through the four nearest on each axis. A table is only as good as it is checked:
images on which it errs are decoded one by one.
"""

import torch
from torch import Tensor

from vaecli.data.images import Images
from vaecli.evaluation.grid import Grid, has_extent, reach_of
from vaecli.model import VAE
from vaecli.seeding import generator

SIDE = {1: 4000, 2: 300}
"""Points per side."""

TOLERANCE = 0.01
"""Nats that the table may err by on any of an image's trial latents."""

TRIALS = 16
"""Latents of each image, from its posterior, on which the table is held against the decoder."""

BLOCK = 500
"""Images that have their table at once, at 0.36 MB each."""


def worthwhile(model: VAE, images: int, k: int) -> bool:
    """Whether decoding k latents for each image is at least four times the work of decoding the grid.

    Never where the likelihoods on the grid are not a matrix product: those of a block of images take about as long as decoding
    5,000 latents for each.
    """
    size = model.latent_dim
    if size not in SIDE or not has_extent(model) or not model.pixel_likelihood.pairwise_is_product:
        return False
    return k >= 500 and k * images >= 4 * SIDE[size] ** size


class LikelihoodTable:
    """log p(x | z, y) of N images over the latent space.

    Args:
        model: with one or two latents, on the same device as the images.
        x: what it observes of them, shape (N, D).
        images: the images, for their labels.
        h: what their posteriors are made of, from `model.features`.

    Attributes:
        good: which images it is good for, shape (N,).
    """

    def __init__(self, model: VAE, x: Tensor, images: Images, h: Tensor) -> None:
        self._model, self._x, self._y = model, x, model.condition(images.labels)
        size = model.latent_dim
        self._grid = Grid(size, SIDE[size], reach_of(model.prior(), model.posterior_of(h, self._y)))
        self._values = x.new_empty(len(x), SIDE[size] ** size)
        for members, where, _, log_likelihood in self._grid.log_likelihoods(model, x, images.labels):
            self._values[members, where] = log_likelihood.T
        self.good = torch.ones(len(x), dtype=torch.bool, device=x.device)
        rows = torch.arange(len(x), device=x.device)
        for part in rows.split(model.image_shape.measured_batch(500)):
            y = None if self._y is None else self._y[part]
            eps = torch.randn(TRIALS, len(part), size, generator=generator(x.device, "table"), device=x.device)
            z = model.posterior_of(h[part], y).transform(eps)
            errors = self.log_prob(z, part) - model.likelihood(z, y).log_prob(x[part])
            self.good[part] = (errors.abs() < TOLERANCE).all(0)

    def log_prob(self, z: Tensor, rows: Tensor) -> Tensor:
        """Nats, shape (k, n), of n of the images, by number, for latents of shape (k, n, latent_dim)."""
        grid = self._grid
        position = (z + grid.reach) / grid.cell - 0.5
        first = (position.floor() - 1).clamp(0, grid.side - 4)
        t = position - first
        # Lagrange's weights of the points 0, 1, 2, 3 at t, in each dimension
        a, b, c, d = t, t - 1, t - 2, t - 3
        weights = torch.stack((-b * c * d / 6, a * c * d / 2, -a * b * d / 2, a * b * c / 6), -1)
        steps = first.long().unsqueeze(-1) + torch.arange(4, device=z.device)
        index, weight = (rows * grid.side**grid.size).view(-1, 1), z.new_ones(1)
        for axis in range(grid.size):
            stride = grid.side ** (grid.size - 1 - axis)
            index = (index.unsqueeze(-1) + steps[..., axis, :].unsqueeze(-2) * stride).flatten(-2)
            weight = (weight.unsqueeze(-1) * weights[..., axis, :].unsqueeze(-2)).flatten(-2)
        values = (self._values.view(-1)[index] * weight).sum(-1)
        decoded = (z.abs() > grid.reach).any(-1) | ~self.good[rows]
        if decoded.any():
            particle, image = decoded.nonzero().unbind(1)
            y = None if self._y is None else self._y[rows[image]]
            values[decoded] = self._model.likelihood(z[particle, image], y).log_prob(self._x[rows[image]])
        return values
