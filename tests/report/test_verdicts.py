"""Decisions: differences with their errors over images and over seeds, and verdicts of several parts."""

import math

import pytest
import torch

from vaecli.report.verdicts import Finding, PairedDifference, above, below, paired_difference, together, undecided, within
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
