"""Differences of means with their standard errors: what verdicts are decided by."""

import math
from dataclasses import dataclass

from torch import Tensor

CERTAIN = 2
"""Standard errors that a difference has to be away from a value to count as another."""


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
    variance = sum(float(each.double().var()) / len(each) for each in (values, others))
    return Difference(float(values.double().mean() - others.double().mean()), math.sqrt(variance))
