"""What a study does, settled before its first trial. No Optuna, no torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaecli.config import Config
from vaecli.errors import UsageError
from vaecli.runs.find import RUNS, checked_name
from vaecli.studies.space import MAX_RUNS, Space, name_of
from vaecli.training.settle import settle, trained_on

if TYPE_CHECKING:
    from vaecli.data.load import Source

TRIALS = 20
"""Runs of a study with a range, where their number is not given."""


@dataclass(frozen=True)
class Plan:
    """What a study does.

    Attributes:
        space: the settings.
        name: the study's, and its folder's.
        out: the folder that runs are kept in.
        by: the bound that is the higher the better: ``elbo`` or ``L_k``, of the validation images.
        groups: how many settings are trained with every seed.
        prune: stop a run whose bound after an epoch is below the median of the others'.
        storage: a URL; None for a SQLite file in the study's folder.
        data_dir: a folder of IDX files to read instead of the data set's own.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        identity: JSON values that two plans of one study share.
    """

    space: Space
    name: str
    out: Path
    by: str
    groups: int
    prune: bool
    storage: str | None = field(repr=False)
    data_dir: Path | None
    device: str
    identity: dict[str, Any]

    @staticmethod
    def of(
        settings: Mapping[str, Any], out: str | Path = RUNS, *, name: str | None = None, by: str = "elbo",
        trials: int | None = None, prune: bool = False, storage: str | None = None, data_dir: str | Path | None = None,
        device: str = "auto",
    ) -> "Plan":  # fmt: skip
        """A plan from what a person asks for; the arguments are those of `vaecli.search`.

        Raises:
            UsageError: something in it makes no sense.
        """
        if name is not None:
            checked_name(name)
        space = Space.of(settings)
        particles_of(by)
        data: dict[str, str] = {}
        if data_dir is not None:
            source = _source(space, Path(data_dir), settings.get("validation"))
            data = {"data": source.record.train}
            if settings.get("validation") is None:
                images = source.images("train")
                space = space.holding_out(len(images), images.reading.unused if images.reading else 0)
        identity = space.to_json() | {"by": by} | data
        if prune and all(space.config(values, space.seeds[0]).epochs == 1 for values in space.corners()):
            raise UsageError("{prune=} with {epochs=1}: a run is stopped after an epoch only; expected more epochs")
        return Plan(
            space, name_of(identity, space.varied) if name is None else name, Path(out), by, _groups(space, trials), prune,
            storage, None if data_dir is None else Path(data_dir), device, identity,
        )  # fmt: skip

    @property
    def any_config(self) -> Config:
        """The settings of one of its runs; all of them have the same data."""
        return self.space.config(next(self.space.corners()), self.space.seeds[0])

    def config(self, values: Mapping[str, Any], seed: int, source: "Source") -> Config:
        """The settings of a run, settled for the images of `source`."""
        config = source.settled(self.space.config(values, seed))
        return settle(config, trained_on(config, len(source.images("train"))))

    @property
    def folder(self) -> Path:
        """The folder of the study itself."""
        return self.out / self.name

    @property
    def total(self) -> int:
        """How many trials there are."""
        return self.groups * len(self.space.seeds)

    @cached_property
    def combinations(self) -> list[dict[str, Any]]:
        """The settings of each group, of a study without ranges."""
        return list(self.space.combinations())


def particles_of(by: str) -> int | None:
    """The particles of the bound to choose by; None for the ELBO.

    Raises:
        UsageError: there is no such bound.
    """
    if by == "elbo":
        return None
    if not (matched := re.fullmatch("L_([1-9][0-9]{0,5})", by)):
        raise UsageError("{by}: expected elbo, or L_k with a number of particles, such as {by=L_50}", by=by)
    return int(matched[1])


def _groups(space: Space, trials: int | None) -> int:
    """How many settings are tried."""
    if not space.ranges:
        if trials is not None:
            raise UsageError("{trials} without a range: lists are searched whole; leave {trials=} out", trials=trials)
        return space.settings_in_lists
    seeds = len(space.seeds)
    wanted = trials if trials is not None else TRIALS * seeds
    if not 1 <= wanted <= MAX_RUNS or wanted % seeds:
        more = f", a multiple of the {seeds} seeds" if seeds > 1 else ""
        raise UsageError(f"{{trials}}: expected a whole number from 1 to {MAX_RUNS:,}{more}", trials=wanted)
    return wanted // seeds


def _source(space: Space, data_dir: Path, held_out: int | None) -> "Source":
    from vaecli.data.load import Source  # noqa: PLC0415 - only images of one's own have to be read

    return Source(replace(space.config(next(space.corners()), space.seeds[0]), validation=held_out), data_dir)
