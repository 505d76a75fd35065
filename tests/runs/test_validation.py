"""`train --validation N`: the last N training images are for measuring, and for nothing else."""

import csv
from dataclasses import replace

import pytest
import torch

from tests.conftest import TRAIN
from tests.helpers import one_line, write_idx
from vaecli.analysis.comparison import loss_curve
from vaecli.data import load_images
from vaecli.evaluation.importance import evaluate
from vaecli.runs.run import load, read_run

HELD_OUT = 100
LINE = ["train", "--validation", HELD_OUT, "--epochs", "2", "--precision", "fp32"]


def weights(folder):
    return read_run(folder).model.state_dict()


def equal(some, others):
    return all(torch.equal(one, other) for one, other in zip(some.values(), others.values(), strict=True))


@pytest.fixture
def changed(tmp_path, small_mnist, digits):
    """The small set with other pixels in some training images, the same test images."""

    def make(name, which):
        folder = tmp_path / name
        pixels = digits.pixels.clone()
        pixels[which] = 255 - pixels[which]
        write_idx(folder, "train", replace(digits, pixels=pixels))
        for file in small_mnist.glob("t10k-*"):
            (folder / file.name).write_bytes(file.read_bytes())
        return folder

    return make


def test_images_held_out_do_not_touch_the_weights(vaecli, small_mnist, changed):
    plain = vaecli(*LINE, "--data-dir", small_mnist).path
    elsewhere = vaecli(*LINE, "--data-dir", changed("held-out", slice(TRAIN - HELD_OUT, TRAIN))).path
    assert equal(weights(plain), weights(elsewhere))
    assert read_run(plain).results["validation_elbo"] != read_run(elsewhere).results["validation_elbo"]
    last_seen = vaecli(*LINE, "--data-dir", changed("seen", slice(TRAIN - HELD_OUT - 1, TRAIN - HELD_OUT))).path
    assert not equal(weights(plain), weights(last_seen))


def test_what_is_measured_are_the_images_held_out(vaecli, small_mnist):
    outcome = vaecli(*LINE, "--data-dir", small_mnist)
    run = load(outcome.path)
    held_out = load_images("mnist", "train", small_mnist)[TRAIN - HELD_OUT :]
    assert float(evaluate(run.model, held_out).elbo.mean()) == pytest.approx(run.results["validation_elbo"], abs=1e-4)
    assert run.results.keys() == {"epoch", "elbo", "validation_elbo", "validation_reconstruction", "validation_kl"}
    lines = [line for line in outcome.err.splitlines() if "-ELBO " in line and "Worse than" not in line]
    assert lines[-1].endswith(" bits/dim) on 100 images")
    assert all("validation -ELBO" in line for line in lines[-3:])
    with (outcome.path / "loss.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert ",".join(rows[0]) == "epoch,loss,elbo,reconstruction,kl,validation_elbo,seconds,images_per_second"
    assert float(rows[-1]["validation_elbo"]) == run.results["validation_elbo"]
    curve = loss_curve(run, "x")
    assert (curve.split, curve.measured_losses[-1]) == ("validation", -run.results["validation_elbo"])


def test_the_limit_counts_what_is_left(vaecli, small_mnist, changed):
    line = [*LINE, "--limit", "300"]
    plain = vaecli(*line, "--data-dir", small_mnist).path
    assert "-n300-v100-" in plain.name
    assert equal(weights(plain), weights(vaecli(*line, "--data-dir", changed("beyond", slice(300, TRAIN))).path))


def test_it_goes_on_with_what_it_held_out(vaecli, small_mnist):
    whole = vaecli(*LINE, "--data-dir", small_mnist, "--name", "whole").path
    half = vaecli(*LINE[:-4], "--epochs", "1", *LINE[-2:], "--data-dir", small_mnist, "--name", "half").path
    vaecli("train", "--name", "half", "--resume", "--epochs", "2", "-q")
    assert (half / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    line = one_line(vaecli("train", "--name", "half", "--resume", "--validation", "50", "-q"), 2)
    assert "--validation 50" in line
    assert "has 100" in line


def test_a_run_without_one_says_nothing_of_it(trained):
    run = load(trained)
    assert run.config.validation is None
    assert "validation" not in (trained / "config.json").read_text()
    assert "test_elbo" in run.results


def test_something_must_be_left_to_train_on(vaecli, small_mnist):
    line = one_line(vaecli("train", "--validation", TRAIN, "--data-dir", small_mnist, "-q"), 2)
    assert line.endswith(
        "--validation 600: found 600 training images, expected some left to train on, such as with --validation 100"
    )
