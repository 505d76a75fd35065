"""What figures are judged by: neighbours, pixels, classes and a classifier."""

import math

import pytest
import torch

from vaecli.data import load_images
from vaecli.report import evidence
from vaecli.report.classifier import train_classifier
from vaecli.report.definitions import SEEDS
from vaecli.report.figures import FIGURES
from vaecli.report.figures.fashion import steps
from vaecli.seeding import generator


def test_neighbours_agree_where_labels_are_apart():
    def neighbours_agree(points, labels):
        return float(evidence.agreement(points, labels).double().mean())

    labels = torch.arange(400) % 2
    apart = torch.randn(400, 2, generator=generator("cpu", "points")) + 20 * labels.unsqueeze(1)
    assert neighbours_agree(apart, labels) == 1
    mixed = torch.randn(400, 2, generator=generator("cpu", "points"))
    assert 0.35 < neighbours_agree(mixed, labels) < 0.65


def test_the_classifier_recognises_nearly_all_digits_and_no_noise():
    train, test = load_images("mnist", "train"), load_images("mnist", "test")
    classifier = train_classifier(train, test)
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
