"""Differences of means with their standard errors, which decide the verdicts."""

import math
from dataclasses import dataclass

from torch import Tensor

CERTAIN = 2
"""A difference counts as another than a value if it is more than this many standard errors away."""


@dataclass(frozen=True)
class Difference:
    """A difference with its standard error."""

    value: float
    error: float

    def above(self, value: float = 0) -> bool:
        """Whether it is greater than `value` by more than CERTAIN standard errors."""
        return self.value - value > CERTAIN * self.error

    def below(self, value: float = 0) -> bool:
        """Whether it is less than `value` by more than CERTAIN standard errors."""
        return value - self.value > CERTAIN * self.error


def paired(values: Tensor, others: Tensor) -> Difference:
    """The mean of values minus others, shape (N,) each, of the same N images."""
    apart = values.double() - others.double()
    return Difference(float(apart.mean()), float(apart.std()) / math.sqrt(len(apart)))


def unpaired(values: Tensor, others: Tensor) -> Difference:
    """The mean of values, shape (N,), minus that of others, shape (M,), drawn independently."""
    variance = sum(float(sample.double().var()) / len(sample) for sample in (values, others))
    return Difference(float(values.double().mean() - others.double().mean()), math.sqrt(variance))
