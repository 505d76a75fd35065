"""This process's place among those that torchrun started, from the environment that torchrun gives it. No torch."""

import os
from dataclasses import dataclass

_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True)
class Place:
    """A process's place among others.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
        local_rank: its number on its host, from 0.
        local_size: how many there are on its host.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the first process, which prints and writes."""
        return self.rank == 0


def place() -> Place:
    """The place of this process; the first of one without torchrun (https://docs.pytorch.org/docs/stable/elastic/run.html)."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Place()
    try:
        return Place(*(int(os.environ[name]) for name in _NAMES))
    except (KeyError, ValueError):
        return Place()
