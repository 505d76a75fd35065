"""``vaecli search --dry-run``: the trials, and about how long they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from vaecli.cli import console
from vaecli.errors import shown

if TYPE_CHECKING:
    from vaecli.studies.plan import Plan


def print_plan(plan: Plan, workers: int, as_json: bool) -> None:
    """Prints the trials of a plan, with their estimated seconds."""
    from vaecli.studies.estimate import estimate

    with console.bar("%", 100) as bar:
        seconds = estimate(plan, workers, lambda share: bar(100 * share, "timing a few steps"))
    seeds = plan.space.seeds
    sampled = bool(plan.space.ranges)
    total = (sum(seconds) / len(seconds) * plan.total if sampled else sum(seconds) * len(seeds)) / workers
    if as_json:
        trials = [] if sampled else [
            {"settings": values, "seed": seed, "seconds": round(spent, 1)}
            for seed in seeds for values, spent in zip(plan.combinations, seconds, strict=True)
        ]  # fmt: skip
        console.result_json(
            "search", [], [], name=plan.name, by=plan.by, trials=plan.total, seconds=round(total, 1), planned=trials,
            ranges={name: str(span) for name, span in plan.space.ranges.items()},
        )  # fmt: skip
        return
    console.table(_sampled(plan) if sampled else _listed(plan, seconds))
    console.result(f"{plan.total:,} trials, about {_duration(total)} with {workers} worker{'s' if workers > 1 else ''} here")


def _listed(plan: Plan, seconds: list[float]) -> Table:
    made = _table([*(name.replace("_", " ") for name in plan.space.varied), "about"])
    for seed in plan.space.seeds:
        for values, spent in zip(plan.combinations, seconds, strict=True):
            made.add_row(*(shown(seed if name == "seed" else values[name]) for name in plan.space.varied), _duration(spent))
    return made


def _sampled(plan: Plan) -> Table:
    made = _table(["setting", "values", ""])
    for name, span in plan.space.ranges.items():
        made.add_row(name.replace("_", " "), str(span), "sampled by TPE" + (", logarithmic" if span.log else ""))
    for name, values in plan.space.lists.items():
        made.add_row(name.replace("_", " "), ",".join(map(shown, values)), "sampled by TPE")
    if len(plan.space.seeds) > 1:
        made.add_row("seed", ",".join(map(str, plan.space.seeds)), "all of them with every sample")
    return made


def _table(headings: list[str]) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading)
    return made


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else "1 s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
