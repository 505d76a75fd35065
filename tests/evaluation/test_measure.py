import csv
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers import BASELINE, one_line
from vaecli.config import Config
from vaecli.data import load_images
from vaecli.data.images import UNKNOWN
from vaecli.errors import UsageError
from vaecli.evaluation import measure as measurement
from vaecli.evaluation import quadrature
from vaecli.evaluation.estimates import Accuracy, bits_per_dim
from vaecli.evaluation.importance import importance_bound
from vaecli.evaluation.measure import measure
from vaecli.evaluation.quadrature import START, Quadrature, exact_log_prob
from vaecli.model import build, one_hot
from vaecli.runs.run import read_run
from vaecli.training.loop import fit, make_optimizer


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
    first, again = (measure(conditional, digits[:50], k=(5, 20), proposal="mixture", exact=True) for _ in range(2))
    assert first == again


@pytest.fixture(scope="module")
def of_256_levels(digits):
    config = Config(likelihood="discretized-logistic", latent_dim=1, epochs=3, batch_size=50)
    model = build(config)
    list(fit(model, make_optimizer(model, config), digits, config))
    return model


def test_probabilities_of_256_levels_are_integrated_for_few_images_as_for_many(of_256_levels, digits, monkeypatch):
    """Few are computed one by one, many are read off a table of the levels."""
    monkeypatch.setattr("vaecli.distributions.discretized_logistic._FEWEST_FOR_A_TABLE", 50)
    monkeypatch.setitem(START, 1, 500)
    many = exact_log_prob(of_256_levels, digits[:50])
    few = exact_log_prob(of_256_levels, digits[:5])
    torch.testing.assert_close(many.log_prob[:5], few.log_prob, rtol=0, atol=0.005)
    measured = measure(of_256_levels, digits[:50], k=(2, 600), exact=True)
    assert measured.elbo.mean < measured.bounds[2].mean < measured.bounds[600].mean < measured.exact.mean + 0.2
    assert measured.exact.mean == pytest.approx(float(many.log_prob.mean()))


def test_discrete_pixels_have_bits_and_densities_have_none(of_256_levels, conditional, digits):
    measured = measure(of_256_levels, digits[:20], k=(3,), exact=True)
    expected = {"elbo": measured.elbo, "exact": measured.exact, "3": measured.bounds[3]}
    bits = measured.to_json()["bits_per_dim"]
    assert bits.keys() == {"elbo", "exact", "L"}
    for name, estimate in expected.items():
        assert (bits | bits["L"])[name] == pytest.approx(-estimate.mean / 784 / math.log(2))
    assert bits_per_dim(-math.log(256) * 12, 12) == pytest.approx(8)
    assert measure(conditional, digits[:20], k=()).bits_per_dim.keys() == {"elbo", "L"}
    density = measure(build(Config(likelihood="beta")), digits[:20], k=(3,))
    assert density.bits_per_dim is None and "bits_per_dim" not in density.to_json()


def test_labels_are_summed_out_and_classify(conditional, digits):
    some = digits[:60]
    measured = measure(conditional, some, k=(20,), exact=True, marginal_labels=True)
    given = [exact_log_prob(conditional, replace(some, labels=torch.full_like(some.labels, y))).log_prob for y in range(10)]
    by_hand = torch.stack(given).logsumexp(0) - math.log(10)
    assert measured.exact.mean == pytest.approx(float(by_hand.mean()), abs=1e-4)
    with_labels = measure(conditional, some, k=(), exact=True).exact.mean
    assert with_labels > measured.exact.mean  # the label is worth something
    # trained on these very digits: far better than one in ten
    assert measured.exact_accuracy.share > 0.5
    assert measured.exact_accuracy.share == float((torch.stack(given).argmax(0) == some.labels).double().mean())
    assert measured.bounds[20].mean < measured.exact.mean


def test_each_label_has_its_own_grid(conditional, digits):
    """Images of several labels at once are each integrated with their own decoder."""
    some = digits[:30]
    together = exact_log_prob(conditional, some).log_prob
    for y in some.labels.unique():
        alone = exact_log_prob(conditional, some[some.labels == y]).log_prob
        torch.testing.assert_close(together[some.labels == y], alone, atol=1e-3, rtol=0)
    assert one_hot(some.labels, 10).sum() == 30


def stated(variances):
    """The Monte Carlo error of a mean of estimates with these variances: their sum, and its own standard error, are its square."""
    return (sum(variances) + sum(variance**2 for variance in variances) ** 0.5) ** 0.5 / len(variances)


def test_errors_over_repeats(conditional, digits):
    measured = measure(conditional, digits[:50], k=(5,), repeats=4)
    runs = torch.stack([importance_bound(conditional, digits[:50], 5, repeat=r).value for r in range(4)])
    assert measured.bounds[5].mean == pytest.approx(float(runs.mean()))
    assert measured.bounds[5].monte_carlo_error == pytest.approx(stated((runs.var(0) / 4).tolist()))
    assert measured.bounds[5].standard_error == pytest.approx(float(runs.mean(0).std()) / 50**0.5)


