"""The trained models that come with the repository."""

import pytest

import vaecli
from tests.helpers import ROOT


@pytest.mark.parametrize(
    ("name", "nats", "active"),
    [("baseline", 154.80, 2), ("iwae5", 83.53, 22), ("iwae50", 83.31, 22), ("resnet-mixture", 78.78, 17)],
)
def test_a_model_of_the_repository_is_as_good_as_it_was_when_it_was_measured(name, nats, active):
    """-L_50 of the first 200 test digits, which other draws of its particles move by about 0.1, and the units in use."""
    run, digits = vaecli.load(ROOT / "checkpoints" / name), vaecli.load_images("mnist", "test", limit=200)
    measured = vaecli.measure(run.model, digits, k=(50,))
    assert -measured.bounds[50].mean == pytest.approx(nats, abs=0.3)
    assert measured.active_units == active
