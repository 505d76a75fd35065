"""How often a run is saved within its epochs. No torch, so that a wrong word is refused at once."""

import re
from dataclasses import dataclass

from vaecli.errors import UsageError


@dataclass(frozen=True)
class SaveEvery:
    """After so many steps, or so many minutes.

    Attributes:
        steps: of training, counted from the run's first; None where minutes are given.
        minutes: since the run was saved last; None where steps are given.

    Example:
        >>> SaveEvery.of("10min"), str(SaveEvery.of(500))
        (SaveEvery(steps=None, minutes=10.0), '500')
    """

    steps: int | None = None
    minutes: float | None = None

    @staticmethod
    def of(value: int | str) -> "SaveEvery":
        """The meaning of ``500``, which are steps, or ``10min``.

        Raises:
            UsageError: it is another word.
        """
        found = re.fullmatch(r"([0-9]{1,9})|([0-9]{1,9}(?:\.[0-9]{1,9})?) ?min", str(value), re.ASCII)
        every = found and (SaveEvery(int(found[1])) if found[1] else SaveEvery(minutes=float(found[2])))
        if not every or not (every.steps or every.minutes) or isinstance(value, bool):
            raise UsageError(
                "{save_every}: expected a number of steps, such as 500, or of minutes, such as 10min", save_every=value
            )
        return every

    def __str__(self) -> str:
        return str(self.steps) if self.minutes is None else f"{self.minutes:g}min"
