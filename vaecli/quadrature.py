"""Exact log p(x) of models with one or two latent dimensions, by quadrature: the ground truth that bounds are held against."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vaecli.data.images import Images
from vaecli.device import accumulator
from vaecli.errors import UsageError
from vaecli.grid import Grid, reach_of
from vaecli.latents import encode
from vaecli.model import VAE
from vaecli.seeding import generator

START = {1: 2000, 2: 150}
"""Points a side of the first grid."""

MOST = {1: 1_000_000, 2: 2400}
"""Points a side of the finest grid."""

TOLERANCE = 0.01
"""Nats by which an image's value may move when the grid is halved; images that move more go on to the next grid."""


@dataclass(frozen=True)
class Quadrature:
    """log p(x) of N images, and how sure it is.

    Attributes:
        log_prob: nats, float64 on the CPU, shape (N,).
        moved: by how much the last halving of each image's grid moved it, shape (N,).
        side: points a side of the finest grid that any image needed.
        unconverged: which images still moved by more than TOLERANCE, or had a posterior narrower than the grid, on the finest grid
            allowed, shape (N,).
    """

    log_prob: Tensor
    moved: Tensor
    side: int
    unconverged: Tensor


@torch.inference_mode()
def exact_log_prob(model: VAE, images: Images, on_share: Callable[[int, float], None] | None = None) -> Quadrature:
    """The log of the integral of p(x|z) p(z) over a grid of z, the same for all images, halved until it no longer moves them.

    The midpoint rule on a grid that reaches 6 standard deviations of the prior, and of every image's posterior where that is
    farther out. For a Gaussian no narrower than the grid's cells its relative error is under 1e-8; an image whose posterior is
    narrower goes on to a finer grid, however little it moved.

    Args:
        model: with latent_dim 1 or 2, on the same device as `images`.
        images: with labels where the model is conditional.
        on_share: told the points a side of the grid at work, and the share of it that is done, now and then.

    Raises:
        UsageError: the latent space has more dimensions.
    """
    check_size(model)
    size = model.config.latent_dim
    model.eval()
    pixel_noise = generator(images.pixels.device, "evaluation pixels")
    x = torch.cat([model.observe(part, pixel_noise) for part in images.pixels.split(1000)])
    q = encode(model, images)
    reach = reach_of(q)
    narrowest = q.stddev.min(1).values.double()
    side = START[size]
    value = _integrate(model, x, images.labels, Grid(size, side, reach), on_share)
    moved = torch.full_like(value, math.inf)
    active = torch.arange(len(x))
    while len(active) and 2 * side <= MOST[size]:
        side *= 2
        grid = Grid(size, side, reach)
        finer = _integrate(model, x[active.to(x.device)], images.labels[active.to(x.device)], grid, on_share)
        moved[active] = (finer - value[active]).abs()
        value[active] = finer
        active = active[(moved[active] > TOLERANCE) | (narrowest[active] < grid.cell)]
    unconverged = torch.zeros(len(x), dtype=torch.bool)
    unconverged[active] = True
    return Quadrature(value, moved, side, unconverged)


def check_size(model: VAE) -> None:
    """Refuses a latent space that no grid can cover.

    Raises:
        UsageError: it has more than two dimensions.
    """
    size = model.config.latent_dim
    if size not in START:
        raise UsageError(f"--exact: found a latent space of {size} dimensions, expected 1 or 2: a grid over more is too large")


def _integrate(model: VAE, x: Tensor, labels: Tensor, grid: Grid, on_share: Callable[[int, float], None] | None) -> Tensor:
    """The values of log p(x) on one grid, float64 on the CPU."""
    wide = accumulator(x.device)
    total = torch.full((len(x),), -math.inf, dtype=wide, device=x.device)
    for members, where, z, log_likelihood in grid.log_likelihoods(model, x, labels):
        log_joint = log_likelihood + model.prior.log_prob(z).unsqueeze(1)
        total[members] = torch.logaddexp(total[members], log_joint.logsumexp(0).to(wide))
        if on_share:
            on_share(grid.side, where.stop / grid.side**grid.size)
    return (total + grid.size * math.log(grid.cell)).cpu().double()
