"""The plots of the page, from the rows of the CSV files beside it."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, pvariance
from typing import NamedTuple

from vaecli.plotting.palette import TEN, class_colours, hex_of
from vaecli.report.svg import Plot, Series

Row = Mapping[str, str]

_AROUND, _ABOVE = math.radians(-60), math.radians(30)
"""From where a space of three dimensions is seen, as in ``latent-plot``."""


class Plots(NamedTuple):
    """Plots side by side, and the names and colours of their legend."""

    plots: Sequence[Plot]
    legend: Sequence[tuple[str, str]]


def curves(rows: Sequence[Row]) -> Plots:
    """The losses of runs by epoch: columns ``run``, ``epoch``, ``loss`` and ``test_loss``."""
    runs = _parts(rows, "run")
    colours = dict(zip(runs, map(hex_of, TEN), strict=False))

    def of(column: str, title: str) -> Plot:
        series = []
        for name, own in runs.items():
            points = [(float(row["epoch"]), float(row[column])) for row in own]
            titles = [f"{name}, epoch {epoch:g}: {value:.2f} nats" for epoch, value in points]
            series.append(Series(name, colours[name], points, titles, line=True))
        epochs = sorted({x for one in series for x, _ in one.points})
        return Plot(title, "epoch", "nats per image", series, ticks=epochs if len(epochs) < 12 else ())

    return Plots([of("loss", "Training loss"), of("test_loss", "Test -ELBO")], list(colours.items()))


def variances(rows: Sequence[Row]) -> Plots:
    """The posterior's variance along each latent: columns ``run``, ``image``, ``dimension``, ``mean`` and ``variance``."""
    each, mean, of_means = (hex_of(TEN[place]) for place in (0, 4, 1))
    plots = []
    for name, own in _parts(rows, "run").items():
        latents = {float(latent): part for latent, part in _parts(own, "dimension").items()}
        points = [
            (latent + 0.5 * (index * 0.618034 % 1 - 0.5), float(row["variance"]))
            for latent, part in latents.items()
            for index, row in enumerate(part)
        ]
        means = [(latent, fmean([float(row["variance"]) for row in part])) for latent, part in latents.items()]
        spreads = [(latent, pvariance([float(row["mean"]) for row in part])) for latent, part in latents.items()]
        plots.append(
            Plot(
                name, "latent dimension", "variance",
                [
                    Series("the posterior's variance, of each image", each, points),
                    _marks("mean over images", mean, means, "bar"),
                    _marks("variance over images of the posterior means", of_means, spreads, "diamond"),
                ],
                ticks=list(latents), log=True,
            )
        )  # fmt: skip
    legend = [
        ("posterior variance of an image", each),
        ("its mean over images", mean),
        ("variance of the posterior means over images", of_means),
    ]
    return Plots(plots, legend)


def clouds(rows: Sequence[Row]) -> Plots:
    """The posterior means of images: columns ``run``, ``label``, its number, and ``z1`` to ``z3``, those there are."""
    names = sorted({row["label"] for row in rows}, key=int)
    every = class_colours(int(names[-1]) + 1)
    colours = {name: hex_of(every[int(name)]) for name in names}
    plots = []
    for run, own in _parts(rows, "run").items():
        deep = bool(own[0].get("z3"))
        by_label = _parts(own, "label")
        series = [Series(name, colours[name], [_place(row, deep) for row in by_label[name]]) for name in names if name in by_label]
        title = f"{run}: posterior means of {len(own):,} test images"
        plots.append(Plot(title, "" if deep else "z1", "z2", series, arrows=_axes(own) if deep else ()))
    return Plots(plots, list(colours.items()))


KINDS: Mapping[str, Callable[[Sequence[Row]], Plots]] = {"curves": curves, "variances": variances, "clouds": clouds}
"""What makes plots of a file's rows, by name."""


def _place(row: Row, deep: bool) -> tuple[float, float]:
    return _project(*(float(row[name]) for name in ("z1", "z2", "z3"))) if deep else (float(row["z1"]), float(row["z2"]))


def _project(x: float, y: float, z: float) -> tuple[float, float]:
    """A point of three dimensions as it is seen from the side and above, without perspective."""
    right = -x * math.sin(_AROUND) + y * math.cos(_AROUND)
    ahead = x * math.cos(_AROUND) + y * math.sin(_AROUND)
    return right, z * math.cos(_ABOVE) - ahead * math.sin(_ABOVE)


def _axes(rows: Sequence[Row]) -> list[tuple[tuple[float, float], tuple[float, float], str]]:
    """The three axes, from the least values to the greatest."""
    values = [[float(row[name]) for row in rows] for name in ("z1", "z2", "z3")]
    corner = [min(axis) for axis in values]
    ends = [[*corner[:place], max(values[place]), *corner[place + 1 :]] for place in range(3)]
    return [(_project(*corner), _project(*end), f"z{place}") for place, end in enumerate(ends, 1)]


def _marks(name: str, colour: str, points: Sequence[tuple[float, float]], mark: str) -> Series:
    return Series(name, colour, points, [f"{name}, latent {latent:g}: {value:.4f}" for latent, value in points], mark=mark)


def _parts(rows: Sequence[Row], column: str) -> dict[str, list[Row]]:
    """The rows by their value of a column, in order of appearance."""
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(row[column], []).append(row)
    return parts
