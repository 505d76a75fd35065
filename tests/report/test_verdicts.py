"""Decisions: differences with their errors over images and over seeds, and verdicts of several parts."""

import math

import pytest
import torch
from scipy import stats

from vaecli.report.verdicts import (
    LEAST_P,
    Decisions,
    Finding,
    PairedDifference,
    above,
    below,
    holm,
    judged,
    paired_difference,
    settled,
    standard_error,
    student,
    together,
    undecided,
    within,
)
from vaecli.seeding import generator

N = 400
NOISE = torch.randn(4, N, generator=generator("cpu", "findings"), dtype=torch.float64)


def around(mean, which, spread=1.0):
    """N values with exactly this mean and this standard deviation."""
    noise = NOISE[which]
    return mean + spread * (noise - noise.mean()) / noise.std()


def test_errors_are_those_of_paired_differences():
    """Against formulas: what the images have in common cancels out."""
    first = around(3, 0, 100)
    apart = paired_difference([(first, first + around(2, 1))])
    assert (apart.first, apart.value) == (pytest.approx(3), pytest.approx(2))
    assert apart.error == pytest.approx(1 / math.sqrt(N))
    assert (apart.error_of_seeds, apart.seeds) == (0, 1)


def test_errors_over_seeds_are_those_of_the_seeds_means():
    first = around(0, 0)
    apart = paired_difference([(first, first + by) for by in (1.0, 2.0, 3.0)])
    assert apart.value == pytest.approx(2)
    assert apart.error == pytest.approx(0, abs=1e-9)
    assert apart.error_of_seeds == pytest.approx(1 / math.sqrt(3))


def test_errors_over_images_shrink_where_seeds_differ_by_image():
    """Independent noise of four seeds: half of the error of one."""
    apart = paired_difference([(torch.zeros(N), around(1, seed)) for seed in range(4)])
    assert apart.error == pytest.approx(0.5 / math.sqrt(N), rel=0.2)


@pytest.mark.parametrize(
    ("value", "error", "of_seeds", "seeds", "decided"),
    [
        (2.1, 1.0, 0.0, 1, True),
        (1.9, 1.0, 0.0, 1, False),
        (5.0, 1.0, 1.0, 3, True),
        (4.0, 1.0, 1.0, 3, False),  # two errors over images are not enough where the seeds disagree: 4.3 over three seeds
        (1.9, 1.0, 0.0, 3, False),
        (13.0, 1.0, 1.0, 2, True),
        (12.0, 1.0, 1.0, 2, False),
        (math.nan, 1.0, 1.0, 3, False),
        (5.0, math.nan, 0.0, 1, False),
    ],
)
def test_both_errors_have_to_be_exceeded(value, error, of_seeds, seeds, decided):
    for sign in (1, -1):
        apart = PairedDifference(0, sign * value, error, of_seeds, seeds)
        assert (apart.above(), apart.below()) == (decided and sign > 0, decided and sign < 0)


def test_a_claim_is_open_for_as_many_seeds_as_there_are():
    assert above(PairedDifference(0, 1, 1)) == "not decided"
    assert above(PairedDifference(0, 1, 1, 1, 3)) == "not decided by three seeds"
    assert undecided(5) == "not decided by 5 seeds"


def test_above_and_below_are_opposites():
    apart = PairedDifference(0, 5, 1)
    assert (above(apart), below(apart)) == ("yes", "no")
    assert (above(apart, 10), below(apart, 10)) == ("no", "yes")
    assert (above(apart, 4), below(apart, 4)) == ("not decided",) * 2


@pytest.mark.parametrize(
    ("value", "expected"), [(0, "yes"), (2.9, "yes"), (-2.9, "yes"), (4, "not decided"), (8, "no"), (-8, "no")]
)
def test_alike_is_closer_than_a_margin_for_certain(value, expected):
    assert within(PairedDifference(0, value, 1), 5) == expected


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        (["yes", "yes"], "yes"),
        (["no", "no"], "no"),
        (["yes", "no"], "in part"),
        (["yes", "not decided by three seeds"], "not decided by three seeds"),
        (["not decided by three seeds", "no"], "not decided by three seeds"),
        (["no", "yes", "not decided by three seeds"], "in part"),
    ],
)
def test_a_claim_of_several_parts(parts, whole):
    assert together(parts) == whole


