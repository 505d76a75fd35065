"""Exact log p(x) of models with one or two latent dimensions, by quadrature: the truth that bounds are compared with."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from vaecli.arguments import Within, checked
from vaecli.data.images import Images
from vaecli.device import accumulator
from vaecli.errors import UsageError
from vaecli.evaluation.encode import BATCH, features_of
from vaecli.evaluation.grid import Grid, has_extent, log_likelihoods, reaches_of
from vaecli.model import VAE, check_finite
from vaecli.processes import ALONE, Processes

START = {1: 2000, 2: 150}
"""Points per side of the first grid."""

MOST = {1: 1_000_000, 2: 2400}
"""Points per side of the finest grid."""

TOLERANCE = 0.01
"""Nats by which an image's value may move when the grid is halved; images that move more go on to the next grid."""

Side = Annotated[int, Within(1, 1_000_000)]

BLOCK = 32
"""Images at a time if an image's numbers must not depend on how many there are."""


@dataclass(frozen=True)
class Quadrature:
    """log p(x) of N images, with its errors.

    Attributes:
        log_prob: nats, float64 on the CPU, shape (N,); of parts (3, N).
        refinement_error: by how much the last halving of each image's grid moved it, shape (N,).
        side: points per side of the finest grid that any image needed.
        unconverged: which images still moved by more than TOLERANCE, or had a posterior narrower than the grid, on the finest grid
            allowed, shape (N,).
    """

    log_prob: Tensor
    refinement_error: Tensor
    side: int
    unconverged: Tensor


@checked
@torch.inference_mode()
def exact_log_prob(
    model: VAE, images: Images, on_share: Callable[[int, float], None] | None = None, sides: tuple[Side, Side] | None = None,
    processes: Processes = ALONE,
) -> Quadrature:  # fmt: skip
    """The log of the integral of p(x|z) p(z) over a grid of z, halved until it no longer moves the image.

    The midpoint rule on a grid that reaches 6 standard deviations of the prior, or its `extent`, and of the image's posterior where
    that is farther out. For a Gaussian no narrower than the grid's cells its relative error is under 1e-8; an image whose posterior
    is narrower goes on to a finer grid, however little it moved.

    Args:
        model: with latent_dim 1 or 2, on the same device as `images`.
        images: with labels where the model is conditional.
        on_share: called with the points per side of the grid at work, and the share of it that is done, now and then.
        sides: points per side of the first grid and of the finest; those of START and MOST by default.
        processes: the processes that share the latents of each grid; every one returns the result.

    Raises:
        UsageError: the latent space has more dimensions, or prior or posterior does not say how far it extends.
    """
    check_size(model)
    model.eval()
    x = torch.cat([model.observe(part) for part in images.pixels.split(model.image_shape.scaled_batch(BATCH))])
    y = model.condition(images.labels)
    q = model.posterior_of(features_of(model, x, y), y)
    check_finite(q.mean, q.stddev)
    resolved = _resolve(model, x, images.labels, [q], None, on_share, sides, processes)
    return Quadrature(resolved.log_prob[0], resolved.refinement_error, resolved.side, resolved.unconverged)


@torch.inference_mode()
def exact_log_prob_of_parts(
    model: VAE, x: Tensor, labels: Tensor, observed: Tensor, posterior: Any, sides: tuple[int, int] | None = None
) -> Quadrature:
    """The log p(x_s) of the pixels seen, log p(x_m) of the missing ones, and log p(x) of both: the three rows of its `log_prob`.

    So log p(x_m | x_s) is the third row less the first. An image's numbers do not depend on the images after it, to the bit.

    Args:
        model: with latent_dim 1 or 2, on the same device as `x`.
        x: what it observes of the images, shape (N, D).
        labels: shape (N,); only a conditional model sees them.
        observed: boolean, shape (D,).
        posterior: q(z | x_s) of N images. With the encoder's q(z | x) it says how far the grid goes and how fine it must be.
        sides: as in `exact_log_prob`.

    Raises:
        UsageError: as `exact_log_prob`.
    """
    check_size(model)
    model.eval()
    encoded = [model.features(image[None], model.condition(label[None])) for image, label in zip(x, labels, strict=True)]
    whole = model.posterior_of(torch.cat(encoded), model.condition(labels))
    check_finite(whole.mean, whole.stddev)
    return _resolve(model, x, labels, [posterior, whole], observed, None, sides)


