"""What a finished run's own numbers say against it, on its last lines and in --json."""

import json

import numpy as np
import pytest
from PIL import Image

import vaecli as library
from tests.helpers import DATA
from vaecli.evaluation.soundness import sentence

PICTURES = DATA / "emoji/pictures"


@pytest.fixture
def warned(vaecli, small_mnist):
    """The warnings of a training, which are the last lines on stderr too."""

    def run(*words):
        data = [] if "--data-dir" in words else ["--data-dir", small_mnist]
        outcome = vaecli("train", *data, "--json", "--overwrite", "--name", "run", *words)
        assert outcome.code == 0, outcome.err
        warnings = json.loads(outcome.out)["warnings"]
        lines = outcome.err.splitlines()
        done = next(number for number, line in enumerate(lines) if " is done: " in line)
        assert lines[done + 1 :] == [sentence(name, numbers) for name, numbers in warnings.items()]
        assert library.load("run").warnings == warnings
        return warnings

    return run


def test_a_collapsed_posterior(warned):
    warnings = warned("--kl-weight", "100", "--epochs", "30", "--batch-size", "20", "--latent-dim", "3", "--hidden", "50")
    assert warnings["collapsed"] == {"active_units": 0, "latent_dim": 3}
    assert "few_steps" not in warnings


def test_a_loss_that_never_moved(warned):
    warnings = warned("--lr", "1e-9", "--epochs", "3")
    assert set(warnings) == {"worse_than_no_model", "never_moved", "few_steps"}
    assert warnings["few_steps"] == {"steps": 9}


def test_an_epoch_that_was_better(warned):
    """Some digits by heart: the test set's bound rises again."""
    warnings = warned(
        "--limit", "40", "--batch-size", "10", "--epochs", "80", "--latent-dim", "20", "--hidden", "200", "--lr", "0.003"
    )
    numbers = warnings["better_before"]
    log = [row["test_elbo"] for row in library.load("run").log]
    assert numbers["epoch"] == log.index(max(log)) + 1 < numbers["kept_epoch"] == 80
    assert numbers["worse"] == pytest.approx(max(log) - log[-1])


@pytest.mark.parametrize("binarize", ["threshold", "stochastic"])
def test_colours_made_black_and_white(warned, binarize):
    few = ["--dataset", "folder", "--data-dir", PICTURES, "--image-size", "16", "--epochs", "1"]
    warnings = warned(*few, "--likelihood", "bernoulli", "--binarize", binarize)
    assert warnings["binarized_grey"]["share"] > 0.2
    assert "binarized_grey" not in warned(*few)


def test_drawings_in_black_and_white_are_not_grey(warned, tmp_path):
    (tmp_path / "drawings").mkdir()
    for number in range(30):
        pixels = np.full((32, 32), 255, dtype=np.uint8)
        pixels[number % 20 : number % 20 + 4, 4:28] = 0
        Image.fromarray(pixels).save(tmp_path / f"drawings/{number}.png")
    words = ["--dataset", "folder", "--data-dir", tmp_path / "drawings", "--image-size", "16", "--colour", "grey", "--epochs", "1"]
    assert "binarized_grey" not in warned(*words, "--likelihood", "bernoulli")


@pytest.mark.parametrize("words", [[], ["--likelihood", "beta"], ["--binarize", "stochastic"]], ids=str)
def test_digits_are_black_and_white_by_convention(warned, words):
    assert set(warned("--epochs", "1", *words)) <= {"few_steps", "worse_than_no_model"}


def test_a_run_that_learnt_has_none(warned):
    learning = [
        "--epochs",
        "60",
        "--batch-size",
        "40",
        "--lr-schedule",
        "cosine",
        "--latent-dim",
        "4",
        "--hidden",
        "100",
        "--lr",
        "0.003",
    ]
    assert warned(*learning) == {}


def test_a_run_that_is_finished_says_it_again(vaecli, small_mnist):
    words = ["train", "--data-dir", small_mnist, "--lr", "1e-9", "--epochs", "2", "--name", "x", "--resume"]
    first, again = vaecli(*words, "--json"), vaecli(*words, "--json")
    assert json.loads(first.out) == json.loads(again.out)
    assert [line for line in first.err.splitlines() if "never moved" in line] == [again.err.splitlines()[-2]]
    more = vaecli(*words[:5], "--name", "x", "--resume", "--epochs", "3", "--json")
    assert json.loads(more.out)["warnings"]["few_steps"] == {"steps": 9}