def test_without_its_verdict_a_finding_is_numbers_alone():
    assert Finding("t", "yes", "r", "o").without_verdict() == Finding("t", "", "", "o")


def test_differences_are_shown_with_both_errors():
    assert PairedDifference(1, 3, 0.1, 0.25, 3).words() == "+2.00 (±0.10 over images, ±0.25 over 3 seeds)"
    assert PairedDifference(0.5, 0.4, 0.01).percent() == "-10.0 (±1.0 over images) points"


def test_errors_over_classifiers_are_those_of_their_means():
    """Of values of three seeds and two classifiers, and of others that no classifier says."""
    ahead = torch.tensor([[1.0, 2.0], [2.0, 3.0], [3.0, 4.0]])[..., None]  # (seeds, classifiers, 1)
    base = around(0, 0)
    apart = paired_difference([(base.expand(2, N), base + each) for each in ahead])
    assert apart.value == pytest.approx(2.5)
    assert (apart.seeds, apart.classifiers) == (3, 2)
    assert apart.error_of_seeds == pytest.approx(1 / math.sqrt(3))
    assert apart.error_of_classifiers == pytest.approx(math.sqrt(0.5) / math.sqrt(2))
    assert apart.words(1) == "+2.5 (±0.0 over images, ±0.6 over 3 seeds, ±0.5 over 2 classifiers)"
    assert apart.percent() == "+250.0 (±0.0 over images, ±57.7 over 3 seeds, ±50.0 over 2 classifiers) points"


def test_a_classifier_of_another_mind_takes_a_verdict_away():
    shares = torch.full((N,), 0.5)
    of_one = paired_difference([(shares, shares + around(0.09, 1, 0.1))] * 3)
    of_three = paired_difference(
        [(shares.expand(3, N), torch.stack([shares + around(by, 1, 0.1) for by in (0.0, 0.09, 0.18)]))] * 3
    )
    assert of_three.value == pytest.approx(of_one.value)
    assert (above(of_one), above(of_three)) == ("yes", "not decided by three seeds")


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 10])
@pytest.mark.parametrize("level", [0.9, 0.05, 0.05 / 29, 1e-6])
def test_quantiles_are_those_of_students_distribution(degrees, level):
    assert student(level, degrees) == pytest.approx(stats.t.isf(level / 2, degrees), rel=1e-9)


@pytest.mark.parametrize("of_seeds", [0.01, 0.3, 2.0])
@pytest.mark.parametrize("by", [-40.0, -3.0, -1.0, 0.1, 2.0])
def test_a_difference_counts_from_its_p_value_on(of_seeds, by):
    apart = PairedDifference(10, 10 + by, 0.5, of_seeds, 3, 0.1, 5)
    p = apart.p()
    assert apart.above(level=p) or apart.below(level=p)
    assert (not apart.above(level=0.999 * p) and not apart.below(level=0.999 * p)) or p == LEAST_P
    assert apart.p(value=by) == 1
    assert 10 * p > PairedDifference(10, 10 + by + math.copysign(5, by), 0.5, of_seeds, 3, 0.1, 5).p() < p or p == LEAST_P


def test_without_seeds_a_p_value_is_the_normal_distributions():
    assert PairedDifference(0, 2, 1).p() == pytest.approx(2 * stats.norm.sf(2), rel=1e-3)
    assert PairedDifference(0, 2, 0, 1, 3).p() == pytest.approx(2 * stats.t.sf(2, 2), rel=1e-3)
    assert PairedDifference(0, math.nan, 1).p() == PairedDifference(0, 1, math.nan).p() == PairedDifference(0, 0, 0).p() == 1
    assert PairedDifference(0, 1, 0).p() == LEAST_P


REPORTS = 400


def null(noise, images, seeds, classifiers=0.0):
    """A difference of two models that do not differ, with these errors over images, over three seeds and over three classifiers."""

    def draw(spread, count):
        return spread * math.sqrt(count) * torch.randn(count, generator=noise, dtype=torch.float64)

    by_seed, by_classifier = draw(seeds, 3), draw(classifiers, 3)
    value = float(draw(images, 1).sum() + by_seed.mean() + by_classifier.mean())
    of_classifiers = (standard_error(by_classifier), 3) if classifiers else (0.0, 1)
    return PairedDifference(0.0, value, images, standard_error(by_seed), 3, *of_classifiers)


