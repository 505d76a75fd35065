import math

import pytest
import torch

from tests.helpers import BASELINE
from vaecli.config import Config
from vaecli.data import load_images
from vaecli.evaluation import importance
from vaecli.evaluation.diagnostics import kept_weights, pareto_k
from vaecli.evaluation.importance import evaluate, importance_bound, jackknife
from vaecli.model import build
from vaecli.runs.run import read_run
from vaecli.seeding import generator
from vaecli.training.loop import fit, make_optimizer


@pytest.fixture(scope="module")
def baseline():
    return read_run(BASELINE).model


@pytest.fixture(scope="module")
def some():
    return load_images("mnist", "test", limit=100)


def test_evaluation_repeats_itself_and_leaves_the_model_alone(digits):
    config = Config(epochs=1, binarize="stochastic")
    model = build(config)
    list(fit(model, make_optimizer(model, config), digits, config))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first = evaluate(model, digits)
    torch.manual_seed(5)
    again = evaluate(model, digits)
    assert torch.equal(again.reconstruction, first.reconstruction)
    assert torch.equal(again.kl, first.kl)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@torch.inference_mode()
def test_the_variance_of_the_elbo_is_that_of_its_particle(baseline, some, monkeypatch):
    monkeypatch.setattr(importance, "BATCH", 40)
    one, five = evaluate(baseline, some), evaluate(baseline, some, 5)
    assert not one.variance
    assert torch.equal(five.elbo, one.elbo)  # compare shows the number that train does
    x = baseline.observe(some.pixels, generator("cpu"))
    z = baseline.posterior(x).rsample((400,), generator("cpu", "by hand"))
    by_hand = baseline.likelihood(z).log_prob(x).double().var(0)
    # the sum of 100 variances, each from 5 draws
    assert float(five.variance["elbo"].sum() / by_hand.sum()) == pytest.approx(1, abs=0.4)
    assert float(evaluate(baseline, some, 400).variance["elbo"].sum() / by_hand.sum()) == pytest.approx(1, abs=0.08)


@torch.inference_mode()
def test_the_variances_where_kl_is_estimated_are_those_of_the_same_particles(baseline, some, monkeypatch):
    def unknown(q, p):
        raise NotImplementedError

    monkeypatch.setattr("vaecli.model.kl_divergence", unknown)
    found = evaluate(baseline, some, 400).variance
    x = baseline.observe(some.pixels, generator("cpu"))
    q = baseline.posterior(x)
    z = q.rsample((400,), generator("cpu", "by hand"))
    reconstruction, kl = baseline.likelihood(z).log_prob(x).double(), (q.log_prob(z) - baseline.prior().log_prob(z)).double()
    by_hand = {"reconstruction": reconstruction.var(0), "elbo": (reconstruction - kl).var(0), "kl": kl.var(0)}
    assert found.keys() == by_hand.keys()
    for name, variance in by_hand.items():
        assert float(found[name].sum() / variance.sum()) == pytest.approx(1, abs=0.08), name


def test_the_variance_of_the_elbo_leaves_binarisation_alone(some):
    """A decoder that is blind to its latents has one ELBO, whichever particle is drawn; its pixels are drawn once."""
    model = build(Config(binarize="stochastic"))
    with torch.no_grad():
        model.decoder.input.weight.zero_()
    assert float(evaluate(model, some, 5).variance["elbo"].max()) < 1e-6


@pytest.mark.parametrize("k", [1, 2, 7, 50, 120, 1000])
@torch.inference_mode()
def test_leaving_out_particles_by_hand(baseline, some, k, monkeypatch):
    monkeypatch.setattr(importance, "worthwhile", lambda *_: False)
    images = some[:3]
    bound = importance_bound(baseline, images, k)
    x, noise = baseline.observe(images.pixels, generator("cpu")), generator("cpu", "importance", k, 0)
    q = baseline.posterior(x)
    z = torch.cat([q.rsample((len(part),), noise) for part in torch.arange(k).split(400)])
    log_w = (baseline.likelihood(z).log_prob(x) + baseline.prior().log_prob(z) - q.log_prob(z)).double()
    torch.testing.assert_close(bound.value, log_w.logsumexp(0) - math.log(k), atol=1e-4, rtol=0)
    share = log_w.softmax(0)
    torch.testing.assert_close(bound.weights.effective_sample_size, 1 / share.square().sum(0), rtol=1e-3, atol=0)
    torch.testing.assert_close(bound.weights.largest, share.amax(0), rtol=1e-3, atol=0)
    torch.testing.assert_close(
        bound.weights.k_hat, pareto_k(log_w.topk(kept_weights(k), 0).values), rtol=0, atol=1e-3, equal_nan=True
    )
    assert bool(bound.weights.k_hat.isnan().all()) == (k < 21)
    groups = min(k, 50)
    assert bound.sizes.tolist() == [len(range(group, k, groups)) for group in range(groups)]
    if k == 1:
        assert bound.variance.isnan().all()
        return
    for group in range(groups):
        kept = log_w[torch.arange(k) % groups != group]
        torch.testing.assert_close(bound.without[group], kept.logsumexp(0) - math.log(len(kept)), atol=1e-4, rtol=0)


def test_it_says_how_many_images_are_done(baseline, some, monkeypatch):
    monkeypatch.setattr(importance, "BLOCK", 40)
    monkeypatch.setattr(importance, "ROWS", 75)
    done = []
    importance_bound(baseline, some, 5, on_images=done.append)
    assert done == [15, 30, 40, 55, 70, 80, 95, 100]


@pytest.mark.parametrize("sizes", [[1.0] * 6, [3.0, 2.0, 2.0]])
def test_the_jackknife_of_a_mean_is_unbiased_for_groups_of_any_size(sizes):
    sizes = torch.tensor(sizes, dtype=torch.float64)
    total = int(sizes.sum())
    draws = torch.randn(total, 40_000, generator=generator("cpu", "jackknife"), dtype=torch.float64)
    parts = draws.split(sizes.int().tolist())
    without = torch.stack([(draws.sum(0) - part.sum(0)) / (total - len(part)) for part in parts])
    variances = jackknife(draws.mean(0), without, sizes)
    # 40,000 estimates of 1 / total, each with a standard deviation of at most its own size
    assert float(variances.mean()) * total == pytest.approx(1, abs=6 / 200)


def test_the_jackknife_of_a_bound_is_its_variance_over_repeats(baseline, some):
    runs = [importance_bound(baseline, some, 30, repeat=repeat) for repeat in range(40)]
    spread = torch.stack([run.value for run in runs]).var(0).sum()
    variance = torch.stack([run.variance for run in runs]).mean(0).sum()
    # a sum that a few images carry, from 40 repeats
    assert float(variance / spread) == pytest.approx(1, abs=0.3)
