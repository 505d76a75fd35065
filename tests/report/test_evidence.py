"""What figures are judged by: neighbours, pixels, classes and a classifier."""

import copy
import math

import pytest
import torch

from tests.helpers import BASELINE
from vaecli.data import load_images
from vaecli.evaluation.importance import evaluate
from vaecli.report import evidence
from vaecli.report.classifier import CLASSIFIERS, train_classifier
from vaecli.report.definitions import SEEDS
from vaecli.report.evidence import steps
from vaecli.report.figures import FIGURES
from vaecli.runs.run import read_run
from vaecli.seeding import generator


def test_neighbours_agree_where_labels_are_apart():
    def neighbours_agree(points, labels):
        return float(evidence.agreement(points, labels).double().mean())

    labels = torch.arange(400) % 2
    apart = torch.randn(400, 2, generator=generator("cpu", "points")) + 20 * labels.unsqueeze(1)
    assert neighbours_agree(apart, labels) == 1
    mixed = torch.randn(400, 2, generator=generator("cpu", "points"))
    assert 0.35 < neighbours_agree(mixed, labels) < 0.65


def test_neighbours_agree_by_more_than_half():
    """Ten neighbours in one place, five of a label, six of it, and five beside ones and twos of fewer each: only six are most."""
    for own, agreed in ((5, False), (6, True), (10, True)):
        others = torch.arange(10 - own) % 4 + 1
        labels = torch.cat((torch.zeros(own + 1, dtype=torch.long), others))
        points = torch.arange(11.0)[:, None].expand(11, 2)
        assert bool(evidence.agreement(points, labels)[0]) is agreed


@pytest.fixture(scope="module")
def baseline():
    return read_run(BASELINE).model


def test_closeness_is_over_the_posterior_and_not_over_the_proposal(baseline):
    """Against a sum over a grid of z, and with a proposal that is twice as wide as the model's own."""
    images = load_images("mnist", "test", limit=8)
    x = baseline.observe(images.pixels, generator("cpu", "unused"))
    axis = torch.linspace(-4, 4, 200)
    grid = torch.cartesian_prod(axis, axis)
    with torch.inference_mode():
        likelihood = torch.cat([baseline.likelihood(z[:, None], None).log_prob(x) for z in grid.split(2000)]).double()
        weights = (likelihood + baseline.prior().log_prob(grid).double()[:, None]).softmax(0)
        exact = (weights * likelihood).sum(0)
        wide = copy.deepcopy(baseline)
        wide.encoder.output.bias[2:] += math.log(2)
        for model in (baseline, wide):
            close = evidence.closeness(model, images, 2000)
            assert close.shape == (8,)
            assert float((close - exact).abs().median()) < 0.1  # 0.04 and 0.01
        assert float((evaluate(wide, images).reconstruction - exact).mean()) < -3  # -5.5


def test_sharpness_is_less_where_an_edge_is_blurred():
    sharp, blurred = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 0.25, 0.75, 1.0]]).split(1)
    assert steps(sharp, 4) == steps(blurred, 4) == 1
    assert evidence.sharpness(sharp, 4) == 1
    assert float(evidence.sharpness(blurred, 4)) == pytest.approx(2 / 16 + 1 / 4)
    assert evidence.sharpness(torch.tensor([[0.0, 0.0, 0.5, 0.5]]), 2) == 0.5  # downwards too


def test_classifiers_are_several_and_differ():
    train, test = load_images("mnist", "train", limit=400), load_images("mnist", "test", limit=300)
    several = train_classifier(train, test, 1)
    found = several.classes(test.pixels / 255)
    assert found.shape == (CLASSIFIERS, 300)
    assert len({tuple(row.tolist()) for row in found}) == CLASSIFIERS
    right = several.right(test.pixels / 255, test.labels)
    assert several.accuracy == pytest.approx(float(right.mean()))
    assert several.recognised(test.pixels / 255).shape == right.shape == (CLASSIFIERS, 300)


def test_the_classifier_recognises_nearly_all_digits_and_no_noise():
    train, test = load_images("mnist", "train"), load_images("mnist", "test")
    classifier = train_classifier(train, test, networks=1)
    assert classifier.accuracy > 0.97
    assert float(classifier.right((test.pixels > 127).float(), test.labels).mean()) > 0.965
    assert float(classifier.recognised(test.pixels / 255).mean()) > 0.85
    blur = torch.rand(500, 784, generator=generator("cpu", "blur")) * 0.05 + 0.2
    assert float(classifier.recognised(blur).mean()) < 0.2


def test_the_classifier_is_the_same_each_time_and_leaves_the_global_noise_alone():
    train, test = load_images("mnist", "train", limit=400), load_images("mnist", "test", limit=100)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    with torch.inference_mode():
        first, second = (train_classifier(train, test, 1) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.probabilities(test.pixels / 255), second.probabilities(test.pixels / 255))


def test_the_classes_of_pictures_have_an_entropy():
    assert float(evidence.surprises(torch.tensor([0, 1, 2, 3]), 10).mean()) == pytest.approx(math.log(4))
    assert float(evidence.surprises(torch.zeros(7, dtype=torch.long), 10).mean()) == 0
    of_two = evidence.surprises(torch.tensor([[0, 1, 2, 3], [5, 5, 5, 5]]), 10)
    assert of_two.mean(1).tolist() == pytest.approx([math.log(4), 0])


def test_entropies_are_of_independent_pixels():
    assert evidence.entropies(torch.tensor([[0.5, 0.5], [0.0, 1.0]])).tolist() == pytest.approx([2 * math.log(2), 0], abs=1e-9)


def test_detail_is_steps_between_neighbours():
    picture = torch.tensor([[0.0, 1.0, 0.0, 1.0]])  # two columns
    assert steps(picture, 2).tolist() == [2]
    assert steps(torch.full((1, 4), 0.3), 2).tolist() == [0]


def test_models_that_are_compared_have_three_seeds_in_the_full_form_only():
    for figure in FIGURES:
        whole, quick = figure.runs(quick=False), figure.runs(quick=True)
        assert len(quick) == 1
        assert len(whole) == (len(SEEDS) if figure.compares else 1)
        assert whole[0] == quick[0]
        assert all(settings["seed"] == seed for seed, of_seed in zip(SEEDS[1:], whole[1:], strict=False) for settings in of_seed)
    assert {2, 3, 4, 7, 10, 11, 14} <= {figure.number for figure in FIGURES if figure.compares}