def grid_covers(model: VAE) -> bool:
    """Whether the latent space has one or two dimensions, of which prior and posterior say how far they extend."""
    return model.latent_dim in START and has_extent(model)


def check_size(model: VAE) -> None:
    """Refuses a latent space that no grid can cover.

    Raises:
        UsageError: it has more than two dimensions, or prior or posterior does not say how far it extends.
    """
    size = model.latent_dim
    if size not in START:
        raise UsageError(f"{{exact=}}: found a latent space of {size} dimensions, expected 1 or 2: a grid over more is too large")
    if not has_extent(model):
        parts = f"{type(model.prior).__name__} and {type(model.posterior_of).__name__}"
        raise UsageError(f"{{exact=}}: found {parts}, expected a prior and a posterior that have `extent` and `narrowest`")


def _resolve(
    model: VAE,
    x: Tensor,
    labels: Tensor,
    posteriors: Sequence[Any],
    observed: Tensor | None,
    on_share: Callable[[int, float], None] | None,
    sides: tuple[int, int] | None,
    processes: Processes = ALONE,
) -> Quadrature:
    """Every image's values on ever finer grids, as far as it needs them."""
    size, prior = model.latent_dim, model.prior()
    first, most = sides or (START[size], MOST[size])
    reaches = torch.stack([reaches_of(prior, q) for q in posteriors]).amax(0)
    narrowest = torch.stack([q.narrowest.double().cpu() for q in posteriors]).amin(0).clamp(max=float(prior.narrowest))
    value = torch.full((1 if observed is None else 3, len(x)), -math.inf, dtype=torch.float64)
    moved = torch.full((len(x),), math.inf, dtype=torch.float64)
    unconverged = torch.zeros(len(x), dtype=torch.bool)
    finest = 0
    for reach in reaches.unique().tolist():
        active = (reaches == reach).nonzero().squeeze(1)
        side = first
        while len(active) and side <= most:
            grid = Grid(size, side, reach)
            positions = active.to(x.device)
            finer = _integrate(model, x[positions], labels[positions], grid, observed, on_share, processes)
            moved[active] = (finer - value[:, active]).abs().amax(0)
            value[:, active] = finer
            active = active[~(moved[active] <= TOLERANCE) | (narrowest[active] < grid.cell)]
            finest, side = max(finest, side), 2 * side
        unconverged[active] = True
    return Quadrature(value, moved, finest, unconverged)


def _integrate(
    model: VAE, x: Tensor, labels: Tensor, grid: Grid, observed: Tensor | None, on_share: Callable[[int, float], None] | None,
    processes: Processes,
) -> Tensor:  # fmt: skip
    """The values on one grid, float64 on the CPU: log p(x), shape (1, N), or with `observed` of the parts and of both, (3, N)."""
    wide, prior = accumulator(x.device), model.prior()
    total = torch.full((1 if observed is None else 3, len(x)), -math.inf, dtype=wide, device=x.device)
    parts, block = ((), None) if observed is None else ((observed, ~observed), BLOCK)
    mine_in_turn = None if processes.alone else processes.round_robin()
    for members, latents, z, of_parts in log_likelihoods(model, grid.points(x.device), x, labels, parts, block, mine_in_turn):
        log_likelihood = torch.cat((of_parts, of_parts.sum(0, keepdim=True))) if parts else of_parts
        log_joint = log_likelihood + prior.log_prob(z).unsqueeze(1)
        # a sum down the columns depends on how many there are in its last bits; one along an image's own row does not
        log_sum = log_joint.mT.contiguous().logsumexp(-1) if parts else log_joint.logsumexp(-2)
        total[:, members] = torch.logaddexp(total[:, members], log_sum.to(wide))
        if on_share:
            on_share(grid.side, latents.stop / grid.side**grid.size)
    if not processes.alone:
        gathered = total.new_zeros(processes.size, *total.shape)
        gathered[processes.rank] = total
        total = processes.sum(gathered).logsumexp(0)
    return (total + grid.size * math.log(grid.cell)).cpu().double()
