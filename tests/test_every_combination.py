"""Every dataset x architecture x likelihood x objective x labels that the registry allows trains; what it does not is refused."""

from itertools import product

import pytest

from tests.helpers import DATA, one_line
from vaecli import registry
from vaecli.config import BINARIZE, LABELS, Config
from vaecli.data import load_images
from vaecli.data.labels import hide_labels
from vaecli.model import build
from vaecli.training.loop import fit, make_optimizer

FASHION = DATA / "fashion-mnist"
PAIRS = list(product(registry.names("likelihood"), BINARIZE))
ALLOWED = [(likelihood, how) for likelihood, how in PAIRS if how in registry.find("likelihood", likelihood).binarize]


@pytest.fixture(scope="module")
def few():
    return {"mnist": load_images("mnist", "train", limit=100), "fashion-mnist": load_images("fashion-mnist", "train", FASHION, 100)}


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("objective", registry.names("objective"))
@pytest.mark.parametrize(("likelihood", "binarize"), ALLOWED)
@pytest.mark.parametrize("arch", registry.names("arch"))
@pytest.mark.parametrize("dataset", registry.names("dataset"))
def test_what_is_allowed_trains_with_a_falling_loss(few, dataset, arch, likelihood, binarize, objective, labels):
    small = {"channels": (4, 8), "hidden": (32,)} if arch == "conv" else {"hidden": (32,)}
    config = Config(dataset=dataset, arch=arch, likelihood=likelihood, binarize=binarize, objective=objective, labels=labels,
                    epochs=2, batch_size=10, lr=3e-3, **small)  # fmt: skip
    images = few[dataset]
    if config.label_fraction is not None:
        images = hide_labels(images, config.label_fraction, config.seed)
    model = build(config)
    first, second = fit(model, make_optimizer(model, config), images, config)
    assert second.loss < first.loss


@pytest.mark.parametrize(("likelihood", "binarize"), [pair for pair in PAIRS if pair not in ALLOWED])
def test_what_is_not_allowed_is_refused_with_the_reason(vaecli, likelihood, binarize):
    line = one_line(vaecli("train", "--likelihood", likelihood, "--binarize", binarize), 2)
    assert f"which {likelihood} is no distribution over; expected --binarize " in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--objective", "jsd", "--kl-weight", "2"], "expected it only with --objective elbo"),
        (["--objective", "iwae", "--alpha", "0.3"], "expected it only with --objective gjs"),
        (["--channels", "8"], "expected it only with --arch conv"),
        (["--arch", "conv", "--channels", "8,8,8"], "expected one or two"),
        (["--label-fraction", "0.3"], "expected it only with --labels partial"),
        (["--labels", "partial", "--label-fraction", "1.5"], "expected a number from 0 to 1"),
    ],
)
def test_options_of_another_member_are_refused(vaecli, arguments, words):
    assert words in one_line(vaecli("train", *arguments), 2)
