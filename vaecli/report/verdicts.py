"""Verdicts: differences of means with their standard errors over images and over seeds, and what they say of a claim."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

YES, NO, IN_PART, UNCLAIMED = "yes", "no", "in part", "nothing is claimed"

CERTAIN = 2.0
"""A difference counts as another than a value if it is more than this many standard errors over images away."""

STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""The same for standard errors over so many seeds: two-sided 5 % of Student's t, since so few seeds hardly know their spread."""


@dataclass(frozen=True)
class PairedDifference:
    """The means of two models, or of one model and something else, and their difference.

    Attributes:
        first: the mean of the first, over images and seeds.
        second: the mean of the second.
        error: the standard error over images of second - first, for these seeds.
        error_of_seeds: its standard error over seeds, for these images; 0 where there is one seed, whose spread is not known.
        seeds: how many.
    """

    first: float
    second: float
    error: float
    error_of_seeds: float = 0.0
    seeds: int = 1

    @property
    def value(self) -> float:
        """The difference, second - first."""
        return self.second - self.first

    @property
    def margin(self) -> float:
        """The distance from which on a value counts as another than the difference."""
        return max(CERTAIN * self.error, STUDENT[self.seeds] * self.error_of_seeds if self.seeds > 1 else 0)

    def above(self, value: float = 0) -> bool:
        """Whether the difference is greater than `value`, by more than its `margin`; False for NaN too."""
        return self.value - value > self.margin

    def below(self, value: float = 0) -> bool:
        """Whether the difference is less than `value`, by more than its `margin`; False for NaN too."""
        return value - self.value > self.margin

    def words(self, digits: int = 2) -> str:
        """The difference with its errors, such as ``+1.20 (±0.10 over images, ±0.31 over 3 seeds)``."""
        seeds = f", ±{self.error_of_seeds:.{digits}f} over {self.seeds} seeds" if self.seeds > 1 else ""
        return f"{self.value:+.{digits}f} (±{self.error:.{digits}f} over images{seeds})"

    def percent(self) -> str:
        """A difference of shares, as `words` in points of a hundred."""
        points = PairedDifference(100 * self.first, 100 * self.second, 100 * self.error, 100 * self.error_of_seeds, self.seeds)
        return f"{points.words(1)} points"


def paired_difference(pairs: Sequence[tuple[Tensor, Tensor]]) -> PairedDifference:
    """The comparison of two models by the values that each has for the same N images, shape (N,) each.

    Args:
        pairs: the values of the first and of the second model, for each seed.
    """
    firsts, seconds = (torch.stack([pair[side].double() for pair in pairs]) for side in (0, 1))  # (seeds, N)
    apart = seconds - firsts
    return PairedDifference(
        float(firsts.mean()), float(seconds.mean()), standard_error(apart.mean(0)),
        standard_error(apart.mean(1)) if len(pairs) > 1 else 0.0, len(pairs),
    )  # fmt: skip


def standard_error(values: Tensor) -> float:
    """The standard error of the mean of independent values, shape (N,)."""
    return float(values.double().std()) / math.sqrt(len(values))


@dataclass(frozen=True)
class Finding:
    """The measurements of a figure, in words, and the verdict on the report's claim.

    Attributes:
        text: the numbers, in one or two sentences.
        verdict: whether the claim holds: ``yes``, ``no``, ``in part``, ``not decided by N seeds``; empty in a quick pass.
        reading: what the numbers say, a sentence chosen by them, or nothing.
        ours: the numbers that decide it, in a few words, for the table of all figures.
    """

    text: str
    verdict: str
    reading: str = ""
    ours: str = ""

    def without_verdict(self) -> "Finding":
        """The numbers alone."""
        return Finding(self.text, "", ours=self.ours)


def undecided(seeds: int) -> str:
    """The verdict where errors leave a claim open."""
    return f"not decided by {({2: 'two', 3: 'three'}).get(seeds, seeds)} seeds" if seeds > 1 else "not decided"


def above(apart: PairedDifference, value: float = 0) -> str:
    """The verdict on a claim that a difference is above a value."""
    return YES if apart.above(value) else NO if apart.below(value) else undecided(apart.seeds)


def below(apart: PairedDifference, value: float = 0) -> str:
    """The verdict on a claim that a difference is below a value."""
    return YES if apart.below(value) else NO if apart.above(value) else undecided(apart.seeds)


def within(apart: PairedDifference, margin: float) -> str:
    """The verdict on a claim that two models are alike: that they differ by less than a margin, whichever is ahead."""
    if apart.above(-margin) and apart.below(margin):
        return YES
    return NO if apart.above(margin) or apart.below(-margin) else undecided(apart.seeds)


def together(verdicts: Sequence[str]) -> str:
    """The verdict on a claim of several parts.

    It holds where all do, and does not where none does; in part where some do and some do not, whatever the rest; else it is
    open.
    """
    if YES in verdicts and NO in verdicts:
        return IN_PART
    opens = [verdict for verdict in verdicts if verdict not in (YES, NO)]
    return opens[0] if opens else verdicts[0]


def by_part(verdicts: Mapping[str, str]) -> str:
    """A sentence on the verdicts of a claim's parts, such as ``By its parts: clearer: yes; closer: no``."""
    return f"By its parts: {'; '.join(f'{name}: {verdict}' for name, verdict in verdicts.items())}."


def all_hold(verdicts: Sequence[str]) -> str:
    """The verdict on a claim that holds only where several things do: it does not where one of them does not."""
    if NO in verdicts:
        return NO
    return next((verdict for verdict in verdicts if verdict != YES), YES)


def is_open(verdict: str) -> bool:
    """Whether the numbers leave the claim open."""
    return verdict.startswith("not decided")