def most(share, count):
    """What of `count` trials no more than one set in a thousand exceeds."""
    return stats.binom.ppf(0.999, count, share)


@pytest.mark.parametrize("level", [0.05, 0.2])
@pytest.mark.parametrize("images", [0.05, 0.3, 1.0, 3.0])
def test_of_single_differences_of_nothing_no_more_count_than_the_level_says(images, level):
    """Whichever error is the larger; where both are alike, 0.24 of them exceed each for itself at 0.2."""
    noise = generator("cpu", "null", str(images))
    found = [null(noise, images, 1.0) for _ in range(10 * REPORTS)]
    assert sum(apart.above(level=level) or apart.below(level=level) for apart in found) <= most(level, len(found))


def test_of_reports_on_twenty_differences_of_nothing_at_most_a_twentieth_finds_any():
    noise, wrong, each = generator("cpu", "null reports"), 0, 0
    for _ in range(REPORTS):
        found = [null(noise, 1.0, (0.1, 0.4, 2.0)[place % 3], (0.0, 0.3)[place % 2]) for place in range(20)]
        asked = Decisions(1)
        for apart in found:
            asked.above("ahead", apart)
        (whole,), family = settled([judged(lambda level, made=tuple(asked.made): Finding("", "", decisions=made), {})])
        assert family.differences == 20
        wrong += any(decision.verdict in ("yes", "no") for decision in whole.decisions)
        each += any(apart.above() or apart.below() for apart in found)
    assert wrong <= most(0.05, REPORTS)
    assert each > most(0.25, REPORTS)  # what the correction is for


def test_holms_level_is_that_of_the_first_p_value_that_does_not_count():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx(0.05 / 2)  # 0.005 < 0.05 / 4, 0.01 < 0.05 / 3, 0.03 > 0.05 / 2
    assert holm([0.013, 0.013, 0.013, 0.013]) == pytest.approx(0.05 / 4)
    assert holm([0.04]) == holm([]) == 0.05


def judge(apart, level=0.05):
    decisions = Decisions(level)
    verdict = decisions.above("more", apart)
    return Finding("", verdict, f"it is {verdict}", decisions=decisions.made)


def test_a_verdict_depends_on_how_many_differences_a_report_has():
    sure, likely, nothing = (PairedDifference(0, by, 1) for by in (9.0, 2.2, 0.0))
    findings = [judged(judge, {"apart": apart}) for apart in (sure, likely)]
    (first, second), family = settled(findings)
    assert (first.verdict, second.verdict, second.reading) == ("yes", "yes", "it is yes")
    assert (family.differences, family.corrected_level, family.counted) == (2, 0.05, 2)
    (first, second, third), family = settled([*findings, judged(judge, {"apart": nothing})])
    assert (first.verdict, second.verdict, second.reading, third.verdict) == (
        "yes",
        "not decided",
        "it is not decided",
        "not decided",
    )
    assert (family.differences, family.corrected_level, family.counted) == (3, 0.025, 1)
    assert second.decisions[0].verdict == "not decided"
    assert second.why == "more: not decided (2.20 against 0.00, +2.20 (±1.00 over images), p = 0.028)"
    assert settled([first, second, third])[0] == [first, second, third]


def test_likeness_and_a_value_other_than_0_stand_beside_what_is_decided_by_them():
    asked = Decisions(0.05)
    assert asked.within("alike", PairedDifference(0.5, 0.51, 0.001), 0.05, None) == "yes"
    assert asked.within("alike", PairedDifference(0, -8, 1), 5) == "no"
    assert asked.within("alike", PairedDifference(0, 4, 1), 5) == "not decided"
    assert asked.below("lower", PairedDifference(0, -8, 1), -5.5) == "yes"
    assert [each.holds for each in asked.made] == [True, False, True, True]
    assert [each.p for each in asked.made] == [
        pytest.approx(p, rel=1e-3, abs=LEAST_P) for p in (0, *(2 * stats.norm.sf((3, 1, 2.5))))
    ]
    assert asked.made[0].why == "51.0% against 50.0%, +1.0 (±0.1 over images) points, asked for is within ±5 points"
    assert asked.made[3].why.endswith("asked for is below -5.5")
