from dataclasses import replace

import pytest
import torch

from vaecli.config import Config
from vaecli.model import build
from vaecli.training import staging
from vaecli.training.loop import fit, make_optimizer
from vaecli.training.staging import Staging, fits

CONFIG = Config(objective="iwae", k=3, hidden=(20,), batch_size=50, epochs=2, labels="full", binarize="stochastic")


class Elsewhere(Staging):
    """Takes the images to be on another device than the model's, which is the CPU here as well."""

    def __init__(self, images, device, batch_size):
        super().__init__(images, torch.device("meta"), batch_size)
        own = images[: len(self.images)]
        self.images = replace(own, pixels=own.pixels.clone(), labels=own.labels.clone())


def trained(digits):
    model = build(CONFIG)
    records = list(fit(model, make_optimizer(model, CONFIG), digits, CONFIG))
    return [record.loss for record in records], list(model.parameters())


@pytest.mark.parametrize("images", [20, 50, 100, 149, 220])
def test_images_that_are_copied_in_parts_train_as_all_at_once(images, digits, monkeypatch):
    losses, weights = trained(digits[:images])
    monkeypatch.setattr("vaecli.training.loop.Staging", Elsewhere)
    monkeypatch.setattr(staging, "PART", 100 * 784)
    again, staged = trained(digits[:images])
    assert again == losses
    assert all(map(torch.equal, weights, staged))


@pytest.mark.parametrize(("part", "most"), [(100 * 784, 100), (149 * 784, 100), (1, 50), (1 << 28, 1 << 28)])
def test_a_part_has_whole_batches_and_one_at_least(part, most, digits, monkeypatch):
    monkeypatch.setattr(staging, "PART", part)
    assert len(Elsewhere(digits, torch.device("cpu"), 50).images) == min(most, len(digits))


def test_a_batch_has_the_images_of_its_numbers(digits, monkeypatch):
    monkeypatch.setattr(staging, "PART", 100 * 784)
    staged = Elsewhere(digits, torch.device("cpu"), 50)
    order = torch.randperm(len(digits))
    for batch, index in zip(order.split(50), staged.batches(order), strict=True):
        assert staged.images[index].pixels.equal(digits[batch].pixels)
        assert staged.images[index].labels.equal(digits[batch].labels)


def test_no_images_are_no_batch(digits):
    for staged in (Staging(digits, torch.device("cpu"), 50), Elsewhere(digits, torch.device("cpu"), 50)):
        assert list(staged.batches(torch.arange(0))) == []


@pytest.mark.parametrize(("free", "whole"), [(2, True), (1.99, False)])
def test_images_stay_where_they_are_if_they_take_more_than_half_of_a_gpu(free, whole, digits, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free * digits.pixels.nbytes, 0))
    assert fits(digits, torch.device("cuda")) == whole
    assert fits(digits, torch.device("cpu"))
