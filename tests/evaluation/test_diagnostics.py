import math

import pytest
import torch

from vaecli.evaluation.diagnostics import Diagnostics, kept_weights, pareto_k


def uniform(count):
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


def pareto(k):
    return lambda u: -k * torch.log1p(-u)


def lognormal(scale):
    return lambda u: scale * torch.special.ndtri(u)


REFERENCE = [
    (pareto(0.3), 0.3772698681657965, 0.31119094307185796),
    (pareto(0.8), 0.6634319450388517, 0.7793769507413509),
    (pareto(1.5), 1.0646752698863482, 1.4346355470318524),
    (lognormal(1), 0.3681400557995296, 0.260452559850805),
    (lognormal(5), 1.586566491510354, 1.7254476968780064),
    (torch.log, -0.40462148035522866, -0.9027406228243485),
]
"""By `array_stats.psislw` of arviz-stats 0.8.0, for 100 and for 4900 weights, where its tails are as long as ours."""


@pytest.mark.parametrize("count", [100, 4900])
def test_it_is_what_arviz_says(count):
    log_w = torch.stack([quantile(uniform(count)) for quantile, *_ in REFERENCE], 1)
    expected = torch.tensor([row[1 if count == 100 else 2] for row in REFERENCE], dtype=torch.float64)
    largest = log_w.topk(kept_weights(count), 0).values
    torch.testing.assert_close(pareto_k(largest), expected, rtol=0, atol=1e-8)
    shuffled = largest[torch.randperm(len(largest), generator=torch.Generator().manual_seed(0))] - 1000  # sizes do not matter
    torch.testing.assert_close(pareto_k(shuffled), expected, rtol=0, atol=1e-8)


def test_the_tail_is_that_of_the_paper():
    assert [kept_weights(k) - 1 for k in (21, 100, 225, 5000)] == [5, 20, 45, 213]
    assert kept_weights(1) == 1


@torch.inference_mode()
def test_tails_that_no_distribution_fits():
    few, ties, steep = uniform(5).log(), torch.zeros(21), torch.arange(21) * -1000.0
    assert pareto_k(few.unsqueeze(1)).isnan().all()
    assert pareto_k(torch.stack((ties, steep), 1).double()).tolist() == [-math.inf, math.inf]
    # some are equal to the one below the tail: of the others
    log_w = torch.cat((pareto(0.8)(uniform(100)).topk(10).values, torch.zeros(11)))
    assert pareto_k(log_w.unsqueeze(1)).isfinite().all()


def test_the_share_of_images_that_are_not_to_be_trusted():
    def untrusted(*k_hat):
        return Diagnostics(torch.ones(4), torch.ones(4), torch.tensor(k_hat)).untrusted

    assert untrusted(0.1, 0.71, math.inf, -math.inf) == 0.5
    assert untrusted(math.nan, math.nan, math.nan, math.nan) is None
