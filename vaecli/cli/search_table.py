"""What ``vaecli search`` says of its trials: a line for each as it ends, and a table of the settings at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vaecli.cli import console
from vaecli.cli.compare_table import with_error
from vaecli.cli.tables import Table, signed
from vaecli.errors import format_value
from vaecli.studies.trials import DONE, FAILED, PRUNED

if TYPE_CHECKING:
    from vaecli.studies.plan import Plan
    from vaecli.studies.run_plan import Outcome
    from vaecli.studies.trials import RankedSettings, Trial


def heading(plan: Plan) -> str:
    """The line above those of `line`."""
    return _aligned(plan, ["trial", *_names(plan), bound_of(plan), "seconds", "run"])


def line(plan: Plan, trial: Trial) -> str:
    """A trial that ended, aligned below `heading`."""
    values = [format_value(_value_of(trial, name)) for name in plan.space.varied]
    bound = {DONE: _number(trial.value), PRUNED: f"{_number(trial.value)} pruned", FAILED: "failed"}[trial.state]
    seconds = "" if trial.seconds is None else f"{trial.seconds:.1f}"
    return _aligned(plan, [str(trial.number), *values, bound, seconds, trial.error or trial.name])


def table(outcome: Outcome) -> Table:
    """The settings, the best first: the mean of their bounds over seeds, with its standard error."""
    plan = outcome.plan
    names = [name for name in plan.space.varied if name != "seed"]
    seeds = len(plan.space.seeds)
    made = Table.of(
        [name.replace("_", " ") for name in names],
        [bound_of(plan), *(["seeds"] if seeds > 1 else []), "seconds"],
        ["best run" if seeds > 1 else "run"],
    )
    for row in outcome.rows:
        spent = [trial.seconds for trial in row.trials if trial.seconds is not None]
        made.add_row(
            *(format_value(row.settings[name]) for name in names),
            _mean(row),
            *([f"{len(row.values)} of {len(row.trials)}" if not row.complete else str(len(row.values))] if seeds > 1 else []),
            f"{sum(spent):.1f}",
            row.trials[0].name,
        )
    return made


def bound_of(plan: Plan) -> str:
    """What trials are compared by, as a heading; smaller is better."""
    return f"validation -{plan.by.replace('elbo', 'ELBO')}"


def tested(outcome: Outcome) -> str:
    """The winner on the test images."""
    name = outcome.best.name
    if outcome.test is None:
        there = f"its run is on {outcome.best.host}, in {outcome.best.path}"
        return f"{name}: {there}; type the line there to measure it on the test images"
    bounds = {bound.replace("elbo", "ELBO"): value for bound, value in outcome.test["bounds"].items()}
    said = ", ".join(f"-{bound} {with_error(-value['mean'], value['standard_error'])}" for bound, value in bounds.items())
    images = outcome.test["images"]
    count = f"{images:,} test images" if images > 1 else "one test image, of which no error is known"
    return f"{name} on {count}, measured once: {said} nats"


def _names(plan: Plan) -> list[str]:
    return [name.replace("_", " ") for name in plan.space.varied]


def _value_of(trial: Trial, name: str) -> Any:
    return trial.seed if name == "seed" else trial.settings[name]


def _mean(row: RankedSettings) -> str:
    if row.value is None:
        return row.trials[0].state
    return with_error(-row.value, row.standard_error)


def _number(value: float | None) -> str:
    return "" if value is None else f"{-value:.2f}"


def _aligned(plan: Plan, cells: list[str]) -> str:
    """The cells of a line, each below its heading: as wide as that, or as the longest value where it is known before."""
    known = {name: map(format_value, values) for name, values in plan.space.lists.items()}
    known["seed"] = map(str, plan.space.seeds)
    longest = [max(map(len, [*known.get(name, ["0.001234"]), name])) for name in plan.space.varied]
    *first, last = cells
    widths = [5, *longest, max(len(bound_of(plan)), len("1234.56 pruned")), 8]
    line = "  ".join([*(cell.rjust(width) for cell, width in zip(first, widths, strict=True)), last])
    return signed(line, console.stderr)
