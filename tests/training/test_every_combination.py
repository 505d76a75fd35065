"""What the registry allows trains: all pairs of values by default, with ``-m slow`` all their combinations."""

from dataclasses import replace

import pytest
import torch

from tests.helpers import DATA, every_combination
from vaecli import registry
from vaecli.config import LABELS, Config
from vaecli.data import load_images
from vaecli.image_shape import ImageShape
from vaecli.model import build
from vaecli.runs.train import hide_labels
from vaecli.training.loop import fit, make_optimizer

PARTS = ("prior", "posterior")
LIKELIHOODS = [(name, how) for name in registry.names("likelihood") for how in registry.find("likelihood", name).binarize]


@pytest.fixture(scope="module")
def few():
    digits = load_images("mnist", "train", limit=100)
    real = {"mnist": digits, "fashion-mnist": load_images("fashion-mnist", "train", DATA / "fashion-mnist", 100)}
    return {name: real.get(name) or in_the_shape_of(name, digits) for name in registry.names("dataset")}


def in_the_shape_of(dataset, digits):
    """Digits in the middle of images of another data set's shape, in the colours of the rainbow; arrays have that of the digits."""
    config = Config(dataset=dataset)
    shape = config.image_shape if config.has_shape else digits.shape
    grey = digits.padded(ImageShape(1, shape.height, shape.width)).pixels
    strength = torch.linspace(1, 0.3, shape.channels).view(1, -1, 1)
    return replace(digits, pixels=(grey.unsqueeze(1) * strength).flatten(1).to(torch.uint8), shape=shape)


@pytest.mark.parametrize(
    ("dataset", "arch", "likelihood", "objective", "labels", "prior", "posterior"),
    every_combination(
        *map(registry.names, ("dataset", "arch")), LIKELIHOODS, registry.names("objective"), LABELS, *map(registry.names, PARTS)
    ),
)
def test_what_is_allowed_trains_with_a_falling_loss(few, dataset, arch, likelihood, objective, labels, prior, posterior):
    parts, (name, binarize) = dict(zip(PARTS, (prior, posterior), strict=True)), likelihood
    needs = registry.find("objective", objective).needs
    if not all(needs[family] in registry.find(family, parts[family]).capabilities for family in needs):
        pytest.skip("Config refuses it")
    small = {"channels": (4, 8), "hidden": (32,)} if arch == "conv" else {"hidden": (32,)}
    config = Config(dataset=dataset, arch=arch, likelihood=name, binarize=binarize, objective=objective, labels=labels, **parts,
                    epochs=2, batch_size=10, lr=3e-3, init_bias="random", k=2, **small)  # fmt: skip
    images = few[dataset]
    if not config.has_shape:
        config = replace(config, image_size=images.shape.height, colour="grey")
    if config.label_fraction is not None:
        images = hide_labels(images, config.label_fraction, config.seed)
    model = build(config, images)
    first, second = fit(model, make_optimizer(model, config), images, config)
    assert second.loss < first.loss
