"""The settings that a study searches: lists, ranges, and what stays the same. No Optuna."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, replace
from itertools import islice, product
from numbers import Integral
from typing import Any

from vaecli import registry
from vaecli.arguments import check
from vaecli.config import Config, default_of, settings
from vaecli.errors import UsageError, format_value
from vaecli.settings import checked, kind_of

VALIDATION = 10_000
"""Training images held out where the settings do not say, but of few images no more than their SHARE."""

SHARE = 6
"""One in so many."""

DECADE = 10
"""A setting whose highest value is this many times its lowest is searched and drawn logarithmically."""

MAX_RUNS = 10_000

WITHOUT_LISTS = ("dataset", "image_size", "colour", "binarize", "likelihood", "labels", "validation")
"""Settings that decide what a nat is measured of: bounds that differ in them cannot be compared."""


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included, of which `vaecli.search` samples some.

    Raises:
        UsageError: one of them is no finite number.

    Example:
        >>> vaecli.Range(1e-4, 1e-2).log, vaecli.Range(2, 8).log
        (True, False)
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        check("low", self.low, float)
        check("high", self.high, float)

    @property
    def log(self) -> bool:
        """Whether it spans a decade or more."""
        return spans_decades((self.low, self.high))

    def __str__(self) -> str:
        return f"{format_value(self.low)}:{format_value(self.high)}"


@dataclass(frozen=True)
class Space:
    """What a study searches.

    Attributes:
        fixed: settings of all its runs; those that are missing have their default.
        lists: by setting, the values that it takes.
        ranges: by setting, the numbers that it is sampled from.
        seeds: every combination is trained with each.
    """

    fixed: Mapping[str, Any]
    lists: Mapping[str, tuple[Any, ...]]
    ranges: Mapping[str, Range]
    seeds: tuple[int, ...]

    @staticmethod
    def of(settings: Mapping[str, Any]) -> "Space":
        """The space of settings whose values are single ones, lists or ranges.

        Raises:
            UsageError: a setting is unknown, has no lists or ranges or a wrong value, or settings do not go together.
        """
        fixed: dict[str, Any] = {"validation": VALIDATION}
        lists, ranges = {}, {}
        for name, value in settings.items():
            if name not in _by_name():
                raise UsageError(registry.unknown(f"the setting {name[:40]!r}", name, list(_by_name())))
            if isinstance(value, Range):
                ranges[name] = _checked_range(name, value)
                continue
            values = tuple(dict.fromkeys(_checked(name, one) for one in _listed(name, value)))
            if len(values) == 1:
                fixed[name] = values[0]
            else:
                lists[name] = values
        seeds = lists.pop("seed", (fixed.pop("seed", 0),))
        space = Space(fixed, lists, ranges, seeds)
        if (runs := space.settings_in_lists * len(seeds)) > MAX_RUNS:
            raise UsageError(f"found {runs:,} combinations, expected at most {MAX_RUNS:,}; shorten a list")
        for corner in space.corners():
            space.config(corner, seeds[0])
        if not space.varied:
            raise UsageError(
                "found one value for every setting, expected a list or a range, such as {latent_dim=2,3,5} or {lr=1e-4:1e-2}"
            )
        return space

    def holding_out(self, images: int, kept: int = 0) -> "Space":
        """The same with as many training images held out as suits their number, or those that a folder keeps for validation."""
        return replace(self, fixed={**self.fixed, "validation": min(VALIDATION, kept or max(1, images // SHARE))})

    @property
    def varied(self) -> tuple[str, ...]:
        """The settings that differ between runs, in the order of help."""
        return tuple(
            name for name in _by_name() if name in self.lists or name in self.ranges or (name == "seed" and len(self.seeds) > 1)
        )

    @property
    def settings_in_lists(self) -> int:
        """How many combinations the lists have."""
        count = 1
        for values in self.lists.values():
            count *= len(values)
        return count

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Every combination of the lists' values, in the order given."""
        for values in product(*self.lists.values()):
            yield dict(zip(self.lists, values, strict=True))

    def corners(self, most: int = MAX_RUNS) -> Iterator[dict[str, Any]]:
        """Combinations of the lists' values and the ranges' ends, at most so many."""
        ends = [(value.low, value.high) for value in self.ranges.values()]
        every = (lists | dict(zip(self.ranges, some, strict=True)) for lists in self.combinations() for some in product(*ends))
        return islice(every, most)

    def config(self, values: Mapping[str, Any], seed: int) -> Config:
        """The settings of a run.

        Raises:
            UsageError: they do not go together.
        """
        return Config(**{**self.fixed, **values, "seed": seed})

    def rounded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Sampled values as a person would type them, in the order of the settings: three digits of a number with a fraction."""
        ordered = {name: values[name] for name in self.varied if name in values}
        for name, span in self.ranges.items():
            if isinstance(ordered[name], float):
                ordered[name] = min(max(float(f"{ordered[name]:.3g}"), span.low), span.high)
        return ordered

    def to_json(self) -> dict[str, Any]:
        """What is searched, as JSON values; equal for equal searches, however they were typed."""
        dataset = self.fixed.get("dataset", "mnist")
        fixed = {name: value for name, value in self.fixed.items() if value is not None and value != default_of(name, dataset)}
        # a study from before its default was data has none, and is another
        fixed |= {} if "init_bias" in self.varied else {"init_bias": self.fixed.get("init_bias", default_of("init_bias", dataset))}
        varied = {name: list(values) for name, values in self.lists.items()} | {
            name: str(span) for name, span in self.ranges.items()
        }
        return json.loads(json.dumps({"settings": fixed, "search": varied, "seeds": list(self.seeds)}))  # type: ignore[no-any-return]


def name_of(identity: Mapping[str, Any], varied: Iterable[str]) -> str:
    """The default name of a study: what it varies, and a digest of all that makes it what it is."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return "-".join(["search", *(name.replace("_", "-") for name in varied), digest[:8]])


