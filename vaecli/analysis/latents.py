"""The latent space of a model: posterior means and variances of images, and the decoder over the plane."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from vaecli.analysis.images import label_number
from vaecli.arguments import Within, checked
from vaecli.data.images import UNKNOWN, Images
from vaecli.display import WIDTH, png, rows_of
from vaecli.errors import UsageError
from vaecli.evaluation.encode import encode
from vaecli.image_shape import ImageShape
from vaecli.model import VAE
from vaecli.runs.run import Run

SIDE = 20
"""Images per side of a manifold."""


@dataclass(frozen=True)
class Cloud:
    """The posterior means of N images; their principal components where there are more than three latents.

    Attributes:
        points: shape (N, D), D from 1 to 3, on the CPU.
        labels: shape (N,).
        class_names: the names of the labels.
        columns: the D coordinates' names: ``z1``, ``z2``, or ``pc1``, ``pc2`` for principal components.
        shares: each principal component's share of the variance; None for latents themselves.
    """

    points: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    columns: tuple[str, ...]
    shares: tuple[float, ...] | None = None

    @property
    def labelled(self) -> bool:
        """Whether any of the images has a label."""
        return bool((self.labels != UNKNOWN).any())

    def rows(self) -> list[dict[str, Any]]:
        """The rows of a .csv: an image's label and its coordinates."""
        points = [dict(zip(self.columns, point, strict=True)) for point in self.points.tolist()]
        return [{"label": label, **point} for label, point in zip(self.labels.tolist(), points, strict=True)]


@dataclass(frozen=True)
class Variances:
    """The posterior means and variances of N images.

    Attributes:
        loc: the posterior means mu_d, shape (N, latent_dim).
        variance: the posterior variances sigma_d^2, shape (N, latent_dim).
    """

    loc: Tensor
    variance: Tensor

    @property
    def mean_variance(self) -> Tensor:
        """The mean over images of each dimension's posterior variance, shape (latent_dim,)."""
        return self.variance.mean(0)

    @property
    def variance_of_means(self) -> Tensor:
        """Var_x(mu_d), the variance over images of each dimension's posterior mean, shape (latent_dim,)."""
        return self.loc.var(0, correction=0)

    def __str__(self) -> str:
        means, spreads = (
            ", ".join(f"{value:.4f}" for value in values.tolist()) for values in (self.mean_variance, self.variance_of_means)
        )
        return f"mean posterior variance {means}; variance of the means {spreads}"

    def to_json(self) -> dict[str, Any]:
        """JSON values; docs/json.md lists them."""
        return {
            "images": len(self.loc),
            "mean_posterior_variance": self.mean_variance.tolist(),
            "variance_of_means": self.variance_of_means.tolist(),
        }

    def rows(self) -> list[dict[str, Any]]:
        """The rows of a .csv: the variance and the mean of an image's posterior along one dimension."""
        return [
            {"image": image, "dimension": dimension, "variance": variance, "mean": loc}
            for image, (variances, locs) in enumerate(zip(self.variance.tolist(), self.loc.tolist(), strict=True))
            for dimension, (variance, loc) in enumerate(zip(variances, locs, strict=True), 1)
        ]


@dataclass(frozen=True)
class Manifold:
    """Images decoded from a grid over a 2-D latent space whose cells have equal prior probability.

    Attributes:
        z: the latents, shape (side * side, 2), the top row first.
        mean: the means of p(x | z, y), shape (side * side, D).
        side: cells per side.
        shape: of each image.
        class_name: the name of the label that was decoded; empty if there is none.
    """

    z: Tensor
    mean: Tensor
    side: int
    shape: ImageShape
    class_name: str = ""

    def grid(self) -> Tensor:
        """What a notebook shows, bytes of shape (3, height, width): the grid; of a large one every second cell, or fewer."""
        every = -(-self.side * self.shape.width // (2 * WIDTH))
        cells = self.mean.view(self.side, self.side, -1)[::every, ::every]
        return rows_of(cells.flatten(0, 1), shape=self.shape, columns=len(cells))

    def _repr_png_(self) -> bytes:
        return png(self.grid())


@checked
def cloud(model: VAE, images: Images, dimensions: Annotated[int, Within(1, 3)] | None = None) -> Cloud:
    """The posterior means of images, or their principal components.

    Args:
        model: on the same device as `images`.
        images: with their labels.
        dimensions: principal components of more than three latents; 2 if not given.
    """
    points, labels = encode(model, images).mean, images.labels.cpu()
    latents = points.shape[1]
    if latents <= 3:
        return Cloud(points, labels, images.class_names, tuple(f"z{d + 1}" for d in range(latents)))
    points, shares = principal_components(points, dimensions or 2)
    columns = tuple(f"pc{d + 1}" for d in range(len(shares)))
    return Cloud(points, labels, images.class_names, columns, tuple(shares.tolist()))


@checked
def variances(model: VAE, images: Images) -> Variances:
    """The posterior variances of images.

    Args:
        model: on the same device as `images`.
        images: with their labels.
    """
    q = encode(model, images)
    return Variances(q.mean, q.stddev.square())


@checked
@torch.inference_mode()
def manifold(run: Run, label: int | str | None = None, side: Annotated[int, Within(1, 1000)] = SIDE) -> Manifold:
    """Images that a run's decoder makes of a grid over a 2-D latent space.

    Args:
        run: of two latents.
        label: the label's name or number, for a conditional model; unknown if not given.
        side: cells per side.

    Raises:
        UsageError: it has more or fewer latents, its prior has no quantiles, or there is no such label.
    """
    model, size = run.model.eval(), run.config.latent_dim
    if size != 2:
        raise UsageError(f"{{manifold=}}: {run.name} has {size} latent dimensions, expected 2; leave {{manifold=}} out")
    quantile: Callable[[Tensor], Tensor] | None = getattr(model.prior, "quantile", None)
    if quantile is None:
        raise UsageError("{manifold=} with {prior}: found a prior without quantiles; leave {manifold=} out", prior=run.config.prior)
    number = UNKNOWN if label is None else label_number(label, run.class_names)
    device = model.device
    z = quantile(squares(side).to(device)).float()
    y = model.condition(torch.full((len(z),), number, device=device))
    name = "" if label is None or not model.conditional else run.class_names[number]
    return Manifold(z, model.decode(z, y).mean, side, model.image_shape, name)


def principal_components(points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Points along their directions of greatest variance.

    Args:
        points: shape (N, D).
        count: how many directions, at most D.

    Returns:
        The coordinates, shape (N, count), and each direction's share of the total variance, shape (count,). Directions are
        signed so that their largest component is positive.
    """
    directions, shares = principal_directions(points, count)
    return ((points - points.mean(0)).double() @ directions).float(), shares


def principal_directions(points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The directions of greatest variance: unit vectors, float64, shape (D, count), and their shares, as `principal_components`."""
    centred = (points - points.mean(0)).double()
    spreads, directions = torch.linalg.eigh(centred.T @ centred / len(points))
    directions = directions.flip(1)[:, :count]
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))
    shares = spreads.flip(0)[:count] / spreads.sum()
    return directions * largest.sign(), shares.float()


def squares(side: int) -> Tensor:
    """The middles of the cells of a grid over the unit square: float64, shape (side * side, 2), the top row first."""
    middles = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    return torch.cartesian_prod(middles.flip(0), middles).flip(1)
