"""Checkpoints of every format that was ever written are read for ever, and mean what they meant."""

import pytest

from tests.helpers import DATA
from vaecli.data import load_images
from vaecli.evaluation.importance import evaluate
from vaecli.runs.find import CONFIG, read_config
from vaecli.runs.header import FORMAT
from vaecli.runs.run import read_run
from vaecli.runs.state import load_training

KEPT = sorted((DATA).glob("format-*"))


def test_one_of_every_format_is_kept():
    assert [folder.name for folder in KEPT] == [f"format-{number}" for number in range(1, FORMAT + 1)]


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: folder.name)
def test_it_is_read_and_measures_as_it_did(folder):
    checkpoint = read_run(folder)
    elbo = float(evaluate(checkpoint.model, load_images("mnist", "test")).elbo.mean())
    assert elbo == pytest.approx(checkpoint.results["test_elbo"], abs=1e-3)  # another processor rounds otherwise
    assert checkpoint.config.to_json() == read_config(folder / CONFIG)[0]


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: folder.name)
def test_its_training_can_go_on(folder):
    training = load_training(folder)
    assert len(training.log) == training.results["epoch"] == training.config.epochs
    assert training.config == read_run(folder).config
