"""What runs differ by: paired differences over the same images, and over seeds where runs differ by nothing else."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os.path import commonprefix
from typing import Any

import torch
from torch import Tensor

from vaecli.analysis.comparison import Row, pixels_of
from vaecli.errors import UsageError
from vaecli.runs.run import Run


@dataclass(frozen=True)
class Group:
    """Runs that differ by their seed alone.

    Attributes:
        rows: of the table, one for each seed.
    """

    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        """The run's name, or what the names of several begin with and an asterisk."""
        names = [row.name for row in self.rows]
        return names[0] if len(names) == 1 else f"{commonprefix(names)}*"  # noqa: RUF071

    @property
    def seeds(self) -> list[int]:
        """The seeds."""
        return [row.run.config.seed for row in self.rows]

    def values(self, by: str) -> Tensor:
        """A number of each run and image, by its name in `Measured.per_image`: shape (runs, N)."""
        return torch.stack([row.measured.per_image[by] for row in self.rows])


@dataclass(frozen=True)
class Difference:
    """How many nats more a group has than another one, the mean over the same images.

    Attributes:
        run: the name of the group.
        runs: the names of its runs.
        against: the name of the other group.
        by: the number that is compared, such as ``elbo`` or ``L_50``.
        mean: the group's, over its runs.
        value: its mean less that of the other group; above 0 where the group is better.
        standard_error: of ``value`` over images, for these seeds: from the spread of the images' differences. Over particles too,
            since each image has its own.
        seeds_standard_error: of ``value`` over seeds, for these images; None where a group has a single one. Seeds that both
            groups have are compared one by one, if these are all.
        by_seed: the difference of each run from the other group's run of that seed, or from its mean.
    """

    run: str
    runs: tuple[str, ...]
    against: str
    by: str
    mean: float
    value: float = 0.0
    standard_error: float | None = None
    seeds_standard_error: float | None = None
    by_seed: tuple[float, ...] = ()

    @property
    def heading(self) -> str:
        """What tables and pictures call the number, negated: ``-L_50`` for ``L_50``."""
        return {"elbo": "-ELBO", "exact": "-log p(x)", "ais": "-AIS"}.get(self.by, f"-{self.by}")

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def check_differences(runs: Sequence[Run], names: Sequence[str], observed: Sequence[str]) -> None:
    """Refuses runs that have no differences to speak of.

    Args:
        runs: some.
        names: theirs.
        observed: the digests of the images that each is measured on, as `Measured.observed` has them.

    Raises:
        UsageError: their numbers are of different pixels, or they differ by their seed alone.
    """
    for run, name, digest in zip(runs[1:], names[1:], observed[1:], strict=True):
        if pixels_of(run) != pixels_of(runs[0]):
            raise UsageError(
                f"{{by=}}: found {pixels_of(runs[0])} ({names[0]}) and {pixels_of(run)} ({name}), expected runs of the same pixels"
            )
        if digest != observed[0]:
            raise UsageError(f"{{by=}}: {names[0]} and {name} are measured on different images, expected the same")
    if len(_by_seed(runs)) == 1:
        found = "one run" if len(runs) == 1 else "runs that differ by their seed alone"
        raise UsageError(f"{{by=}}: found {found}, expected others to compare with")


def differences(rows: Sequence[Row], by: str) -> list[Difference]:
    """The difference of each group of runs from the first one, which stands first with a difference of 0.

    Runs that differ by their seed alone are a group.

    Args:
        rows: two or more, of runs measured on the same pixels.
        by: the number to compare, by its name in `Measured.per_image`, such as ``elbo`` or ``L_50``.

    Raises:
        UsageError: as `check_differences`.
    """
    check_differences([row.run for row in rows], [row.name for row in rows], [row.measured.observed for row in rows])
    first, *others = (Group(tuple(rows[index] for index in group)) for group in _by_seed([row.run for row in rows]))
    names, mean = tuple(row.name for row in first.rows), float(first.values(by).mean())
    return [Difference(first.name, names, first.name, by, mean), *(_difference(group, first, by) for group in others)]


def _by_seed(runs: Sequence[Run]) -> list[list[int]]:
    """The indices of runs that differ by their seed alone, in the order of the first of each group."""
    groups: dict[str, list[int]] = {}
    for index, run in enumerate(runs):
        config, made = run.config.to_json() | {"seed": None}, run.provenance
        data = made and (made.data.train, made.data.test, made.started_from, made.precision)
        epoch = run.results.get("epoch") if run.config.patience is None else None  # each seed may have another best one
        same = repr((config, epoch, run.results.get("step"), data))
        while run.config.seed in (runs[other].config.seed for other in groups.get(same, [])):
            same += " again"  # of a copy of a run, not another seed
        groups.setdefault(same, []).append(index)
    return list(groups.values())


def _difference(group: Group, against: Group, by: str) -> Difference:
    values, others = group.values(by), against.values(by)
    order = [against.seeds.index(seed) for seed in group.seeds if seed in against.seeds]
    paired = len(order) == len(group.seeds) == len(against.seeds)
    of_runs = (values - (others[order] if paired else others.mean(0))).mean(1)
    seeds = None
    if paired:
        seeds = _standard_error(of_runs)
    elif len(values) > 1 and len(others) > 1:
        seeds = math.hypot(*(_standard_error(part.mean(1)) or 0.0 for part in (values, others)))
    apart = values.mean(0) - others.mean(0)
    return Difference(
        group.name, tuple(row.name for row in group.rows), against.name, by, float(values.mean()), float(apart.mean()),
        _standard_error(apart), seeds, tuple(of_runs.tolist()),
    )  # fmt: skip


def _standard_error(values: Tensor) -> float | None:
    """Of the mean of values of shape (N,); None for a single one."""
    return float(values.std() / math.sqrt(len(values))) if len(values) > 1 else None
