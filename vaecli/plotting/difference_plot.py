"""Differences between runs, with their errors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from vaecli.analysis.differences import Difference
from vaecli.arguments import Filled, checked
from vaecli.plotting.formats import save_figure
from vaecli.plotting.grids import short

_DPI = 110
_SEED, _MEAN, _SEEDS = "#56B4E9", "#0072B2", "#D55E00"
"""Of Okabe & Ito's palette, which people who are colour-blind tell apart; shapes differ too."""


@checked
def save_differences(path: Path, differences: Annotated[Sequence[Difference], Filled], split: str = "test") -> None:
    """A row for each difference from the first run, with two standard errors to either side; to the left is better.

    Args:
        path: a file that ends in .png, .pdf or .svg.
        differences: from `vaecli.analysis.differences.differences`.
        split: the name of the images.

    Raises:
        VaecliError: the file cannot be written.
    """
    others = len(differences) - 1
    figure = Figure(figsize=(8, 1.8 + 0.45 * others), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    draw_differences(figure.add_subplot(), differences, split)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    save_figure(path, figure, _DPI)


def draw_differences(axes: Axes, differences: Sequence[Difference], split: str = "test") -> None:
    """The differences in axes, with their captions and a label for each kind of error, as `save_differences`."""
    first, *others = differences
    axes.axvline(0, color="#555555", linewidth=1)
    rows = range(len(others))
    for kind, colour, width, shift in (("standard_error", _MEAN, 2.5, 0.0), ("seeds_standard_error", _SEEDS, 1.2, 0.16)):
        known = [(row, it, error) for row, it in zip(rows, others, strict=True) if (error := getattr(it, kind)) is not None]
        if known:
            axes.errorbar(
                [-it.value for _, it, _ in known], [row + shift for row, _, _ in known], xerr=[2 * error for _, _, error in known],
                fmt="D" if kind == "standard_error" else "none", markersize=5, capsize=4, elinewidth=width, color=colour, zorder=3,
                label=f"± two standard errors over {'images' if kind == 'standard_error' else 'seeds'}",
            )  # fmt: skip
    points = [(-value, row) for row, it in zip(rows, others, strict=True) if len(it.by_seed) > 1 for value in it.by_seed]
    if points:
        axes.scatter([x for x, _ in points], [y for _, y in points], s=30, color=_SEED, zorder=2, label="a seed")
    axes.set_yticks(rows, [short(it.run, 40) for it in others], parse_math=False)
    axes.set_ylim(len(others) - 0.4, -0.6)
    axes.set_xlabel(
        f"{split} {first.heading} less that of {short(first.run, 40)} (nats per image; to the left is better)", parse_math=False
    )
    axes.grid(axis="x", alpha=0.3)
