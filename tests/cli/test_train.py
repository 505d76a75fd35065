import csv
import json
import math
import re

import pytest

from tests.helpers import one_line


@pytest.fixture
def train(vaecli, small_mnist):
    def run(*arguments):
        return vaecli("train", "--data-dir", small_mnist, "--epochs", "1", *arguments)

    return run


def test_stdout_is_the_path_and_stderr_tells_the_story(train):
    outcome = train("--latent-dim", "3")
    assert outcome.code == 0
    assert outcome.out == "checkpoints/own-small-mnist0-z3-elbo-e1\n"
    lines = outcome.err.splitlines()
    assert lines[0] == "Begin training in 3D latent space"
    assert lines[1].startswith("Epoch 1: loss ") and "test -ELBO " in lines[1]
    said = re.fullmatch(r"Training in 3D is done: test -ELBO (.*) nats \((.*) bits/dim\) on 200 images", lines[2])
    assert float(said[2]) == pytest.approx(float(said[1]) / 784 / math.log(2), abs=6e-4)


def test_a_limit_above_the_number_of_images_is_said(train):
    (line,) = (line for line in train("--limit", "1000").err.splitlines() if "limit" in line)
    assert line == "Only 600 images to train on: fewer than the limit, 1,000"
    assert "limit" not in train("--limit", "600", "--overwrite").err


@pytest.mark.parametrize(("likelihood", "has_bits"), [("discretized-logistic", True), ("beta", False)])
def test_bits_are_of_discrete_pixels(train, likelihood, has_bits):
    (line,) = (line for line in train("--likelihood", likelihood).err.splitlines() if line.startswith("Training in 2D is done: "))
    assert ("bits/dim" in line) == has_bits


def test_quiet_says_nothing_and_json_says_all(train):
    outcome = train("--quiet", "--json")
    assert outcome.err == ""
    printed = json.loads(outcome.out)
    assert printed["runs"] == [{"name": "own-small-mnist0-z2-elbo-e1", "path": "checkpoints/own-small-mnist0-z2-elbo-e1"}]
    assert printed["test_elbo"] == pytest.approx(printed["test_reconstruction"] - printed["test_kl"])


def test_equal_settings_give_equal_bytes_whatever_the_name(train):
    runs = [
        train(*words).path / "model.safetensors" for words in (["--name", "a"], ["--name", "b"], ["--name", "c", "--seed", "1"])
    ]
    first, second, other = (file.read_bytes() for file in runs)
    assert first == second
    assert first != other


def test_a_run_is_not_lost_silently(train):
    run = train("--name", "mine").path
    before = (run / "model.safetensors").read_bytes()
    assert "--overwrite" in one_line(train("--name", "mine", "--seed", "1"), 1)
    assert (run / "model.safetensors").read_bytes() == before
    assert train("--name", "mine", "--seed", "1", "--overwrite").code == 0
    assert (run / "model.safetensors").read_bytes() != before


def test_overwriting_that_fails_leaves_the_old_run_whole(train):
    run = train("--name", "mine").path
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    failed = train("--name", "mine", "--overwrite", "--lr", "1000000", "--batch-size", "50", "-q")
    assert "nothing was saved yet" in one_line(failed, 1)
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_a_config_file_repeats_the_run(train, trained):
    first = train("--objective", "iwae", "--k", "2", "--hidden", "50,20", "--name", "first").path
    again = train("--config", first / "config.json", "--name", "again").path
    assert (first / "model.safetensors").read_bytes() == (again / "model.safetensors").read_bytes()


def test_a_diverging_run_stops_and_keeps_what_was_saved(vaecli, small_mnist, tmp_path):
    outcome = vaecli("train", "--data-dir", small_mnist, "--lr", "0.2", "--batch-size", "600", "--name", "wild")
    assert outcome.code == 1
    last = outcome.err.splitlines()[-1]
    assert "became" in last
    assert "such as --lr 0.02" in last
    with (tmp_path / "checkpoints" / "wild" / "loss.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert f"keeps epoch {len(rows)}" in last
    assert vaecli("sample", "wild").code == 0


def test_the_first_images_only(train):
    assert json.loads(train("--limit", "10", "--json").out)["train_elbo"] != json.loads(train("--json").out)["train_elbo"]


def test_an_out_folder_that_cannot_be_is_one_line(train, tmp_path):
    (tmp_path / "out").write_text("a file")
    assert "cannot be made a folder" in one_line(train("--out", tmp_path / "out", "-q"), 1)
