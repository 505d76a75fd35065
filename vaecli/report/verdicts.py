"""Verdicts: differences of means with their standard errors, what they say of a claim, and Holm's correction over all of a report.

A difference has up to three sources of error: images, seeds of training, and classifiers. Their variances add up. At a level a, the
difference counts where its square is more than the sum of (t * standard error)^2, each t the two-sided quantile at a of its own
source, by its own degrees of freedom. Whatever the variances are, no more than a share a of differences that are 0 count
(Banerjee 1961, "On confidence interval for two-means problem", whose proof is of any number of sources). Satterthwaite's degrees of
freedom do not promise that: with two of them the chance that a variance looks like none is far from small beside a corrected level.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Self

import torch
from torch import Tensor

YES, NO, IN_PART, UNCLAIMED = "yes", "no", "in part", "nothing is claimed"

LEVEL = 0.05
"""Of reports in which no difference is real, at most this share says that one is."""

LEAST_P = 1e-9
"""The least p-value that is told from 0."""


@dataclass(frozen=True)
class PairedDifference:
    """The means of two models, or of one model and something else, and their difference.

    Attributes:
        first: the mean of the first, over images, seeds and classifiers.
        second: the mean of the second.
        error: the standard error over images of second - first, for these seeds and classifiers.
        error_of_seeds: its standard error over seeds, for these images; 0 where there is one seed, whose spread is not known.
        seeds: how many.
        error_of_classifiers: its standard error over classifiers; 0 where none or one judges.
        classifiers: how many.
    """

    first: float
    second: float
    error: float
    error_of_seeds: float = 0.0
    seeds: int = 1
    error_of_classifiers: float = 0.0
    classifiers: int = 1

    @property
    def value(self) -> float:
        """The difference, second - first."""
        return self.second - self.first

    def margin(self, level: float = LEVEL) -> float:
        """The distance from which on a value counts as another than the difference, at a two-sided level."""
        if level <= 0:
            return math.inf
        parts = [NormalDist().inv_cdf(level / 2) * self.error]  # images are hundreds or more
        for error, count in ((self.error_of_seeds, self.seeds), (self.error_of_classifiers, self.classifiers)):
            if count > 1:
                parts.append(student(level, count - 1) * error)
        return math.hypot(*parts)

    def above(self, value: float = 0, level: float = LEVEL) -> bool:
        """Whether the difference is greater than `value`, by more than its `margin`; False for NaN too."""
        return self.value - value > self.margin(level)

    def below(self, value: float = 0, level: float = LEVEL) -> bool:
        """Whether the difference is less than `value`, by more than its `margin`; False for NaN too."""
        return value - self.value > self.margin(level)

    def p(self, value: float = 0) -> float:
        """The least level at which the difference is above or below `value`, to four digits and at least LEAST_P; 1 for NaN."""
        distance = abs(self.value - value)
        if not distance > self.margin(1 - LEAST_P):
            return 1.0
        if distance > self.margin(LEAST_P):
            return LEAST_P
        low, high = math.log(LEAST_P), math.log(1 - LEAST_P)
        for _ in range(20):
            middle = (low + high) / 2
            low, high = (low, middle) if distance > self.margin(math.exp(middle)) else (middle, high)
        return math.exp(high)

    def words(self, digits: int = 2) -> str:
        """The difference with its errors, such as ``+1.20 (±0.10 over images, ±0.31 over 3 seeds)``."""
        of = [(self.error_of_seeds, self.seeds, "seeds"), (self.error_of_classifiers, self.classifiers, "classifiers")]
        more = "".join(f", ±{error:.{digits}f} over {count} {names}" for error, count, names in of if count > 1)
        return f"{self.value:+.{digits}f} (±{self.error:.{digits}f} over images{more})"

    def percent(self) -> str:
        """A difference of shares, as `words` in points of a hundred."""
        points = replace(
            self, first=100 * self.first, second=100 * self.second, error=100 * self.error,
            error_of_seeds=100 * self.error_of_seeds, error_of_classifiers=100 * self.error_of_classifiers,
        )  # fmt: skip
        return f"{points.words(1)} points"


@lru_cache(maxsize=10_000)
def student(level: float, degrees: int) -> float:
    """The two-sided quantile of Student's t: |t| is above it with probability `level`.

    By bisection of the distribution of t = sqrt(degrees) tan(angle), which is elementary for whole degrees of freedom
    (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4).
    """
    low, high = 0.0, math.pi / 2
    for _ in range(52):
        angle = (low + high) / 2
        low, high = (angle, high) if 1 - _within(angle, degrees) > level else (low, angle)
    return math.sqrt(degrees) * math.tan(high)


def _within(angle: float, degrees: int) -> float:
    """The probability that |t| is below sqrt(degrees) tan(angle)."""
    sine, cosine, odd = math.sin(angle), math.cos(angle), degrees % 2
    term, terms = cosine if odd else 1.0, 0.0
    for power in range(1 + odd, degrees, 2):
        terms += term
        term *= cosine * cosine * power / (power + 1)
    return 2 / math.pi * (angle + sine * terms) if odd else sine * terms


def paired_difference(pairs: Sequence[tuple[Tensor, Tensor]]) -> PairedDifference:
    """The comparison of two models by the values that each has for the same N images.

    Args:
        pairs: the values of the first and of the second model, for each seed: shape (N,), or (classifiers, N) where they are by
            what several classifiers say.
    """
    firsts, seconds = (torch.stack([pair[side].double() for pair in pairs]) for side in (0, 1))
    apart = (seconds - firsts).view(len(pairs), -1, firsts.shape[-1])  # (seeds, classifiers, N)
    seeds, classifiers, _ = apart.shape
    return PairedDifference(
        float(firsts.mean()), float(seconds.mean()), standard_error(apart.mean((0, 1))),
        standard_error(apart.mean((1, 2))) if seeds > 1 else 0.0, seeds,
        standard_error(apart.mean((0, 2))) if classifiers > 1 else 0.0, classifiers,
    )  # fmt: skip


def standard_error(values: Tensor) -> float:
    """The standard error of the mean of independent values, shape (N,)."""
    return float(values.double().std()) / math.sqrt(len(values))


@dataclass(frozen=True)
class Decision:
    """A difference that a verdict or a sentence rests on.

    Attributes:
        what: a statement of it, such as ``less entropy with k = 10``.
        why: the numbers, against what, and their errors.
        p: the least level at which it counts, as if no other were asked for.
        holds: whether the statement is true, if it counts.
        claimed: whether the verdict rests on it; the others choose a sentence of the reading.
        verdict: ``yes``, ``no`` or ``not decided`` at the level of the report; empty until that is known.
    """

    what: str
    why: str
    p: float
    holds: bool
    claimed: bool = True
    verdict: str = ""

    def at(self, level: float) -> "Decision":
        """With its verdict at the level of the report."""
        return replace(self, verdict=(YES if self.holds else NO) if self.p <= level else undecided(1))


class Decisions:
    """Decides differences at a level, and keeps what it was asked for.

    A judge asks all that it may need each time, whatever the answers are: the number of differences is known before any of them.
    """

    def __init__(self, level: float) -> None:
        self.level = level
        self.made: list[Decision] = []

    def above(self, what: str, apart: PairedDifference, value: float = 0, digits: int | None = 2, claimed: bool = True) -> str:
        """The verdict on a statement that a difference is above a value; its numbers have so many digits, None for shares."""
        self._keep(what, apart, apart.p(value), apart.value > value, value and f"above {value:g}", digits, claimed)
        return above(apart, value, self.level)

    def below(self, what: str, apart: PairedDifference, value: float = 0, digits: int | None = 2, claimed: bool = True) -> str:
        """The verdict on a statement that a difference is below a value."""
        self._keep(what, apart, apart.p(value), apart.value < value, value and f"below {value:g}", digits, claimed)
        return below(apart, value, self.level)

    def within(self, what: str, apart: PairedDifference, margin: float, digits: int | None = 2) -> str:
        """The verdict on a statement that a difference is nearer to 0 than a margin."""
        nearest = math.copysign(margin, apart.value)
        limit = f"within ±{margin:g}" if digits is not None else f"within ±{100 * margin:g} points"
        self._keep(what, apart, apart.p(nearest), abs(apart.value) < margin, limit, digits, True)
        return within(apart, margin, self.level)

    def _keep(
        self, what: str, apart: PairedDifference, p: float, holds: bool, limit: object, digits: int | None, claimed: bool
    ) -> None:
        show, by = (f".{digits}f", apart.words(digits)) if digits is not None else (".1%", apart.percent())
        why = f"{apart.second:{show}} against {apart.first:{show}}, {by}{f', asked for is {limit}' if limit else ''}"
        self.made.append(Decision(what, why, p, holds, claimed))


@dataclass(frozen=True)
class Outcome:
    """A verdict and what the numbers say beside it."""

    verdict: str
    reading: str


@dataclass(frozen=True)
class Finding:
    """The measurements of a figure, in words, and the verdict on the report's claim.

    Attributes:
        text: the numbers, in one or two sentences.
        verdict: whether the claim holds: ``yes``, ``no``, ``in part``, ``not decided by N seeds``; empty where none is given.
        reading: what the numbers say, a sentence chosen by them, or nothing.
        ours: the numbers that decide it, in a few words, for the table of all figures.
        why: one line on why this is the verdict, or why there is none.
        decisions: the differences that were decided.
        outcomes: the verdict and the reading where none of these counts, where the one of the least p-value counts, and so on.
    """

    text: str
    verdict: str
    reading: str = ""
    ours: str = ""
    why: str = ""
    decisions: Sequence[Decision] = ()
    outcomes: Sequence[Outcome] = ()

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """The finding of which these are `dataclasses.asdict`."""
        decisions = tuple(Decision(**decision) for decision in kept["decisions"])
        return cls(**{**kept, "decisions": decisions, "outcomes": tuple(Outcome(**outcome) for outcome in kept["outcomes"])})

    def without_verdict(self, why: str = "") -> "Finding":
        """The numbers alone, and why so."""
        return Finding(self.text, "", ours=self.ours, why=why)

    def at(self, level: float) -> "Finding":
        """The finding where those differences count whose p-value is at most a level."""
        if not self.outcomes:
            return self
        decisions = [decision.at(level) for decision in self.decisions]
        outcome = self.outcomes[sum(decision.p <= level for decision in decisions)]
        why = "; ".join(f"{each.what}: {each.verdict} ({each.why}, {_p(each.p)})" for each in decisions if each.claimed)
        return replace(self, verdict=outcome.verdict, reading=outcome.reading, why=why or self.why, decisions=decisions)


def _p(p: float) -> str:
    return f"p = {p:.2g}" if p >= 1e-4 else "p < 0.0001"


def judged(judge: Callable[..., Finding], measured: Mapping[str, Any]) -> Finding:
    """A judge's finding on what was measured, with what it is at every level."""
    first = judge(**measured, level=0)
    each = [first, *(judge(**measured, level=p) for p in sorted(decision.p for decision in first.decisions))]
    return replace(first, outcomes=[Outcome(finding.verdict, finding.reading) for finding in each])


