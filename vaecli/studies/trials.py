"""The trials of a study: which there are, which is next, and how settings rank. No Optuna."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from statistics import fmean, stdev
from typing import Any

RUNNING, DONE, PRUNED, FAILED, LOST = "running", "done", "pruned", "failed", "lost"
"""The states of a trial; a lost one was given up by its worker, or its worker died, and is done again."""


@dataclass(frozen=True)
class Trial:
    """One run of a study: settings with a seed.

    Attributes:
        number: in the study.
        state: RUNNING, DONE, PRUNED, FAILED or LOST.
        group: the number of its settings; trials of one group differ by their seed.
        seed: its seed.
        settings: the settings that the study varies, but for the seed.
        worker: the process that has or had it.
        host: the machine that this is on.
        value: the bound on the validation images, in nats per image; None where there is none.
        path: the run's folder.
        seconds: how long it trained.
        error: why it failed or was lost.
    """

    number: int
    state: str
    group: int
    seed: int
    settings: dict[str, Any]
    worker: str
    host: str
    value: float | None = None
    path: str | None = None
    seconds: float | None = None
    error: str | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done of it."""
        return self.state in (DONE, PRUNED, FAILED)

    @property
    def name(self) -> str:
        """The name of the run's folder; empty where there is none."""
        return PurePath(self.path).name if self.path else ""

    def to_json(self) -> dict[str, Any]:
        """JSON values; docs/json.md lists them."""
        return {name: value for name, value in asdict(self).items() if name not in ("group", "worker", "settings")}


@dataclass(frozen=True)
class Point:
    """What a trial is to be of: the settings of a group, and a seed."""

    group: int
    seed: int


def next_point(trials: Sequence[Trial], groups: int, seeds: Sequence[int], *, seed_first: bool) -> Point | None:
    """The first point that no trial is or was of; None where there is none.

    Args:
        trials: all of them.
        groups: how many settings there are.
        seeds: those of each.
        seed_first: all settings with the first seed come first; else all seeds of the first settings do.
    """
    taken = {(trial.group, trial.seed) for trial in trials if trial.state != LOST}
    points = (
        [Point(group, seed) for seed in seeds for group in range(groups)]
        if seed_first
        else [Point(group, seed) for group in range(groups) for seed in seeds]
    )
    return next((point for point in points if (point.group, point.seed) not in taken), None)


@dataclass(frozen=True)
class Row:
    """Settings with all their seeds: a row of the table.

    Attributes:
        settings: the settings that the study varies, but for the seed.
        trials: theirs, the best first.
    """

    settings: dict[str, Any]
    trials: list[Trial]

    @property
    def values(self) -> list[float]:
        """The bounds of the trials that were trained to their end."""
        return [trial.value for trial in self.trials if trial.state == DONE and trial.value is not None]

    @property
    def value(self) -> float | None:
        """Their mean over the seeds."""
        return fmean(self.values) if self.values else None

    @property
    def standard_error(self) -> float | None:
        """Of the mean, from the spread over seeds; None for a single one."""
        return stdev(self.values) / math.sqrt(len(self.values)) if len(self.values) > 1 else None

    @property
    def complete(self) -> bool:
        """Whether all its trials were trained to their end."""
        return all(trial.state == DONE for trial in self.trials)

    def to_json(self) -> dict[str, Any]:
        """JSON values; docs/json.md lists them."""
        return {
            "settings": self.settings,
            "value": self.value,
            "standard_error": self.standard_error,
            "trials": [trial.to_json() for trial in self.trials],
        }


def ranked(trials: Sequence[Trial]) -> list[Row]:
    """The settings, the best first; those of which a seed was pruned or failed come after all others."""
    groups: dict[int, list[Trial]] = {}
    for trial in trials:
        if trial.over:
            groups.setdefault(trial.group, []).append(trial)
    rows = [Row(some[0].settings, sorted(some, key=_badness)) for some in groups.values()]
    return sorted(rows, key=lambda row: (not row.complete, math.inf if row.value is None else -row.value, row.trials[0].number))


def _badness(trial: Trial) -> tuple[bool, float, int]:
    return trial.state != DONE, math.inf if trial.value is None else -trial.value, trial.number
