"""The trials of a study, and how settings rank. No Optuna."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from statistics import fmean, stdev
from typing import Any

WAITING, RUNNING, DONE, PRUNED, FAILED, LOST = "waiting", "running", "done", "pruned", "failed", "lost"
"""The states of a trial; a lost one was given back by its worker, or its worker died, and another trial is of the same point."""


@dataclass(frozen=True)
class Trial:
    """One run of a study: settings with a seed.

    Attributes:
        number: in the study.
        state: WAITING, RUNNING, DONE, PRUNED, FAILED or LOST.
        group: the number of its settings; trials of one group differ by their seed.
        seed: the trial's seed.
        settings: the settings that the study varies, but for the seed; of a range none before they are sampled.
        host: the machine that trained it; empty where none has.
        value: the bound on the validation images, in nats per image; None where there is none.
        path: the run's folder.
        seconds: how long it trained.
        error: why it failed.
    """

    number: int
    state: str
    group: int
    seed: int
    settings: dict[str, Any]
    host: str = ""
    value: float | None = None
    path: str | None = None
    seconds: float | None = None
    error: str | None = None

    @property
    def point(self) -> tuple[int, int]:
        """What it is of: the number of its settings, and its seed."""
        return self.group, self.seed

    @property
    def over(self) -> bool:
        """Whether it is finished."""
        return self.state in (DONE, PRUNED, FAILED)

    @property
    def name(self) -> str:
        """The name of the run's folder; empty where there is none."""
        return PurePath(self.path).name if self.path else ""

    def to_json(self) -> dict[str, Any]:
        """JSON values; docs/json.md lists them."""
        return {name: value for name, value in asdict(self).items() if name not in ("group", "settings")}


@dataclass(frozen=True)
class RankedSettings:
    """Settings with all their seeds: a row of the table.

    Attributes:
        settings: the settings that the study varies, but for the seed.
        trials: of these settings, the best first.
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


def ranked(trials: Sequence[Trial]) -> list[RankedSettings]:
    """The settings, the best first; those of which a seed was pruned or failed come after all others."""
    groups: dict[int, list[Trial]] = {}
    for trial in trials:
        if trial.over:
            groups.setdefault(trial.group, []).append(trial)
    rows = [RankedSettings(some[0].settings, sorted(some, key=_badness)) for some in groups.values()]
    return sorted(rows, key=lambda row: (not row.complete, math.inf if row.value is None else -row.value, row.trials[0].number))


def _badness(trial: Trial) -> tuple[bool, float, int]:
    return trial.state != DONE, math.inf if trial.value is None else -trial.value, trial.number
