"""Exact log p(x) of models with one or two latent dimensions, by quadrature: the truth that bounds are compared with.

The first grid covers the plane. Later ones, each twice as fine as the one before, cover only the tiles where an image has mass,
which are few: a posterior is about a tenth wide in a plane of twelve. Images that have mass in one tile share its decodings.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from vaecli.arguments import Within, checked
from vaecli.data.images import Images
from vaecli.errors import UsageError
from vaecli.evaluation.encode import BATCH, features_of, posterior_of_each
from vaecli.evaluation.grid import STEP, Grid, has_extent, log_likelihoods, reaches_of
from vaecli.model import VAE, check_finite
from vaecli.processes import ALONE, Processes

START = {1: 1000, 2: 80}
"""Points per side of the first grid."""

MOST = {1: 1_000_000, 2: 2560}
"""Points per side of the finest grid."""

TOLERANCE = 0.01
"""Nats by which an image's value may move at the last halving of its grid, or it has not converged."""

SETTLED, ROUNDING = 0.001, 1e-6
"""Nats, or share of the value where that is more: float32 rounds so. Images that move more at a halving go on to the next grid."""

COARSEST = 4
"""Cells of an image's first grid are at most this many times as long as its narrowest peak, as q(z|x) and p(z) know of it."""

TILE = {1: 100, 2: 10}
"""Points per side of a tile; even."""

KEPT = 30.0
"""A tile is refined where an image's log density is at most this many nats below the highest that was met.

Between the points of a grid whose cells are 8 standard deviations long a peak in a plane loses 16 nats at the most. So a peak half
as wide as COARSEST expects is still found if it has a millionth of the mass, exp(-14), or more."""

EDGE = 1e-5
"""Share of an image's mass on the outermost points of its first grid above which a grid that reaches farther takes its place."""

FARTHEST = 3.0
"""A grid reaches at most this many times as far as prior and posterior say."""

MOST_PAIRS = 2_000_000
"""Pairs of an image and a tile at once, which bounds memory."""

BLOCK = 8
"""Images at a time if an image's numbers must not depend on how many there are."""

Side = Annotated[int, Within(1, 1_000_000)]


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
    """The log of the integral of p(x|z) p(z) over a grid of z, halved where the image has mass until it no longer moves the image.

    The midpoint rule on a grid that reaches 6 standard deviations of the prior, or its `extent`, and of the image's posterior where
    that is farther out. For a Gaussian no narrower than the grid's cells its relative error is under 1e-8; an image whose posterior
    is narrower goes on to a finer grid, however little it moved. Mass is looked for on all of the first grid, wherever q(z|x) is.

    Args:
        model: with latent_dim 1 or 2, on the same device as `images`.
        images: with labels where the model is conditional.
        on_share: called with the points per side of the grid at work, and the share of it that is done, now and then.
        sides: points per side of the first grid and of the finest; those of START and MOST by default.
        processes: the processes that share the images; every one returns the result.

    Raises:
        UsageError: the latent space has more dimensions, or prior or posterior does not say how far it extends.
    """
    check_size(model)
    model.eval()
    x = torch.cat([model.observe(part) for part in images.pixels.split(model.image_shape.scaled_batch(BATCH))])
    y = model.condition(images.labels)
    q = model.posterior_of(features_of(model, x, y), y)
    check_finite(q.mean, q.stddev)
    integral = _Integral(model, x, images.labels, [q], on_share=on_share, sides=sides)
    mine = processes.shard(len(x))
    integral.resolve(range(mine.start, mine.stop))
    return integral.found(processes)


