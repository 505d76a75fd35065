"""What the registry allows trains: all pairs of values by default, with ``-m slow`` all their combinations."""

import pytest

from tests.helpers import DATA, every_combination
from vaecli import registry
from vaecli.config import LABELS, Config
from vaecli.data import load_images
from vaecli.data.labels import hide_labels
from vaecli.model import build
from vaecli.training.loop import fit, make_optimizer

LIKELIHOODS = [(name, how) for name in registry.names("likelihood") for how in registry.find("likelihood", name).binarize]


@pytest.fixture(scope="module")
def few():
    return {
        "mnist": load_images("mnist", "train", limit=100),
        "fashion-mnist": load_images("fashion-mnist", "train", DATA / "fashion-mnist", 100),
    }


@pytest.mark.parametrize(
    ("dataset", "arch", "likelihood", "objective", "labels"),
    every_combination(registry.names("dataset"), registry.names("arch"), LIKELIHOODS, registry.names("objective"), LABELS),
)
def test_what_is_allowed_trains_with_a_falling_loss(few, dataset, arch, likelihood, objective, labels):
    name, binarize = likelihood
    small = {"channels": (4, 8), "hidden": (32,)} if arch == "conv" else {"hidden": (32,)}
    config = Config(dataset=dataset, arch=arch, likelihood=name, binarize=binarize, objective=objective, labels=labels,
                    epochs=2, batch_size=10, lr=3e-3, **small)  # fmt: skip
    images = few[dataset]
    if config.label_fraction is not None:
        images = hide_labels(images, config.label_fraction, config.seed)
    model = build(config)
    first, second = fit(model, make_optimizer(model, config), images, config)
    assert second.loss < first.loss