@pytest.fixture(scope="module")
def baseline():
    return read_run(BASELINE).model


@pytest.mark.parametrize(
    ("what", "count"),
    [
        ({"k": (5,)}, 50),
        ({"k": (50,)}, 50),
        ({"k": (50,), "proposal": "mixture"}, 50),
        ({"k": (5,), "repeats": 5}, 40),
        ({"k": (1,)}, 40),
        ({"k": (10,), "marginal_labels": True}, 40),
    ],
    ids=str,
)
def test_two_monte_carlo_errors_cover_the_truth(baseline, conditional, monkeypatch, what, count):
    """In 36 of 40 measurements with other particles at least; of an honest error, in 38 on average."""
    (k,) = what["k"]
    images = load_images("mnist", "test", limit=count)
    means, errors = [], []
    for trial in range(40):
        monkeypatch.setattr(
            measurement,
            "importance_bound",
            lambda model, some, k, proposal, repeat, tell, processes, trial=trial: importance_bound(
                model, some, k, proposal, 1000 * trial + repeat, tell, processes
            ),
        )
        bound = measure(conditional if "marginal_labels" in what else baseline, images, **what).bounds[k]
        means.append(bound.mean)
        errors.append(bound.monte_carlo_error)
    assert len(set(means)) == 40
    truth = sum(means) / 40
    assert sum(abs(mean - truth) <= 2 * error for mean, error in zip(means, errors, strict=True)) >= 36
    # and the errors are not much too large; 40 draws with heavy tails give their own spread to within a third or so
    assert sum(errors) / 40 < 2 * float(torch.tensor(means).std())


def test_one_image_has_no_standard_error(conditional, digits):
    measured = measure(conditional, digits[:1], k=(1,))
    estimates = measured.elbo, measured.reconstruction, measured.kl, measured.bounds[1]
    assert [estimate.standard_error for estimate in estimates] == [None] * 4
    assert [estimate.monte_carlo_error is None for estimate in estimates] == [False, False, True, False]
    assert measured.to_json()["standard_error"] == {"L": {}}
    assert measured.to_json()["monte_carlo_error"].keys() == {"elbo", "reconstruction", "L"}


def test_an_exact_value_over_labels_converges_once_an_image(conditional, digits, monkeypatch):
    """Four images, ten labels: p(y|x) and what the quadrature says of each label are made up."""
    shares = torch.full((10, 4), 1e-9, dtype=torch.float64)
    moved = torch.full((10, 4), 5.0, dtype=torch.float64)
    unconverged = torch.zeros(10, 4, dtype=torch.bool)
    shares[:2, 0], moved[:2, 0] = torch.tensor([0.75, 0.25]), torch.tensor([0.002, 0.004])  # has converged
    shares[7:, 1], moved[7:, 1], unconverged[7:, 1] = 1 / 3, 0.3, True  # has not, by three labels
    shares[3, 2], moved[3, 2], unconverged[9, 2] = 1, 0, True  # a label that does not matter has not
    shares[4, 3], moved[4, 3], unconverged[4, 3] = 1, 0.1, True  # has not, by a label that is not the last

    def made_up(model, images, tell, processes):
        (y,) = images.labels.unique().tolist()
        return Quadrature(shares[y].log() - 100, moved[y], 80 if y == 4 else 40, unconverged[y])

    monkeypatch.setattr(measurement, "exact_log_prob", made_up)
    measured = measure(conditional, digits[:4], k=(), exact=True, marginal_labels=True)
    assert measured.exact.mean == pytest.approx(-100 - math.log(10))
    assert measured.convergence.unconverged == 2
    assert measured.convergence.side == 80
    by_hand = (0.75 * 0.002 + 0.25 * 0.004 + 0.3 + 0 + 0.1) / 4
    assert measured.convergence.refinement_error == pytest.approx(by_hand, abs=1e-7)


def test_an_accuracy_is_of_all_repeats_and_has_its_error(conditional):
    some = load_images("mnist", "test", limit=200)
    measured = measure(conditional, some, k=(2,), repeats=3, marginal_labels=True)
    given = [replace(some, labels=torch.full_like(some.labels, y)) for y in range(10)]
    runs = [torch.stack([importance_bound(conditional, images, 2, repeat=r).value for images in given]) for r in range(3)]
    right = float((sum(runs).argmax(0) == some.labels).sum())
    assert right != float((runs[-1].argmax(0) == some.labels).sum())
    assert measured.bound_accuracy == {2: Accuracy(right / 200, 200)}
    # two more images that are right, and two that are wrong
    share = (right + 2) / 204
    assert measured.bound_accuracy[2].standard_error == pytest.approx((share * (1 - share) / 204) ** 0.5)
    assert measured.to_json()["standard_error"]["accuracy"]["L"]["2"] == measured.bound_accuracy[2].standard_error
    assert 0.005 < Accuracy(1.0, 200).standard_error < 0.01  # 200 of 200 right is no certainty


