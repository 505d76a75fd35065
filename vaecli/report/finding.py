"""A finding and its verdict: whether a difference and its standard error bear out what the report says."""

from dataclasses import dataclass

from vaecli.report.differences import Difference

UNCLAIMED, UNDECIDED = "Nothing is claimed", "Not decided here"


@dataclass(frozen=True)
class Finding:
    """The measurements of a figure, in words, and the verdict on the report's claim.

    Attributes:
        text: the numbers, in one or two sentences.
        holds: whether the report's claim does; None where the numbers do not decide it.
        words: the verdict in words where `holds` is None; empty where no verdict is to be given at all.
        reading: what the numbers say, a sentence chosen by them, or nothing.
        ours: the numbers that decide it, in a few words, for the table of all figures.
    """

    text: str
    holds: bool | None
    words: str = ""
    reading: str = ""
    ours: str = ""


def decided(less: Difference) -> tuple[bool | None, str]:
    """The verdict on a claim that a difference is below 0, and its words where the error leaves it open."""
    return (True, "") if less.below() else (False, "") if less.above() else (None, UNDECIDED)
