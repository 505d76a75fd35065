"""The work that figures share: images are read, and runs measured, once for all of them."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vaecli.config import Config
from vaecli.data import Images, Read, Source, read_once

Result = TypeVar("Result")


@dataclass(frozen=True)
class Shared:
    """The images that were read and the results that were computed so far.

    Attributes:
        read: reads a split, once.
    """

    read: Read = field(default_factory=read_once)
    _results: dict[Hashable, Any] = field(default_factory=dict)

    def images(self, config: Config, split: str) -> Images:
        """A split of a run's data set, from the data set's own place."""
        return Source(config, None, self.read).images(split)

    def once(self, key: Hashable, compute: Callable[[], Result]) -> Result:
        """The result of `compute` when it was first called for this key: what is computed, of which run, and with what."""
        if key not in self._results:
            self._results[key] = compute()
        result: Result = self._results[key]
        return result