@dataclass(frozen=True)
class Family:
    """The differences that a report decides, together.

    Attributes:
        differences: how many.
        level: of reports in which none of them is real, at most this share says that one is.
        corrected_level: the p-value up to which a difference counts, so that this holds.
        counted: how many count.
    """

    differences: int
    level: float
    corrected_level: float
    counted: int


def settled(findings: Sequence[Finding]) -> tuple[list[Finding], Family]:
    """The findings of a report at the level that Holm's correction gives all their differences, and what it is of."""
    p = [decision.p for finding in findings for decision in finding.decisions]
    level = holm(p)
    return [finding.at(level) for finding in findings], Family(len(p), LEVEL, level, sum(each <= level for each in p))


def holm(p: Sequence[float], level: float = LEVEL) -> float:
    """The level at or below which a p-value counts, so that all that are of no difference count none with probability 1 - `level`.

    The least p-value is held against level / n, the next one against level / (n - 1), and so on until one is above (Holm 1979, "A
    simple sequentially rejective multiple test procedure"); those before count, however they depend on each other.
    """
    for before, each in enumerate(sorted(p)):
        if each > level / (len(p) - before):
            return level / (len(p) - before)
    return level


def undecided(seeds: int) -> str:
    """The verdict where errors leave a claim open."""
    return f"not decided by {number_word(seeds)} seeds" if seeds > 1 else "not decided"


