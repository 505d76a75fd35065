"""Scores of images: what they depend on, and how well they tell two sets apart."""

import math

import pytest
import torch

import vaecli
from tests.helpers import BASELINE
from vaecli.analysis.scores import Auroc, Scores, auroc, score
from vaecli.config import Config
from vaecli.data.images import UNKNOWN, Images
from vaecli.evaluation.measure import measure
from vaecli.model import build
from vaecli.runs.run import read_run
from vaecli.training.loop import fit, make_optimizer

SHORT = vaecli.AIS(temperatures=4, chains=2, leapfrog=2)


@pytest.fixture(scope="module")
def baseline():
    return read_run(BASELINE).model


@pytest.fixture(scope="module")
def conditional(digits):
    config = Config(labels="full", epochs=5, batch_size=50)
    model = build(config)
    list(fit(model, make_optimizer(model, config), digits, config))
    return model


def scores_of(log_p, by="L_50", k_hat=0.1, dimensions=784):
    log_p = torch.tensor(log_p, dtype=torch.float64)
    names = tuple("abcdefgh"[: len(log_p)])
    labels = torch.tensor([0, UNKNOWN] * len(log_p))[: len(log_p)]
    return Scores(by, log_p, log_p * math.nan, torch.full_like(log_p, k_hat), dimensions, labels, names, ("zero",))


@pytest.mark.parametrize(("first", "second"), [(7, 5), (1, 4), (40, 30)])
def test_the_area_counts_pairs_and_ties_half(first, second):
    noise = torch.Generator().manual_seed(first)
    a, b = (torch.randint(6, (count,), generator=noise).double() for count in (first, second))
    pairs = (a[:, None] > b).double() + 0.5 * (a[:, None] == b)
    area, swapped = Auroc.of(a, b), Auroc.of(b, a)
    assert area.value == pytest.approx(float(pairs.mean()))
    assert swapped.value == pytest.approx(1 - area.value)
    if first == 1:
        assert area.standard_error is swapped.standard_error is None
        return
    # DeLong et al. 1988, equation 3: variances of the rows' and of the columns' means
    assert area.standard_error == pytest.approx(math.sqrt(pairs.mean(1).var() / first + pairs.mean(0).var() / second))
    assert swapped.standard_error == pytest.approx(area.standard_error)


def test_its_standard_error_is_its_spread_over_other_images():
    noise = torch.Generator().manual_seed(0)
    areas = [
        Auroc.of(
            torch.randn(30, generator=noise, dtype=torch.float64) + 1, 2 * torch.randn(60, generator=noise, dtype=torch.float64)
        )
        for _ in range(2000)
    ]
    spread = torch.tensor([area.value for area in areas]).var()
    mean = torch.tensor([area.standard_error**2 for area in areas]).mean()
    assert float(mean / spread) == pytest.approx(1, abs=0.13)  # four times sqrt(2 / 2000)


@pytest.mark.parametrize("by", ["L_50", "L_600", SHORT], ids=str)
def test_a_score_does_not_depend_on_its_company(baseline, digits, by):
    """To the bit: not on other images, the order, the position, nor on what was scored before."""
    some = digits[: {"L_50": 30, "L_600": 8}.get(str(by), 4)]
    together = score(baseline, some, by=by)
    backwards = score(baseline, some[torch.arange(len(some)).flip(0)], by=by)
    alone = score(baseline, some[3:4], by=by)
    for name in ("log_p", "monte_carlo_error", "k_hat"):
        assert torch.equal(getattr(backwards, name).flip(0).nan_to_num(5), getattr(together, name).nan_to_num(5))
        assert torch.equal(getattr(alone, name).nan_to_num(5), getattr(together, name)[3:4].nan_to_num(5))


@pytest.mark.parametrize(("by", "count"), [("L_2", 40), (SHORT, 3)], ids=str)
def test_images_have_noise_of_their_own(digits, by, count):
    """With common noise the errors of all images would be one error. Here log p(x|z) is noise alone."""
    model = build(Config(hidden=(4,)))
    black = torch.zeros_like(digits.pixels[:count])
    black[:, 0] = torch.arange(count)  # all of them black to the model
    found = score(model, Images(black, digits.labels[:count], digits.class_names), by=by)
    assert not model.observe(black).any()
    assert len(found.log_p.unique()) == count