def spans_decades(values: Iterable[Any]) -> bool:
    """Whether all are numbers above 0 of which the highest is DECADE times the lowest."""
    values = list(values)
    numbers = all(isinstance(value, int | float) and value > 0 for value in values)
    return numbers and max(values) >= DECADE * min(values)


def _by_name() -> "dict[str, Field[Any]]":
    return {setting.name: setting for setting in settings()}


def _listed(name: str, value: Any) -> Sequence[Any]:
    """The values of a setting: those of a list, a range of Python's or a row of NumPy's, or the one that it is.

    Raises:
        UsageError: there is none, or several for a setting that takes one.
    """
    several = isinstance(value, list | tuple | range) or getattr(value, "ndim", 0) == 1
    if not several or kind_of(_by_name()[name]) is tuple:
        return (value,)
    if not len(value):
        raise UsageError(f"{{{name}=}}: found an empty list, expected at least one value")
    if name in WITHOUT_LISTS and any(one != value[0] for one in value):
        raise UsageError(
            f"{{{name}}}: found a list, expected one value: bounds of runs that differ in it are not of the same images "
            "and cannot be compared", **{name: tuple(value)},
        )  # fmt: skip
    return tuple(value)


def _checked(name: str, value: Any) -> Any:
    return value if value is None else checked(_by_name()[name], value)


def _checked_range(name: str, span: Range) -> Range:
    kind = kind_of(_by_name()[name])
    if kind not in (int, float) or name in ("seed", *WITHOUT_LISTS):
        wanted = "a list, such as {seed=0,1,2}" if name == "seed" else "a value"
        raise UsageError(f"{{{name}}}: found a range, expected {wanted}", **{name: span})
    if not span.low < span.high:
        low, high = sorted((span.low, span.high))
        example = f", such as {{{name}={Range(low, high)}}}" if low < high else ""
        raise UsageError(f"{{{name}}}: the range is upside down or empty, expected the lower end first{example}", **{name: span})
    if kind is int and not (isinstance(span.low, Integral) and isinstance(span.high, Integral)):
        raise UsageError(f"{{{name}}}: expected a range of whole numbers", **{name: span})
    return Range(kind(span.low), kind(span.high))