def number_word(count: int) -> str:
    """Two and three in letters, others in figures."""
    return {2: "two", 3: "three"}.get(count, str(count))


def above(apart: PairedDifference, value: float = 0, level: float = LEVEL) -> str:
    """The verdict on a claim that a difference is above a value."""
    return YES if apart.above(value, level) else NO if apart.below(value, level) else undecided(apart.seeds)


def below(apart: PairedDifference, value: float = 0, level: float = LEVEL) -> str:
    """The verdict on a claim that a difference is below a value."""
    return YES if apart.below(value, level) else NO if apart.above(value, level) else undecided(apart.seeds)


def within(apart: PairedDifference, margin: float, level: float = LEVEL) -> str:
    """The verdict on a claim that two models are alike: that they differ by less than a margin, whichever is ahead."""
    if apart.above(-margin, level) and apart.below(margin, level):
        return YES
    return NO if apart.above(margin, level) or apart.below(-margin, level) else undecided(apart.seeds)


def together(verdicts: Sequence[str]) -> str:
    """The verdict on a claim of several parts.

    It holds where all do, and does not where none does; in part where some do and some do not, whatever the rest; else it is
    open.
    """
    if YES in verdicts and NO in verdicts:
        return IN_PART
    opens = [verdict for verdict in verdicts if verdict not in (YES, NO)]
    return opens[0] if opens else verdicts[0]


def all_hold(verdicts: Sequence[str]) -> str:
    """The verdict on a claim that holds only where several things do: it does not where one of them does not."""
    if NO in verdicts:
        return NO
    return next((verdict for verdict in verdicts if verdict != YES), YES)


def is_open(verdict: str) -> bool:
    """Whether the numbers leave the claim open."""
    return verdict.startswith("not decided")
