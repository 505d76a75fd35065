"""The schedule of annealed importance sampling, without torch: the command line shows its defaults."""

from dataclasses import dataclass, fields
from typing import Annotated, get_type_hints

from vaecli.arguments import Within, check


@dataclass(frozen=True)
class AIS:
    """A schedule of annealed importance sampling.

    Attributes:
        temperatures: T, the steps in which q(z|x) becomes p(x, z); 1 is importance sampling with one particle a chain.
        chains: S, per image.
        leapfrog: steps of a move. Each chain moves once a temperature.

    Raises:
        UsageError: one of them is out of bounds.

    Example:
        >>> vaecli.AIS(temperatures=1000)
        AIS(temperatures=1000, chains=4, leapfrog=4)
    """

    temperatures: Annotated[int, Within(1, 100_000)] = 250
    chains: Annotated[int, Within(1, 1000)] = 4
    leapfrog: Annotated[int, Within(1, 1000)] = 4

    def __post_init__(self) -> None:
        hints = get_type_hints(AIS, include_extras=True)
        for field in fields(self):
            check(f"ais_{field.name}", getattr(self, field.name), hints[field.name])
