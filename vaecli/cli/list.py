"""``vaecli list``."""

from __future__ import annotations

import operator
import re
import time
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer

from vaecli.cli import console
from vaecli.cli.declare import TABLE, examples, flag_option, optional
from vaecli.cli.options import AsJson, Quiet
from vaecli.cli.tables import Table, print_table
from vaecli.config import settings
from vaecli.errors import UsageError, either, format_value
from vaecli.registry import unknown
from vaecli.runs.find import FIRST, RUNS
from vaecli.runs.listing import ListedRun, list_runs

HELP = examples(
    "vaecli list", "vaecli list --sort elbo --filter data=mnist --filter 'epochs>=5'", "vaecli list --filter 'latent-dim=3' --json"
)
FILTER = (
    "Only runs of which this holds: NAME=VALUE with a column or a setting, also with != < <= > >= in quotes, VALUE also with *; a "
    "word alone is looked for in the run's name. May be given again."
)

COLUMNS: dict[str, Callable[[ListedRun], Any]] = {
    "run": lambda run: run.name,
    "data": lambda run: run.config.dataset,
    "epochs": lambda run: run.epoch,
    "elbo": lambda run: None if run.elbo is None else -run.elbo,
    "saved": lambda run: when(run.saved),
    "size": lambda run: run.bytes / 1e6,
}
"""What runs are sorted and filtered by, beside their settings: the numbers are those of the table."""

SORT = f"By a column or setting: {either([*COLUMNS, 'latent-dim'])} and so on; the best bound, the newest and the largest first."
_FALLING = ("saved", "size")
"""The columns of which the largest comes first."""

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def list_(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder that holds the runs; checkpoints if not given.", show_default=False)
    ] = RUNS,
    sort: Annotated[str, typer.Option(metavar="NAME", help=SORT, rich_help_panel=TABLE)] = "saved",
    reverse: Annotated[bool, flag_option("--reverse", "The other way round.", TABLE)] = False,
    filters: Annotated[list[str] | None, optional(FILTER, TABLE, "--filter", metavar="NAME=VALUE")] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """List runs: their data, the settings that differ from the defaults, their bounds, when they were saved, and their size."""
    console.set_quiet(quiet)
    key, tests = _value_of(sort, "sort"), [_test_of(words) for words in filters or ()]
    if folder == RUNS and not folder.is_dir():
        found, damaged = list[ListedRun](), dict[Path, str]()
    else:
        found, damaged = list_runs(folder)
    runs = [run for run in found if all(test(run) for test in tests)]
    known = [run for run in runs if key(run) is not None]
    known.sort(key=key, reverse=(_column(sort) in _FALLING) != reverse)
    runs = [*known, *(run for run in runs if key(run) is None)]
    if as_json:
        console.result_json(
            "list", [(run.name, run.path) for run in runs], [], folder=str(folder), listed=[run.to_json() for run in runs],
            damaged=[{"path": str(path), "problem": problem} for path, problem in damaged.items()],
        )  # fmt: skip
        return
    if runs:
        print_table(_table(runs), least=("settings", "of", "MB", "data", "epochs"), folded="settings")
    for problem in damaged.values():
        console.note(f"Left out: {problem}")
    count = f"{len(runs):,} of {len(found):,} runs" if tests else f"{len(runs):,} run{'s' * (len(runs) != 1)}"
    console.note(f"{folder}: {count}, {sum(run.bytes for run in runs) / 1e6:,.1f} MB" if found else f"{folder}: no run; {FIRST}")
    if _column(sort) == "elbo" and len({(run.config.dataset, run.split) for run in known}) > 1:
        console.note("Bounds of different images are not comparable: -ELBO is of the data and the split in the row")


def when(saved: float) -> str:
    """A time in words: ``2026-10-05 12:30``."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(saved))


def size_of(count: int) -> str:
    """Bytes in words: ``12.6 MB``, or ``3.1 kB``."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"


def epochs_of(run: ListedRun) -> str:
    """How long a run was trained, in words: ``5``, or ``3 of 5``."""
    planned = "" if run.finished else f" of {run.config.epochs}"
    return f"{run.epoch}{planned}" + ", diverged" * ("diverged_epoch" in run.record.results)


def settings_in_words(values: Mapping[str, Any]) -> str:
    """Settings in words: ``latent-dim=3 objective=iwae``."""
    return " ".join(f"{name.replace('_', '-')}={format_value(value)}" for name, value in values.items())


def _table(runs: Sequence[ListedRun]) -> Table:
    table = Table.of(["run", "data"], ["epochs", "-ELBO"], ["of", "saved", "MB", "settings"])
    table.columns[-2].number = True
    for run in runs:
        bound = "" if run.elbo is None else f"{-run.elbo:.2f}"
        changed = settings_in_words(run.differing)
        size = f"{run.bytes / 1e6:,.1f}"
        table.add_row(run.name, run.config.dataset, epochs_of(run), bound, run.split or "", when(run.saved), size, changed)
    return table


def _column(name: str) -> str:
    """The name of a column or setting, as it is in Python."""
    name = name.replace("-", "_")
    return {"name": "run", "dataset": "data", "bound": "elbo", "when": "saved", "epoch": "epochs"}.get(name, name)


def _value_of(name: str, option: str) -> Callable[[ListedRun], Any]:
    """What gives a run's value of a column or setting.

    Raises:
        UsageError: there is no such column or setting.
    """
    column = _column(name)
    if column in COLUMNS:
        return COLUMNS[column]
    known = [field.name for field in settings()]
    if column not in known:
        raise UsageError(unknown(f"--{option} {name}", column, [*COLUMNS, *known]).replace("_", "-"))
    return lambda run: getattr(run.config, column, None)


def _test_of(words: str) -> Callable[[ListedRun], bool]:
    """What says whether a filter holds of a run.

    Raises:
        UsageError: it names no column or setting, or asks whether more or less than a word.
    """
    parts = re.fullmatch(r"([\w-]+)\s*([!<>=]=|[<>=])\s*(.*)", words)
    if not parts:
        return lambda run: fnmatchcase(run.name, words if set(words) & set("*?[") else f"*{words}*")
    name, sign, wanted = parts.groups()
    value_of, compare, is_date = _value_of(name, "filter"), _ORDERS.get(sign), _column(name) == "saved"
    number = None if is_date else _number(wanted)
    if compare and number is None and not is_date:
        raise UsageError(f"--filter {words}: expected a number after {sign}, such as --filter '{name}{sign}5'")

    def holds(run: ListedRun) -> bool:
        value = value_of(run)
        if compare:
            return isinstance(value, str if is_date else int | float) and compare(value, wanted if is_date else number)
        same = value is not None and fnmatchcase(format_value(value), f"{wanted}*" if is_date else wanted)
        return (same or (number is not None and value == number)) == (sign != "!=")

    return holds


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