def test_the_mean_is_that_of_measure_and_the_error_is_right(baseline, digits):
    some = digits[:200]
    found, measured = score(baseline, some, by="L_50"), measure(baseline, some, k=(50,))
    apart = found.log_p - measured.per_image["L_50"]
    error = float((2 * found.monte_carlo_error.square().sum()).sqrt() / 200)  # both have one
    assert abs(float(apart.mean())) < 3 * error
    # of normal errors the median is 0.67; where weights have heavy tails the error is rather too large than too small
    assert 0.4 < float((apart.abs() / (2**0.5 * found.monte_carlo_error)).median()) < 0.9
    annealed = score(baseline, some[:5], by=SHORT)
    apart = annealed.log_p - measure(baseline, some[:5], k=(), ais=SHORT).per_image["ais"]
    assert abs(float(apart.mean())) < 3 * float((2 * annealed.monte_carlo_error.square().sum()).sqrt() / 5)
    assert annealed.by == "ais" and annealed.k_hat.isnan().all()


def test_labels_are_given_or_summed_out(conditional, digits):
    some = digits[:30]
    measured = measure(conditional, some, k=(50,), marginal_labels=True)
    found = score(conditional, some, marginal_labels=True)
    given = score(conditional, some)
    apart = found.log_p - measured.per_image["L_50"]
    assert abs(float(apart.mean())) < 3 * float((2 * found.monte_carlo_error.square().sum()).sqrt() / 30)
    # log p(x) = log 1/10 sum_y p(x|y) is at least log p(x|y) - log 10, but for the errors of both
    assert (found.log_p > given.log_p - math.log(10) - 4 * (found.monte_carlo_error + given.monte_carlo_error)).all()
    assert not torch.equal(given.log_p, found.log_p)
    by_annealing = score(conditional, some[:1], by=SHORT, marginal_labels=True)
    assert (by_annealing.log_p - found.log_p[:1]).abs() < 5
    with pytest.raises(vaecli.VaecliError, match="marginal_labels: the run was trained without labels"):
        score(build(Config(hidden=(4,))), some, marginal_labels=True)


def test_rows_have_ranks_bits_and_no_number_that_is_not_known():
    found = scores_of([-3.0, -9.0, -1.0, -9.0])
    rows = found.rows()
    assert [row["rank"] for row in rows] == [3, 1, 4, 2]
    assert [row["label_name"] for row in rows] == ["zero", "", "zero", ""]
    assert rows[1] == {
        "name": "b", "label": -1, "label_name": "", "rank": 1, "log_p": -9.0, "monte_carlo_error": None,
        "bits_per_dim": pytest.approx(9 / 784 / math.log(2)), "k_hat": 0.1,
    }  # fmt: skip
    assert scores_of([5.0], dimensions=None).rows()[0]["bits_per_dim"] is None
    assert found.extremes(1) == ([1], [2])
    assert found.extremes(5) == ([1, 3], [2, 0])
    assert scores_of([1.0]).extremes(5) == ([0], [])


def test_densities_have_no_bits(digits):
    assert score(build(Config(likelihood="beta", hidden=(4,))), digits[:2], by="L_1").dimensions is None
    of_levels = score(build(Config(likelihood="discretized-logistic", hidden=(4,))), digits[:2], by="L_1")
    assert of_levels.dimensions == 784
    assert of_levels.monte_carlo_error.isnan().all() and of_levels.k_hat.isnan().all()


@pytest.mark.parametrize("by", ["L_0", "L_", "L_x", "50", "elbo", "L_-1", "L_1000001", "L_٣", "AIS", ""])
def test_a_bound_that_there_is_not_is_refused(baseline, digits, by):
    with pytest.raises(vaecli.VaecliError, match=r"by.*expected L_K with K particles, up to 1,000,000, such as L_50, or ais"):
        score(baseline, digits[:1], by=by)


def test_areas_are_of_one_bound_and_one_kind_of_image():
    assert auroc(scores_of([-1.0, -2.0]), scores_of([-3.0, -4.0])) == Auroc(1.0, 0.0)
    for other in (scores_of([-1.0], by="ais"), scores_of([-1.0], dimensions=None)):
        with pytest.raises(vaecli.VaecliError, match="others: found scores by"):
            auroc(scores_of([-1.0]), other)
