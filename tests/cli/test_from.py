"""``vaecli train --from``."""

import json

import pytest

from tests.helpers import DATA, one_line
from vaecli.runs.find import CONFIG, MODEL, read_config
from vaecli.runs.run import load


@pytest.fixture
def train(vaecli, run_copy, small_mnist):
    """Trains beside the run ``small``."""

    def run(*words):
        return vaecli("train", "--data-dir", small_mnist, *words)

    return run


def test_settings_of_the_model_are_its_and_those_of_training_are_not(train, vaecli, small_mnist):
    other = [
        "--latent-dim",
        "3",
        "--arch",
        "conv",
        "--channels",
        "4",
        "--hidden",
        "8",
        "--labels",
        "partial",
        "--label-fraction",
        "0.3",
    ]
    assert train(*other, "--binarize", "stochastic", "--lr", "0.01", "--epochs", "1", "--name", "odd", "-q").code == 0
    outcome = train("--from", "odd", "--epochs", "1", "--kl-weight", "2")
    config = load(outcome.path).config
    model = (config.latent_dim, config.arch, config.channels, config.hidden, config.labels, config.label_fraction, config.binarize)
    assert model == (3, "conv", (4,), (8,), "partial", 0.3, "stochastic")
    assert (config.lr, config.kl_weight) == (0.001, 2)
    assert outcome.path.name.endswith("-from-odd")
    config = load(train("--from", "odd", "--labels", "full", "--epochs", "1", "--name", "full", "-q").path).config
    assert (config.labels, config.label_fraction) == ("full", None)


def test_other_images_are_those_of_the_data_set_named(train, vaecli, monkeypatch):
    monkeypatch.setenv("VAECLI_DATA_DIR", str(DATA))
    outcome = vaecli("train", "--from", "small", "--dataset", "fashion-mnist", "--epochs", "1")
    assert outcome.path.name == "fashion-mnist-z2-elbo-e1-from-small"
    assert "Begin with the weights of " in outcome.err


def test_without_a_data_set_they_are_read_where_the_other_run_read_them(vaecli, run_copy, small_mnist):
    outcome = vaecli("train", "--from", "small", "--epochs", "1")
    assert outcome.code == 0
    made = load(outcome.path).provenance
    assert made.data == load("small").provenance.data


def test_it_is_in_json_and_in_the_config_which_repeats_the_run(train, vaecli):
    printed = json.loads(train("--from", "small", "--epochs", "1", "--name", "on", "--json", "-q").out)
    origin = read_config(load("on").path / CONFIG)[1].started_from.to_json()
    assert printed["started_from"] == origin
    assert (origin["sha256"], origin["epochs"]) == (load("small").sha256, 2)
    refused = vaecli("train", "--config", "checkpoints/on/config.json", "--init-bias", "data", "-q")
    assert "--init-bias data with --from small: it has no effect" in one_line(refused, 2)
    again = vaecli("train", "--config", "checkpoints/on/config.json", "-q")
    assert again.path.name.endswith("-from-small")
    assert (again.path / MODEL).read_bytes() == (load("on").path / MODEL).read_bytes()


def test_the_start_of_a_run_repeated_by_its_config_does_not_count(train, vaecli, small_mnist):
    """It was not typed, and has no effect on the weights of another."""
    assert train("--init-bias", "random", "--init", "glorot", "--epochs", "1", "--name", "old", "-q").code == 0
    outcome = vaecli("train", "--config", "checkpoints/old/config.json", "--data-dir", small_mnist, "--from", "small", "-q")
    assert outcome.code == 0, outcome.err
    plain = train("--from", "small", "--epochs", "1", "-q")
    assert load(outcome.path).sha256 == load(plain.path).sha256


def test_the_same_line_goes_on(train):
    line = ["--from", "small", "--epochs", "1", "--resume"]
    first = train(*line)
    again = train(*line)
    assert "is finished: 1 epochs are done" in again.err
    assert first.path == again.path
    assert "began with weights of its own" in one_line(train("--from", "small", "--name", "small", "--resume", "-q"), 2)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--latent-dim", "3"], "--from small: its weights need --latent-dim 2, found --latent-dim 3;"),
        (["--arch", "conv"], "--from small: its weights need --arch mlp, found --arch conv;"),
        (["--likelihood", "beta"], "need --likelihood bernoulli, found --likelihood beta;"),
        (["--labels", "full"], "need --labels none, found --labels full;"),
        (["--init", "glorot"], "--init glorot with --from small: it has no effect on weights that are there; leave --init out"),
        (["--init-bias", "random"], "--init-bias random with --from small: it has no effect"),
        (["--init-bias", "data"], "--init-bias data with --from small: it has no effect"),
        (["--dry-run", "--hidden", "3"], "need --hidden 500, found --hidden 3;"),
    ],
)
def test_what_the_weights_do_not_fit_is_refused(train, words, expected):
    assert expected in one_line(train("--from", "small", *words, "-q"), 2)


def test_images_of_another_colour_are_refused(vaecli, run_copy):
    pictures = ["--dataset", "folder", "--data-dir", DATA / "emoji" / "pictures"]
    line = one_line(vaecli("train", "--from", "small", *pictures, "--colour", "rgb", "-q"), 2)
    assert "need --colour grey, found --colour rgb" in line
    outcome = vaecli("train", "--from", "small", *pictures, "--epochs", "1", "--name", "emoji")
    assert outcome.code == 0, outcome.err
    assert load("emoji").config.image_shape == load("small").config.image_shape
    color = vaecli("train", *pictures, "--image-size", "8", "--hidden", "4", "--epochs", "1", "--name", "colour", "-q")
    assert color.code == 0
    line = one_line(vaecli("train", "--from", "colour", "--dataset", "mnist", "-q"), 2)
    assert "need --image-size 8" in line or "need --colour rgb" in line


def test_a_name_that_is_no_run_is_told_the_nearest(train):
    assert "smal: no such run; expected one of small" in one_line(train("--from", "smal", "-q"), 1)


def test_a_dry_run_shows_its_layers(vaecli, run_copy):
    assert "500" in vaecli("train", "--from", "small", "--dry-run").out
