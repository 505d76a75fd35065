"""What all loggers have, and what some share."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from torch import Tensor

from vaecli.errors import VaecliError


class Logger(Protocol):
    """A log of one run, open while it trains. Nothing of it leaves the machine unless a person asked for that.

    A member is called as ``Member(folder, settings, step)``: the run's folder, which is there; its settings as JSON values by name;
    and the steps of training that are done. With 0 the run is new, and replaces one that was there. Else it goes on: what the log
    has of later steps is computed again, and must not stand there twice.

    Attributes:
        told: what is said when training begins: where the log is, and how a person looks at it, one line.
    """

    told: str

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Takes points of curves, by the curve's name, such as ``test/elbo``, after so many steps of training."""
        ...

    def picture(self, name: str, pixels: Tensor, step: int) -> None:
        """Takes a picture: uint8, shape (3, height, width)."""
        ...

    def close(self) -> None:
        """Ends the log, also where training failed."""
        ...


def missing(name: str) -> VaecliError:
    """The error for a logger whose package, which is called as the logger is, is not installed."""
    return VaecliError(f"found no {name}, which {{log={name}}} needs; install it with: pip install 'vaecli[{name}]'")


@contextmanager
def default_of(variable: str, value: str) -> Iterator[None]:
    """A context in which a variable of the environment has a value, where a person has not set it."""
    given = os.environ.get(variable)
    os.environ.setdefault(variable, value)
    try:
        yield
    finally:
        if given is None:
            os.environ.pop(variable, None)


class Points:
    """Points of curves that wait until the measurement they lead to is saved.

    A run that is killed goes on from there, so a log that cannot forget points is given none that come again.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[dict[str, float], int]] = []

    def saved(self, values: Mapping[str, float], step: int) -> list[tuple[dict[str, float], int]]:
        """The points that are saved now, by step: none, but for those of a measurement and before it."""
        self._waiting.append((dict(values), step))
        if "epoch" not in values:
            return []
        saved, self._waiting = self._waiting, []
        return saved
