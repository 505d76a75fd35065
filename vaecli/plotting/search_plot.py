"""The outcome of a search as a plot: the bound against every setting that varied."""

import math
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogFormatter, ScalarFormatter

from vaecli.arguments import checked
from vaecli.errors import format_value
from vaecli.plotting.formats import save_figure
from vaecli.studies.run_plan import Outcome
from vaecli.studies.space import spans_decades
from vaecli.studies.trials import DONE, PRUNED, RankedSettings

_DPI = 110
_COLUMNS = 3
_RUN, _MEAN, _BEST, _PRUNED = "#56B4E9", "#0072B2", "#D55E00", "#999999"
"""Of Okabe & Ito's palette, which people who are colour-blind tell apart; shapes differ too."""


@checked
def save_search(path: Path, outcome: Outcome) -> None:
    """Writes a picture of the bound on the validation images, negated, against every setting that varied; lower is better.

    Every run is a point; the mean over seeds has its standard error. Axes are logarithmic where values span decades.

    Args:
        path: a file that ends in .png, .pdf or .svg.
        outcome: of a search.

    Raises:
        VaecliError: the file cannot be written.

    Example:
        >>> save_search(Path("search.png"), vaecli.search({"latent_dim": [2, 3]}))
    """
    names = [name for name in outcome.plan.space.varied if name != "seed"] or ["seed"]
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(max(6.5, 4.6 * columns), 4.2 * rows), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True).flatten()
    for axes, name in zip(grid, names, strict=False):
        draw_setting(axes, name, outcome)
    for axes in grid[len(names) :]:
        axes.set_visible(False)
    for row in range(rows):
        grid[row * columns].set_ylabel(bound_caption(outcome))
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    save_figure(path, figure, _DPI)


def bound_caption(outcome: Outcome) -> str:
    """The caption of the axis of bounds."""
    return f"validation -{outcome.plan.by.replace('elbo', 'ELBO')} (nats per image)"


def draw_setting(axes: Axes, name: str, outcome: Outcome) -> None:
    """The bound against one setting in axes, with a caption below and a label for each kind of point, as `save_search`."""
    values = [_value_of(row, name, seed) for row in outcome.rows for seed in (trial.seed for trial in row.trials)]
    numeric = all(isinstance(value, int | float) for value in values)
    at = {format_value(value): float(value) if numeric else place for place, value in enumerate(dict.fromkeys(values))}

    def x(row: RankedSettings, seed: int) -> float:
        return at[format_value(_value_of(row, name, seed))]

    top = _top(outcome)
    done: dict[str, Any] = {"s": 30, "marker": "o", "color": _RUN, "label": "a run"}
    pruned: dict[str, Any] = {"s": 30, "marker": "x", "color": _PRUNED, "label": "a pruned run, at the top where it is above"}
    for state, style in ((DONE, done), (PRUNED, pruned)):
        points = [(x(row, trial.seed), min(-trial.value, top)) for row in outcome.rows for trial in row.trials
                  if trial.value is not None and trial.state == state]  # fmt: skip
        if points:
            axes.scatter(*zip(*points, strict=True), zorder=2, **style)
    several = [row for row in outcome.rows if row.standard_error is not None and name != "seed"]
    if several:
        places = [x(row, row.trials[0].seed) for row in several]
        means = [-row.value for row in several if row.value is not None]
        errors = [row.standard_error or 0.0 for row in several]
        axes.errorbar(places, means, yerr=errors, fmt="D", markersize=5, capsize=4, color=_MEAN, zorder=3,
                      label="mean over seeds, ± standard error")  # fmt: skip
        if [one for one in outcome.plan.space.varied if one != "seed"] == [name] and numeric:
            ordered = sorted(zip(places, means, strict=True))
            axes.plot(*zip(*ordered, strict=True), color=_MEAN, linewidth=1, zorder=1)
    best = outcome.best
    if best.value is not None:
        axes.scatter([x(outcome.rows[0], best.seed)], [-best.value], marker="*", s=170, color=_BEST, edgecolors="black",
                     linewidths=0.6, zorder=4, label="the winner")  # fmt: skip
    _scale(axes, at, numeric, few=name not in outcome.plan.space.ranges and len(at) <= 12)
    axes.set_xlabel(name.replace("_", " "))
    axes.grid(alpha=0.3)


def _top(outcome: Outcome) -> float:
    """Just above the highest value of a run that was trained to its end: pruned ones may be far above."""
    values = [-value for row in outcome.rows for value in row.values]
    return max(values) + 0.1 * (max(values) - min(values) or 1.0)


def _scale(axes: Axes, at: dict[str, float], numeric: bool, few: bool) -> None:
    """A logarithmic axis where the values span decades; ticks at the values where they are few or no numbers."""
    if numeric and spans_decades(at.values()):
        axes.set_xscale("log")
        if min(at.values()) >= 1:
            axes.xaxis.set_major_formatter(ScalarFormatter())
            axes.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    if few or not numeric:
        axes.set_xticks(list(at.values()), list(at), parse_math=False)
        axes.minorticks_off()
    if not numeric:
        axes.set_xlim(-0.5, len(at) - 0.5)


def _value_of(row: RankedSettings, name: str, seed: int) -> Any:
    return seed if name == "seed" else row.settings[name]