def test_an_accuracy_is_of_images_whose_label_is_known(conditional):
    some = load_images("mnist", "test", limit=20)
    hidden = replace(some, labels=torch.where(torch.arange(20) < 5, UNKNOWN, some.labels))
    measured, of_rest = (measure(conditional, images, k=(2,), exact=True, marginal_labels=True) for images in (hidden, some[5:]))
    assert measured.images == 20
    assert measured.exact_accuracy == of_rest.exact_accuracy
    assert 0 < measured.exact_accuracy.share < 1
    assert measured.bound_accuracy[2].images == 15
    none = measure(conditional, replace(some, labels=torch.full_like(some.labels, UNKNOWN)), k=(2,), marginal_labels=True)
    assert none.bound_accuracy == {}
    assert "accuracy" not in none.to_json()


def test_active_units_are_those_that_images_spread_over(digits):
    model = build(Config(latent_dim=6))
    with torch.no_grad():
        model.encoder.output.weight[2:6] = 0  # four of the six means no longer depend on the image
        model.encoder.output.weight[:2] *= 10
    assert measure(model, digits, k=()).active_units == 2


def test_what_makes_no_sense_is_refused(digits):
    with pytest.raises(UsageError, match=r"^marginal_labels: the run was trained without labels, expected a conditional one "):
        measure(build(Config()), digits[:5], marginal_labels=True)
    with pytest.raises(UsageError, match=r"^proposal=prior: expected posterior or mixture"):
        measure(build(Config()), digits[:5], proposal="prior")
    with pytest.raises(UsageError, match=r"^k=0: expected a list, each a whole number from 1 to "):
        measure(build(Config()), digits[:5], k=(0,))


def test_the_command_tells_it_all(vaecli, run_copy, small_mnist):
    def compare(*arguments):
        return vaecli("compare", "small", "--table-only", "--data-dir", small_mnist, *arguments)

    outcome = compare("--exact", "--k", "1,5", "--proposal", "mixture")
    assert outcome.code == 0
    assert " ".join(outcome.out.splitlines()[0].split()) == (
        "run epochs test -ELBO reconstruction KL -L_1 -L_5 -log p(x) bits/dim active units parameters seconds"
    )
    assert re.search(r"small: Monte Carlo error in nats: ELBO [\d.]+, reconstruction [\d.]+, L_1 [\d.]+, L_5 [\d.]+\n", outcome.err)
    assert "small: log p(x) on a grid of up to 80 points per side, whose last halving moved an image by 0." in outcome.err
    assert "trained without labels" in one_line(compare("--marginal-labels"), 2)
    assert compare("--limit", "1", "--k", "1").code == 0


def test_an_exact_value_that_has_not_converged_says_so_everywhere(vaecli, run_copy, small_mnist, monkeypatch):
    def compare(*arguments):
        return vaecli(
            "compare", "small", "--table-only", "--data-dir", small_mnist, "--limit", "2", "--exact", "--k", "0", *arguments
        )

    monkeypatch.setitem(quadrature.START, 2, 150)
    monkeypatch.setitem(quadrature.MOST, 2, 1200)
    outcome = compare()
    assert "unconverged" not in outcome.out
    assert "not exact" not in outcome.err
    monkeypatch.setitem(quadrature.MOST, 2, 300)
    monkeypatch.setattr(quadrature, "TOLERANCE", 0.0)  # the finest grid still moves every image
    outcome = compare("--csv")
    assert re.search(r"\d\.\d\d \(2 unconverged\) ", outcome.out)
    assert "small: -log p(x) is not exact: 2 of 2 images had not converged on the finest grid" in outcome.err
    (row,) = csv.DictReader(Path("checkpoints/small/compare.csv").read_text().splitlines())
    convergence = json.loads(compare("--json").out)["table"][0]["convergence"]
    assert (convergence["side"], convergence["unconverged"]) == (300, 2)
    assert 0 < convergence["refinement_error"] < 1
    assert row["exact_unconverged"] == "2"
    assert float(row["exact_refinement_error"]) == convergence["refinement_error"]


def test_a_csv_has_every_error(vaecli, digits, tmp_path, small_mnist):
    assert vaecli("train", "--labels", "full", "--epochs", "1", "--data-dir", small_mnist, "--name", "labelled", "-q").code == 0
    line = ["compare", "labelled", "--table-only", "--data-dir", small_mnist, "--limit", "30", "--k", "3", "--marginal-labels"]
    outcome = vaecli(*line, "--csv")
    (row,) = csv.DictReader(Path("checkpoints/labelled/compare.csv").read_text().splitlines())
    printed = json.loads(vaecli(*line, "--json").out)["table"][0]
    assert float(row["monte_carlo_error_elbo"]) == printed["monte_carlo_error"]["elbo"] > 0
    assert float(row["monte_carlo_error_L_3"]) == printed["monte_carlo_error"]["L"]["3"] > 0
    assert float(row["accuracy_L_3"]) == printed["accuracy"]["L"]["3"]
    error = printed["standard_error"]["accuracy"]["L"]["3"]
    assert float(row["standard_error_accuracy_L_3"]) == error
    assert f" ±{100 * error:.2f} % of the images with a label by L_3" in outcome.err
