"""Differences between runs over the same images and over seeds."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from vaecli.analysis.comparison import Row
from vaecli.analysis.differences import differences
from vaecli.config import Config
from vaecli.data.images import sampled
from vaecli.errors import UsageError
from vaecli.evaluation.estimates import Estimate, Measured
from vaecli.plotting.difference_plot import save_differences

N = 500
IMAGES = torch.randn(N, generator=torch.Generator().manual_seed(0)).double() * 30 - 100


def row(name, values, discrete=True, observed="a" * 64, epoch=5, **settings):
    run = SimpleNamespace(
        config=Config(**settings),
        provenance=None,
        results={"epoch": epoch},
        model=SimpleNamespace(pixel_likelihood=SimpleNamespace(discrete=discrete)),
    )
    number = Estimate.of(values)
    measured = Measured(N, observed, 2, number, number, number, {50: number}, per_image={"L_50": values, "elbo": values - 1})
    return Row(run, name, measured)


def noise(scale, *words):
    return scale * torch.randn(N, generator=torch.Generator().manual_seed(hash(words) % 2**31)).double()


def test_the_error_is_that_of_the_differences_and_not_of_the_images():
    apart = noise(0.5, 1) + 0.2
    first, second = differences([row("a", IMAGES), row("b", IMAGES + apart, latent_dim=3)], "L_50")
    assert (first.run, first.value, first.by_seed, first.mean) == ("a", 0.0, (), pytest.approx(float(IMAGES.mean())))
    assert second.value == pytest.approx(float(apart.mean()))
    assert second.standard_error == pytest.approx(float(apart.std()) / math.sqrt(N))
    assert second.standard_error < float(IMAGES.std()) / math.sqrt(N) / 50
    assert (second.seeds_standard_error, second.against, second.runs) == (None, "a", ("b",))


def test_runs_that_differ_by_their_seed_alone_are_a_group_whose_seeds_are_paired():
    of_seed = [3.0, -1.0, 4.0]  # which moves both models alike
    apart = [0.5, 0.6, 0.4]
    rows = [row(f"z2-s{seed}", IMAGES + of_seed[seed], seed=seed) for seed in (0, 1, 2)]
    others = [row(f"z3-s{seed}", IMAGES + of_seed[seed] + apart[seed], seed=seed, latent_dim=3) for seed in (2, 0, 1)]
    first, second = differences([rows[0], others[0], rows[1], others[1], rows[2], others[2]], "L_50")
    assert (first.run, second.run) == ("z2-s*", "z3-s*")
    assert second.runs == ("z3-s2", "z3-s0", "z3-s1")
    assert second.value == pytest.approx(0.5)
    assert second.by_seed == pytest.approx((0.4, 0.5, 0.6))
    assert second.seeds_standard_error == pytest.approx(0.1 / math.sqrt(3))
    assert second.standard_error == pytest.approx(0, abs=1e-9)
    # other seeds cannot be paired: each model's own spread counts
    unpaired = [replace(it, run=SimpleNamespace(**vars(it.run) | {"config": replace(it.run.config, seed=it.run.config.seed + 3)}))
                for it in others]  # fmt: skip
    _, second = differences([*rows, *unpaired], "L_50")
    spread = torch.tensor(of_seed).double().std() / math.sqrt(3)
    spread_of_other = torch.tensor([s + a for s, a in zip(of_seed, apart, strict=True)]).double().std() / math.sqrt(3)
    assert second.seeds_standard_error == pytest.approx(float(torch.hypot(spread, spread_of_other)))
    assert second.value == pytest.approx(0.5)
    _, second = differences([*rows, others[0]], "elbo")
    assert second.seeds_standard_error is None and second.by == "elbo"


def test_a_copy_of_a_run_is_not_another_seed():
    rows = [row("a", IMAGES, seed=1), row("a-copy", IMAGES, seed=1), row("a-2", IMAGES, seed=2)]
    assert [it.runs for it in differences(rows, "L_50")] == [("a", "a-2"), ("a-copy",)]


def test_a_run_that_was_stopped_earlier_differs_by_more_than_its_seed():
    rows = [row("a", IMAGES, seed=1), row("b", IMAGES, seed=2), row("c", IMAGES, seed=3, epoch=4)]
    assert [it.runs for it in differences(rows, "L_50")] == [("a", "b"), ("c",)]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (row("b", IMAGES, observed="b" * 64), "a and b are measured on different images, expected the same"),
        (
            row("b", IMAGES, binarize="stochastic"),
            r"binarize=threshold \(a\) and .*binarize=stochastic \(b\), expected runs of",
        ),
        (row("b", IMAGES, discrete=False, likelihood="beta"), "on the scale of beta"),
        (row("b", IMAGES, seed=4), "found runs that differ by their seed alone, expected others"),
    ],
)
def test_what_has_no_difference_is_refused(other, words):
    with pytest.raises(UsageError, match=words):
        differences([row("a", IMAGES), other], "L_50")


def test_one_run_is_refused():
    with pytest.raises(UsageError, match="found one run, expected others"):
        differences([row("a", IMAGES)], "L_50")


def test_the_picture_has_a_row_for_each_other_group(tmp_path):
    rows = [row(f"{name}{seed}", IMAGES + at + 0.1 * seed * at, latent_dim=size, seed=seed)
            for name, at, size in (("a$_", 0.0, 2), ("b", 1.0, 3), ("c", -2.0, 4)) for seed in (0, 1)]  # fmt: skip
    files = [tmp_path / f"few.{kind}" for kind in ("png", "svg")]
    for file in files:
        save_differences(file, differences(rows, "L_50"))
    text = files[1].read_text()
    assert files[0].stat().st_size > 5000 and "<svg" in text


def test_a_sample_is_the_same_each_time_and_grows():
    few, more = sampled(10_000, 200), sampled(10_000, 1000)
    assert torch.equal(few, sampled(10_000, 200))
    assert set(few.tolist()) < set(more.tolist())
    assert torch.equal(more, more.sort().values) and len(more.unique()) == 1000
    assert torch.equal(sampled(7, None), torch.arange(7)) and torch.equal(sampled(7, 9), torch.arange(7))
    # halves of the split are drawn from alike: 500 are expected in each, with a standard deviation of 15
    assert abs(int((more < 5000).sum()) - 500) < 5 * 15
