"""Differences of means with their standard errors over images and over seeds, which decide the verdicts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CERTAIN = 2.0
"""A difference counts as another than a value if it is more than this many standard errors over images away."""

STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""The same for standard errors over so many seeds: two-sided 5 % of Student's t, since so few seeds hardly know their spread."""


@dataclass(frozen=True)
class Compared:
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
        points = Compared(100 * self.first, 100 * self.second, 100 * self.error, 100 * self.error_of_seeds, self.seeds)
        return f"{points.words(1)} points"


def compared(pairs: Sequence[tuple[Tensor, Tensor]]) -> Compared:
    """The comparison of two models by the values that each has for the same N images, shape (N,) each.

    Args:
        pairs: the values of the first and of the second model, for each seed.
    """
    firsts, seconds = (torch.stack([pair[side].double() for pair in pairs]) for side in (0, 1))  # (seeds, N)
    apart = seconds - firsts
    return Compared(
        float(firsts.mean()), float(seconds.mean()), standard_error(apart.mean(0)),
        standard_error(apart.mean(1)) if len(pairs) > 1 else 0.0, len(pairs),
    )  # fmt: skip


def standard_error(values: Tensor) -> float:
    """The standard error of the mean of independent values, shape (N,)."""
    return float(values.double().std()) / math.sqrt(len(values))
