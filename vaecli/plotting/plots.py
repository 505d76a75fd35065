"""Plots with axes. Names of runs and classes are shown unchanged, although matplotlib reads a $ as TeX."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import ScalarFormatter

from vaecli.analysis.comparison import Curve
from vaecli.analysis.latents import Cloud, Variances
from vaecli.arguments import Filled, checked
from vaecli.data.images import UNKNOWN
from vaecli.errors import printable
from vaecli.plotting.formats import save_figure
from vaecli.plotting.grids import short
from vaecli.plotting.palette import TEN, UNKNOWN_COLOUR, Colour, class_colours
from vaecli.seeding import generator

_DPI = 110
_SIDE = 6.0
LEGEND = 20
"""Classes in a legend at the most."""
MANY_EPOCHS = 100
"""More have no marks, and their axis is logarithmic."""


@checked
def save_clouds(
    path: Path, runs: Annotated[Sequence[tuple[str, Cloud]], Filled], split: str = "test", view: tuple[float, float] | None = None
) -> None:
    """Clouds side by side, each point in its label's colour, with axes and legends.

    Points are drawn in a shuffled order, so that no class covers the others. In two dimensions up to ten classes have their names
    at the medians of their points.

    Args:
        path: a file that ends in .png, .pdf or .svg.
        runs: the name and the cloud of each run, which gets axes of its own; three coordinates are drawn in perspective, a single
            one against its label.
        split: the name of the images in the titles.
        view: azimuth and elevation in degrees, of three coordinates.

    Raises:
        VaecliError: the file cannot be written.
    """
    figure = Figure(figsize=((_SIDE + 1) * len(runs), _SIDE), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    for index, (name, cloud) in enumerate(runs):
        axes = figure.add_subplot(1, len(runs), index + 1, projection="3d" if cloud.points.shape[1] == 3 else None)
        draw_cloud(axes, cloud, view)
        title(axes, f"{name}: posterior means of {len(cloud.points):,} {split} images")
    save_figure(path, figure, _DPI)


def draw_cloud(axes: Axes, cloud: Cloud, view: tuple[float, float] | None = None) -> None:
    """A cloud in axes, with their captions and a legend, as `save_clouds`; of three coordinates the axes are 3-D."""
    deep = cloud.points.shape[1] == 3
    _scatter(axes, cloud)
    captions = axis_captions(cloud)
    axes.set_xlabel(captions[0])
    axes.set_ylabel(captions[1] if len(captions) > 1 else "label")
    if len(captions) == 1 and not cloud.labelled:
        axes.set_ylabel("")
        axes.set_yticks([])
    if deep:
        axes.set_zlabel(captions[2])  # type: ignore[attr-defined]
        if view:
            axes.view_init(azim=view[0], elev=view[1])  # type: ignore[attr-defined]
    else:
        axes.grid(alpha=0.3)
    class_legend(axes, cloud, away=1.12 if deep else 1.02)


def _scatter(axes: Axes, cloud: Cloud) -> None:
    """Draws the points, after an empty collection for each class, which the legend shows."""
    style: dict[str, Any] = {"s": 7, "alpha": 0.7, "linewidths": 0}
    points, order = cloud.points, torch.randperm(len(cloud.points), generator=generator("cpu", "order"))
    if points.shape[1] == 1:
        jitter = torch.rand(len(points), 1, generator=generator("cpu", "jitter")) * 0.8 - 0.4
        points = torch.cat((points, cloud.labels[:, None] + jitter), 1)
    colours = {label: colour for label, _, colour in kinds(cloud)}
    nothing: list[list[float]] = [[] for _ in range(points.shape[1])]
    for _, class_name, colour in kinds(cloud):
        axes.scatter(*nothing, **style, color=colour, label=class_name)
    axes.scatter(*points[order].T.tolist(), **style, color=[colours[label] for label in cloud.labels[order].tolist()])
    if cloud.points.shape[1] == 2 and cloud.labelled and len(cloud.class_names) <= len(TEN):
        _name_classes(axes, cloud)


def _name_classes(axes: Axes, cloud: Cloud) -> None:
    """Writes the name of each class at the median of its points."""
    outline = [Stroke(linewidth=3, foreground="white"), Normal()]
    for label, class_name, _ in kinds(cloud):
        right, up = cloud.points[cloud.labels == label].median(0).values.tolist()
        axes.annotate(
            short(printable(class_name), 16), (right, up), ha="center", va="center", weight="bold", parse_math=False,
            path_effects=outline,
        )  # fmt: skip


def kinds(cloud: Cloud) -> list[tuple[int, str, Colour]]:
    """The labels that occur in a cloud, each with its name and its colour."""
    if not cloud.labelled:
        return [(UNKNOWN, "", TEN[0])]
    colours = [*class_colours(len(cloud.class_names)), UNKNOWN_COLOUR]
    return [
        (label, "unknown" if label == UNKNOWN else cloud.class_names[label], colours[label])
        for label in cloud.labels.unique().tolist()
    ]


def class_legend(axes: Axes, cloud: Cloud, away: float = 1.02) -> None:
    """A legend of the classes, whose collections are the first of the axes; of many, the most frequent. None without labels."""
    if not cloud.labelled:
        return
    labels, counts = cloud.labels.unique(return_counts=True)
    drawn: list[Artist] = list(axes.collections[: len(labels)])
    if len(labels) > LEGEND:
        frequent = counts.argsort(descending=True, stable=True)[:LEGEND].sort().values.tolist()
        drawn = [drawn[index] for index in frequent]
        drawn.append(Line2D([], [], linestyle="none", label=f"and {len(labels) - LEGEND:,} more"))
    legend(axes, scale=4, away=away, drawn=drawn)


def axis_captions(cloud: Cloud) -> Sequence[str]:
    """A caption for each axis of a cloud."""
    if cloud.shares is None:
        return cloud.columns
    return [f"principal component {d} ({share:.0%} of the variance)" for d, share in enumerate(cloud.shares, 1)]


@checked
def save_variances(path: Path, runs: Annotated[Sequence[tuple[str, Variances]], Filled]) -> None:
    """The posterior variance along each latent dimension, below each other for several runs.

    Args:
        path: a file that ends in .png, .pdf or .svg.
        runs: the name and the variances of each run.

    Raises:
        VaecliError: the file cannot be written.
    """
    figure = Figure(figsize=(9, 3.6 * len(runs)), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    rows = figure.subplots(len(runs), 1, squeeze=False, sharey=True)
    for axes, (name, variances) in zip(rows[:, 0], runs, strict=True):
        draw_variances(axes, variances)
        mean = variances.variance.mean()
        title(axes, f"{name}: {len(variances.variance)} images, mean posterior variance {mean:.4f}")
    save_figure(path, figure, _DPI)


def draw_variances(axes: Axes, variances: Variances) -> None:
    """The posterior variance along each latent dimension in axes, with their captions and a legend."""
    variance, spread = variances.variance, variances.variance_of_means
    images, dimensions = variance.shape
    at = torch.arange(1, dimensions + 1)
    jitter = torch.rand(images, dimensions, generator=generator("cpu", "jitter")) * 0.5 - 0.25
    axes.scatter(
        (at + jitter).flatten().tolist(), variance.flatten().tolist(), s=5, alpha=0.35, linewidths=0, color=TEN[0],
        label=r"$\sigma_d^2$ of each image",
    )  # fmt: skip
    axes.scatter(at.tolist(), variance.mean(0).tolist(), marker="_", s=400, color="black", label=r"mean $\sigma_d^2$")
    axes.scatter(at.tolist(), spread.tolist(), marker="D", s=30, color=TEN[1], label=r"Var$_x(\mu_d)$")
    axes.set_yscale("log")
    axes.set_xticks(at.tolist() if dimensions <= 20 else at[4::5].tolist())
    axes.set_xlabel("latent dimension")
    axes.set_ylabel("variance")
    axes.grid(alpha=0.3)
    legend(axes, formulas=True)


@checked
def save_curves(path: Path, runs: Annotated[Sequence[Curve], Filled]) -> None:
    """Loss and -ELBO of the test or validation images of runs over their epochs; of more than `MANY_EPOCHS` on a logarithmic axis.

    Args:
        path: a file that ends in .png, .pdf or .svg.
        runs: their curves.

    Raises:
        VaecliError: the file cannot be written.
    """
    figure = Figure(
        figsize=(2 * _SIDE, max(0.75 * _SIDE, 0.25 * len(runs))), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
    )
    left, right = figure.subplots(1, 2)
    draw_curves(left, runs, "losses", "loss")
    title(left, "training")
    draw_curves(right, runs)
    title(right, f"{' or '.join(sorted({curve.measured for curve in runs}))} images")
    legend(right)
    save_figure(path, figure, _DPI)


def draw_curves(axes: Axes, runs: Sequence[Curve], values: str = "measured_losses", what: str = "-ELBO") -> None:
    """Curves of runs in axes, with their captions, and a label for each line.

    Args:
        axes: of matplotlib.
        runs: their curves.
        values: the name of the values in a `Curve`.
        what: they are, in nats per image.
    """
    splits = {curve.measured for curve in runs}
    many = max(len(curve.epochs) for curve in runs) > MANY_EPOCHS
    for index, curve in enumerate(runs):
        label = curve.name if len(splits) == 1 else f"{curve.name} ({curve.measured})"
        style: dict[str, Any] = {"marker": "" if many else "o", "markersize": 3, "color": TEN[index % 10], "label": label}
        axes.plot(curve.epochs, getattr(curve, values), **style)
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"{what} (nats per image)")
    if many:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(ScalarFormatter())
    else:
        locator: Any = axes.xaxis.get_major_locator()
        locator.set_params(integer=True)
    axes.grid(alpha=0.3)


def title(axes: Axes, text: str) -> None:
    """Writes a title, letter by letter."""
    axes.set_title(printable(text), parse_math=False)


def legend(axes: Axes, scale: float = 1, away: float = 1.02, formulas: bool = False, drawn: Sequence[Artist] | None = None) -> None:
    """A legend beside the axes, also of labels that begin with an underscore, which matplotlib leaves out by itself."""
    drawn = [*axes.lines, *axes.collections] if drawn is None else drawn
    labels = [short(printable(str(artist.get_label()))) for artist in drawn]
    made = axes.legend(drawn, labels, loc="center left", bbox_to_anchor=(away, 0.5), frameon=False, markerscale=scale)
    for text in made.get_texts():
        text.set_parse_math(formulas)
    for handle in made.legend_handles:
        if handle is not None:
            handle.set_alpha(1)