class GridPosterior:
    """The exact posteriors p(z | seen pixels) of N images, on the tiles where they have mass.

    Drawn from as densities that are constant in each cell of a grid twice as fine as the one that the image's value is from.
    """

    def __init__(self, integral: "_Integral") -> None:
        self._integral = integral

    @torch.inference_mode()
    def sample(self, image: int, count: int, noise: torch.Generator) -> Tensor:
        """Latents of one image by number, shape (count, latent_dim)."""
        grid, tiles, log_mass = self._integral.tiles_of[image]
        device, finer = self._integral.device, Grid(grid.size, 2 * grid.side, grid.reach)
        shares = log_mass.softmax(-1).float().to(device)
        chosen = torch.multinomial(shares, count, replacement=True, generator=noise)
        place, jitter = torch.rand(grid.size + 1, count, generator=noise, device=device).split((1, grid.size))
        z = torch.empty(count, grid.size, device=device)
        for index in chosen.unique().tolist():
            children = [self._integral.joint(finer, child, torch.tensor([image])) for child in _children(tiles[index])]
            points = torch.cat([points for points, _ in children])
            cells = torch.cat([joint[0, :, 0] for _, joint in children]).softmax(0).cumsum(0)
            here = chosen == index
            z[here] = points[torch.searchsorted(cells, place[0, here] * cells[-1]).clamp(max=len(points) - 1)]
        z += (jitter.T - 0.5) * finer.cell
        return z


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
    return exact_posterior(model, x, labels, observed, posterior, sides)[0]


@torch.inference_mode()
def exact_posterior(
    model: VAE, x: Tensor, labels: Tensor, observed: Tensor, posterior: Any, sides: tuple[int, int] | None = None,
    on_share: Callable[[int, float], None] | None = None,
) -> tuple[Quadrature, GridPosterior]:  # fmt: skip
    """`exact_log_prob_of_parts`, and the exact posteriors p(z | x_s) that it found on the way."""
    check_size(model)
    model.eval()
    integral = _Integral(model, x, labels, [posterior, posterior_of_each(model, x, labels)], observed, on_share, sides)
    integral.resolve(range(len(x)))
    return integral.found(), GridPosterior(integral)


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


