"""Plots as SVG inside the page: sharp at any size, dark where the page is, with values under the pointer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 480, 360
LEFT, RIGHT, TOP, BOTTOM = 62, 470, 28, 312

CHUNKS = 12
"""Parts in which the points of a class are drawn, in turn with those of the other classes, so that none covers the others."""


@dataclass(frozen=True)
class Series:
    """Points of one colour.

    Attributes:
        name: shown for all of them, where they have no titles.
        colour: as CSS has it.
        points: to the right and up, in the units of the axes.
        titles: of each point, shown under the pointer; none where there are many points.
        line: whether they are joined.
        mark: ``circle``, ``bar`` or ``diamond``; of points with titles.
    """

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    titles: Sequence[str] = ()
    line: bool = False
    mark: str = "circle"


@dataclass(frozen=True)
class Plot:
    """Axes, and what they hold.

    Attributes:
        title: above them.
        across: the caption of the axis to the right; empty for no axes.
        up: the caption of the other one.
        series: drawn in their order.
        ticks: of the axis to the right; chosen if there are none.
        log: whether the other axis is logarithmic.
        arrows: lines from one point to another with a name at the end: the axes of a space of three dimensions, seen from the side.
    """

    title: str
    across: str
    up: str
    series: Sequence[Series]
    ticks: Sequence[float] = ()
    log: bool = False
    arrows: Sequence[tuple[tuple[float, float], tuple[float, float], str]] = ()


def svg(plot: Plot, template: str) -> Markup:
    """The SVG of a plot, by the template ``plot.svg.j2``."""
    points = [point for series in plot.series for point in series.points]
    points += [end for start, stop, _ in plot.arrows for end in (start, stop)]
    scale = math.log10 if plot.log else float
    (left, right), (low, high) = _range([x for x, _ in points]), _range([scale(y) for _, y in points])

    def at(point: tuple[float, float]) -> tuple[float, float]:
        x, y = (point[0] - left) / (right - left), (scale(point[1]) - low) / (high - low)
        return round(LEFT + x * (RIGHT - LEFT), 1), round(BOTTOM - y * (BOTTOM - TOP), 1)

    ticks = plot.ticks or _ticks(left, right)
    ups = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)] if plot.log else _ticks(low, high)
    drawn = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(template).render(
        plot=plot, width=WIDTH, height=HEIGHT, left=LEFT, right=RIGHT, top=TOP, bottom=BOTTOM,
        across=[(at((tick, points[0][1]))[0], _text(tick)) for tick in ticks] if plot.across else [],
        ups=[(at((left, tick))[1], _text(tick)) for tick in ups] if plot.across else [],
        clouds=_clouds([series for series in plot.series if not series.titles], at),
        lines=[(series, " ".join(f"{x:g},{y:g}" for x, y in map(at, series.points))) for series in plot.series if series.line],
        marks=[
            (series, [(*at(point), title) for point, title in zip(series.points, series.titles, strict=True)])
            for series in plot.series
            if series.titles
        ],
        arrows=[(*at(start), *at(stop), name) for start, stop, name in plot.arrows],
    )  # fmt: skip
    return Markup(drawn)


def _clouds(every: Sequence[Series], at: Callable[[tuple[float, float]], tuple[float, float]]) -> list[tuple[Series, str]]:
    """Paths of dots, a part of each series in turn."""
    drawn = []
    for part in range(CHUNKS):
        for series in every:
            step = math.ceil(len(series.points) / CHUNKS)
            dots = map(at, series.points[part * step : (part + 1) * step])
            drawn.append((series, "".join(f"M{x:g} {y:g}h0" for x, y in dots)))
    return [(series, path) for series, path in drawn if path]


def _ticks(low: float, high: float) -> list[float]:
    return [tick for tick in MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if low <= tick <= high]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """From the least value to the greatest, and a twentieth more on either side."""
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


def _text(value: float) -> str:
    return f"{value:g}".replace("-", "\u2212")
