"""What the registry allows trains: all pairs of values by default, with ``-m slow`` all their combinations."""

from dataclasses import replace

import pytest
import torch

from tests.helpers import DATA, every_combination
from tests.parts.pairs import options
from vaecli import registry
from vaecli.config import LABELS, Config
from vaecli.data import load_images
from vaecli.image_shape import ImageShape
from vaecli.model import build
from vaecli.runs.train import hide_labels
from vaecli.training.loop import fit, make_optimizer

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
    ("dataset", "arch", "likelihood", "objective", "labels"),
    every_combination(*map(registry.names, ("dataset", "arch")), LIKELIHOODS, registry.names("objective"), LABELS),
)
def test_what_is_allowed_trains_with_a_falling_loss(few, dataset, arch, likelihood, objective, labels):
    falls(few[dataset], dataset=dataset, arch=arch, likelihood=likelihood, objective=objective, labels=labels)


def together(prior, posterior, objective, *others):
    parts = {"prior": prior, "posterior": posterior}
    needs = [*registry.find("objective", objective).needs.items(), *registry.find("prior", prior).needs.items()]
    return all(needed in registry.find(family, parts[family]).capabilities for family, needed in needs)


@pytest.mark.parametrize(
    ("prior", "posterior", "objective", "arch", "likelihood", "labels"),
    every_combination(*map(registry.names, ("prior", "posterior", "objective", "arch")), LIKELIHOODS, LABELS, allowed=together),
)
def test_every_prior_and_posterior_trains_with_every_other_member(few, prior, posterior, objective, arch, likelihood, labels):
    parts = {"prior": prior, "posterior": posterior, **options("prior", prior), **options("posterior", posterior)}
    falls(few["mnist"], arch=arch, likelihood=likelihood, objective=objective, labels=labels, **parts)


def falls(images, *, arch, likelihood, **settings):
    name, binarize = likelihood
    small = {"hidden": (32,)} | ({"channels": (4, 8)} if registry.CHANNELS in registry.find("arch", arch).options else {})
    config = Config(
        arch=arch, likelihood=name, binarize=binarize, epochs=2, batch_size=10, lr=3e-3, lr_warmup=0, init_bias="random", k=2,
        **small, **settings,
    )  # fmt: skip
    if not config.has_shape:
        config = replace(config, image_size=images.shape.height, colour="grey")
    if config.label_fraction is not None:
        images = hide_labels(images, config.label_fraction, config.seed)
    model = build(config, images)
    first, second = fit(model, make_optimizer(model, config), images, config)
    assert second.loss < first.loss