class _Integral:
    """The integrals of N images over z, each on the grids that it needs.

    Args:
        model: with one or two latents, on the same device as the images.
        x: what it observes of them, shape (N, D).
        labels: shape (N,); only a conditional model sees them.
        posteriors: of the N images; they say how far the first grid goes and how fine it is, and how fine the last one must be.
        observed: boolean, shape (D,), for the values of both parts and of the whole; if not given, of the whole alone.
        on_share: called with a grid's points per side and the share of it that is done.
        sides: points per side of the first grid and of the finest.

    Attributes:
        size: the number of latents.
        device: of the images.
        tiles_of: with `observed`, by the number of an image: the last grid, the positions of its tiles, shape (T, size), and the
            log of the seen part's mass in each, shape (T,).
    """

    def __init__(
        self, model: VAE, x: Tensor, labels: Tensor, posteriors: Sequence[Any], observed: Tensor | None = None,
        on_share: Callable[[int, float], None] | None = None, sides: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        self.size, self.device, self._prior = model.latent_dim, x.device, model.prior()
        self._model, self._x, self._labels, self._on_share = model, x, labels, on_share
        self._parts: tuple[Tensor, ...] = () if observed is None else (observed, ~observed)
        self._block = None if observed is None else BLOCK if model.pixel_likelihood.pairwise_is_product else 1
        self._edge = TILE[self.size]
        self._first, self._most = sides or (START[self.size], MOST[self.size])
        self._reaches = torch.stack([reaches_of(self._prior, q) for q in posteriors]).amax(0)
        self._farthest = FARTHEST * self._reaches
        narrowest = torch.stack([q.narrowest.double().cpu() for q in posteriors]).amin(0)
        self._narrowest = narrowest.clamp(max=float(self._prior.narrowest))
        self._value = torch.full((3 if self._parts else 1, len(x)), -math.inf, dtype=torch.float64)
        self._moved = torch.full((len(x),), math.inf, dtype=torch.float64)
        self._side, self._unconverged = torch.zeros(2, len(x), dtype=torch.float64)
        self.tiles_of: dict[int, tuple[Grid, Tensor, Tensor]] = {}

    def found(self, processes: Processes = ALONE) -> Quadrature:
        """What `resolve` has found of all images, in all processes together."""
        value = self._value if self._parts else self._value[0]
        if processes.alone:
            return Quadrature(value, self._moved, int(self._side.max()), self._unconverged > 0)
        mine = self._side > 0
        numbers = torch.stack((*self._value, self._moved, self._side, self._unconverged)).where(mine, 0)
        *_, value, moved, side, unconverged = processes.sum(numbers, patiently=True)
        return Quadrature(value, moved, int(side.max()), unconverged > 0)

    def resolve(self, rows: Sequence[int]) -> None:
        """Integrates these images."""
        starts: dict[tuple[float, int], list[int]] = {}
        for row in rows:
            starts.setdefault((float(self._reaches[row]), self._coarsest(row)), []).append(row)
        for (reach, side), members in starts.items():
            across = math.ceil(side / self._edge)
            tiles = torch.cartesian_prod(*[torch.arange(across)] * self.size).view(-1, self.size)
            most = max(1, MOST_PAIRS // len(tiles))
            for group in torch.tensor(members).split(most):
                rows_of, tiles_of = group.repeat(len(tiles)), tiles.repeat_interleave(len(group), 0)
                self._refine(Grid(self.size, side, reach), rows_of, tiles_of, first=True)

    def _coarsest(self, row: int) -> int:
        """Points per side of an image's first grid."""
        side, reach, narrowest = self._first, float(self._reaches[row]), float(self._narrowest[row])
        while 4 * side <= self._most and 2 * reach / side > COARSEST * narrowest:
            side *= 2
        return side

    def _refine(self, grid: Grid, rows: Tensor, tiles: Tensor, first: bool = False) -> None:
        """Integrates images over tiles of a grid, then over finer ones as far as needed.

        Args:
            grid: the grid.
            rows: an image's number for each pair of an image and a tile where it may have mass, shape (M,).
            tiles: the positions of these tiles, shape (M, size), each with its images together and in order.
            first: whether it is the images' first grid, which has all tiles.
        """
        here = rows.unique()
        total, best, of_edge = torch.full((3, *self._value.shape), -math.inf, dtype=torch.float64)
        peaks = torch.empty(len(self._value), len(rows), 2**self.size)
        masses = torch.empty(len(rows), dtype=torch.float64)
        done = 0
        for members in rows.split(self._numbers(grid, tiles).unique_consecutive(return_counts=True)[1].tolist()):
            points, joint = self.joint(grid, tiles[done], members)
            pairs = slice(done, done + len(members))
            mass = _log_sum(joint)
            halves = joint.unflatten(1, (2, self._edge // 2) * self.size)
            peaks[:, pairs] = halves.amax([2, 4][: self.size]).flatten(1, -2).mT.cpu()
            total[:, members] = torch.logaddexp(total[:, members], mass)
            best[:, members] = torch.maximum(best[:, members], peaks[:, pairs].amax(-1).double())
            masses[pairs] = mass[0]
            outermost = points.abs().amax(-1) > grid.reach - grid.cell
            if first and outermost.any():
                of_edge[:, members] = torch.logaddexp(of_edge[:, members], _log_sum(joint[:, outermost]))
            done += len(members)
            if self._on_share:
                self._on_share(grid.side, done / len(rows))
        finer = (total + grid.size * math.log(grid.cell))[:, here]
        moved = (finer - self._value[:, here]).abs().amax(0)
        self._value[:, here], self._moved[here], self._side[here] = finer, moved, grid.side
        on = self._empty()
        narrow = self._narrowest[here] < grid.cell
        settled = (ROUNDING * finer.abs().amax(0)).clamp(min=SETTLED).clamp(max=TOLERANCE)
        on[here] = ~(moved <= settled) | narrow
        beyond = self._empty()
        if first:
            beyond[here] = (of_edge - total)[:, here].amax(0) > math.log(EDGE)
            self._unconverged[beyond & (self._reaches >= self._farthest)] = 1
            beyond &= self._reaches < self._farthest
        on &= ~beyond
        if 2 * grid.side > self._most:
            self._unconverged[here[~(moved <= TOLERANCE) | narrow]] = 1
            on = self._empty()
        if self._parts:
            for row in here[~(on | beyond)[here]].tolist():
                of_row = rows == row
                self.tiles_of[row] = grid, tiles[of_row], masses[of_row]
        kept = ((peaks >= best[:, rows].unsqueeze(-1) - KEPT) & (peaks > -math.inf)).any(0) & on[rows].unsqueeze(-1)
        finer_grid = Grid(grid.size, 2 * grid.side, grid.reach)
        for group in self._groups(rows, kept):
            pair, child = (kept & group[rows].unsqueeze(-1)).nonzero().unbind(1)
            finer_tiles, finer_rows = 2 * tiles[pair] + _children(tiles.new_zeros(self.size))[child], rows[pair]
            order = (self._numbers(finer_grid, finer_tiles) * len(on) + finer_rows).argsort()
            self._refine(finer_grid, finer_rows[order], finer_tiles[order])
        if beyond.any():
            self._reaches[beyond] *= STEP
            self._value[:, beyond] = -math.inf
            self.resolve(beyond.nonzero().squeeze(1).tolist())

    def _empty(self) -> Tensor:
        """No image, shape (N,)."""
        return torch.zeros(len(self._moved), dtype=torch.bool)

    def _numbers(self, grid: Grid, tiles: Tensor) -> Tensor:
        """A number for each position of a tile, shape (M,)."""
        return tiles[:, 0] if self.size == 1 else tiles[:, 0] * (2 * grid.side) + tiles[:, 1]

    def _groups(self, rows: Tensor, kept: Tensor) -> Iterator[Tensor]:
        """The images that go on, some at a time: boolean, shape (N,). Which are together does not depend on those after them."""
        counts = torch.zeros(len(self._moved), dtype=torch.int64).index_add_(0, rows, kept.sum(-1))
        group, held = self._empty(), 0
        for row in counts.nonzero().squeeze(1).tolist():
            if held and held + int(counts[row]) > MOST_PAIRS:
                yield group
                group, held = self._empty(), 0
            group[row] = True
            held += int(counts[row])
        if held:
            yield group

    def joint(self, grid: Grid, tile: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The points of a tile, shape (P, size), and the log joint densities of images there, shape (parts, P, n).

        They are those of the whole, or of both parts and of the whole; -inf at points beyond the grid.
        """
        points, inside = grid.tile(tile.to(self.device), self._edge)
        rows = rows.to(self.device)
        joint = torch.empty(len(self._value), len(points), len(rows), device=self.device)
        found = log_likelihoods(self._model, points, self._x[rows], self._labels[rows], self._parts, self._block)
        for members, latents, _, nats in found:
            of_all = torch.cat((nats, nats.sum(0, keepdim=True))) if self._parts else nats.unsqueeze(0)
            joint[:, latents, slice(None) if len(members) == len(rows) else members] = of_all
        joint += self._prior.log_prob(points).masked_fill(~inside, -math.inf).unsqueeze(1)
        return points, joint


def _log_sum(joint: Tensor) -> Tensor:
    """The log sums over points, float64 on the CPU, shape (parts, n), of log densities, shape (parts, P, n)."""
    # a sum down the columns depends on how many there are in its last bits; one along an image's own row does not
    return joint.mT.contiguous().logsumexp(-1).cpu().double()


def _children(tile: Tensor) -> Tensor:
    """The positions of the tiles that a tile becomes on a grid twice as fine, the last dimension fastest: shape (2^size, size)."""
    return 2 * tile + torch.cartesian_prod(*[torch.arange(2, device=tile.device)] * len(tile)).view(-1, len(tile))
