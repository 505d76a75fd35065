"""The trained baseline that comes with the repository."""

import json

import pytest

from tests.helpers import BASELINE
from vaecli.config import Config
from vaecli.data import load_images
from vaecli.evaluation.importance import evaluate
from vaecli.runs.find import read_log
from vaecli.runs.run import read_run


def test_it_is_what_its_metadata_states():
    checkpoint = read_run(BASELINE)
    assert checkpoint.config == Config(init_bias="random") == Config.from_json(json.loads((BASELINE / "config.json").read_text()))
    value = evaluate(checkpoint.model, load_images("mnist", "test"))
    # the same noise; only the order of sums differs between machines
    assert value.elbo.mean() == pytest.approx(checkpoint.results["test_elbo"], abs=0.01)
    assert value.kl.mean() == pytest.approx(checkpoint.results["test_kl"], abs=0.01)
    assert read_log(BASELINE)[-1]["test_elbo"] == checkpoint.results["test_elbo"]
    assert value.elbo.mean() > -163
