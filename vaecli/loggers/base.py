"""What all loggers have, and the error of one whose package is not installed."""

from collections.abc import Mapping
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
