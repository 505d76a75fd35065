"""A finding and its verdict: what measurements say of the report's claim."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vaecli.report.differences import Compared

YES, NO, IN_PART, UNCLAIMED = "yes", "no", "in part", "nothing is claimed"


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
    return f"not decided by {_COUNTS.get(seeds, seeds)} seeds" if seeds > 1 else "not decided"


_COUNTS = {2: "two", 3: "three"}


def above(apart: Compared, value: float = 0) -> str:
    """The verdict on a claim that a difference is above a value."""
    return YES if apart.above(value) else NO if apart.below(value) else undecided(apart.seeds)


def below(apart: Compared, value: float = 0) -> str:
    """The verdict on a claim that a difference is below a value."""
    return YES if apart.below(value) else NO if apart.above(value) else undecided(apart.seeds)


def within(apart: Compared, margin: float) -> str:
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
