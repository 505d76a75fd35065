import math
from dataclasses import replace

import pytest
import torch

from tests.conftest import one_line
from vaecli import quadrature
from vaecli.config import Config
from vaecli.data.labels import one_hot
from vaecli.errors import UsageError
from vaecli.evaluation import importance_bound
from vaecli.measurement import Wanted, measure
from vaecli.model import build
from vaecli.quadrature import exact_log_prob
from vaecli.training import fit, make_optimizer


@pytest.fixture(autouse=True)
def coarse_grid(monkeypatch):
    """Posteriors after this little training are wide: a coarse grid is exact enough, and ten times as fast."""
    monkeypatch.setitem(quadrature.START, 2, 40)
    monkeypatch.setitem(quadrature.MOST, 2, 80)


@pytest.fixture(scope="module")
def conditional(digits):
    config = Config(labels="full", epochs=15, batch_size=50)
    model = build(config)
    list(fit(model, make_optimizer(model, config), digits, config))
    return model


def test_measuring_twice_gives_the_same_digits(conditional, digits):
    wanted = Wanted((5, 20), "mixture", exact=True)
    assert measure(conditional, digits[:50], wanted) == measure(conditional, digits[:50], wanted)


def test_labels_are_summed_out_and_classify(conditional, digits):
    some = digits[:60]
    measured = measure(conditional, some, Wanted((20,), exact=True, marginal_labels=True))
    given = [exact_log_prob(conditional, replace(some, labels=torch.full_like(some.labels, y))).log_prob for y in range(10)]
    by_hand = torch.stack(given).logsumexp(0) - math.log(10)
    assert measured.mean["exact"] == pytest.approx(float(by_hand.mean()), abs=1e-4)
    told = measure(conditional, some, Wanted(exact=True)).mean["exact"]
    assert told > measured.mean["exact"]  # the label is worth something
    # trained on these very digits: far better than one in ten
    assert measured.accuracy["exact"] > 0.5
    assert measured.accuracy["exact"] == float((torch.stack(given).argmax(0) == some.labels).double().mean())
    assert measured.mean["L_20"] < measured.mean["exact"]


def test_each_label_has_its_own_grid(conditional, digits):
    """Images of several labels at once are each integrated with their own decoder."""
    some = digits[:30]
    together = exact_log_prob(conditional, some).log_prob
    for y in some.labels.unique():
        alone = exact_log_prob(conditional, some[some.labels == y]).log_prob
        torch.testing.assert_close(together[some.labels == y], alone, atol=1e-3, rtol=0)
    assert one_hot(some.labels).sum() == 30


def test_errors_over_repeats(conditional, digits):
    measured = measure(conditional, digits[:50], Wanted((5,), repeats=4))
    runs = torch.stack([importance_bound(conditional, digits[:50], 5, repeat=r).value for r in range(4)])
    assert measured.mean["L_5"] == pytest.approx(float(runs.mean()))
    assert measured.monte_carlo_error["L_5"] == pytest.approx(float(runs.mean(1).std()) / 2)
    assert measured.standard_error["L_5"] == pytest.approx(float(runs.mean(0).std()) / 50**0.5)


def test_where_there_is_no_error_to_tell_none_is_told(conditional, digits):
    measured = measure(conditional, digits[:1], Wanted((1,)))
    assert measured.standard_error == {}
    assert measured.monte_carlo_error == {}
    assert measure(conditional, digits[:9], Wanted((1,), repeats=2)).monte_carlo_error.keys() == {"L_1"}


def test_active_units_are_those_that_images_spread_over(digits):
    model = build(Config(latent_dim=6))
    with torch.no_grad():
        model.encoder.output.weight[2:6] = 0  # four of the six means no longer depend on the image
        model.encoder.output.weight[:2] *= 10
    assert measure(model, digits, Wanted()).active_units == 2


def test_what_makes_no_sense_is_refused(digits):
    with pytest.raises(UsageError, match="--marginal-labels: the run was trained without labels"):
        measure(build(Config()), digits[:5], Wanted(marginal_labels=True))
    with pytest.raises(UsageError, match="--proposal prior: expected one of posterior, mixture"):
        Wanted(proposal="prior")


def test_the_command_tells_it_all(vaecli, run_copy, small_mnist):
    def compare(*arguments):
        return vaecli("compare", "small", "--table-only", "--data-dir", small_mnist, *arguments)

    outcome = compare("--exact", "--k", "1,5", "--proposal", "mixture")
    assert outcome.code == 0
    assert " ".join(outcome.out.splitlines()[0].split()) == (
        "run epochs test -ELBO reconstruction KL -L_1 -L_5 -log p(x) active units parameters seconds"
    )
    assert "Monte Carlo error of L_5 " in outcome.err
    assert "its last halving moved the mean by " in outcome.err
    assert "trained without labels" in one_line(compare("--marginal-labels"), 2)
    assert compare("--limit", "1", "--k", "1").code == 0
