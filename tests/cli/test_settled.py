"""Settings that follow the number of a person's pictures: what is said, written, repeated and gone on with."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import one_line
from vaecli.config import Config
from vaecli.processes import Processes
from vaecli.runs import train as training
from vaecli.runs.find import read_log
from vaecli.runs.start import Listener
from vaecli.runs.train import train as train_run
from vaecli.training import settle

SMALL = ["--arch", "mlp", "--hidden", "8", "--image-size", "8", "--colour", "grey"]


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """A hundredth of the steps."""
    monkeypatch.setattr(settle, "STEPS", 30)
    monkeypatch.setattr(settle, "MEASURED_STEPS", 6)
    monkeypatch.setattr(settle, "MEASUREMENTS", 3)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """30 pictures, 24 of them to train on."""
    folder = tmp_path_factory.mktemp("pictures")
    noise = np.random.default_rng(1)
    for split, count in (("train", 24), ("test", 6)):
        (folder / split).mkdir()
        for number in range(count):
            Image.fromarray(noise.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / split / f"{number}.png")
    return folder


@pytest.fixture
def train(vaecli, pictures):
    def run(*words):
        return vaecli("train", "--dataset", "folder", "--data-dir", pictures, *SMALL, *words)

    return run


def epochs_of(run):
    return [int(row["epoch"]) for row in read_log(run)]


def test_it_is_settled_once_said_in_a_line_and_written(train):
    outcome = train()
    assert outcome.code == 0
    said = "24 training images: batches of 12, 15 epochs of 2 steps, measured and saved every 3"
    assert outcome.err.splitlines().count(said) == 1
    written = json.loads((outcome.path / "config.json").read_text())
    settings = ("epochs", "batch_size", "measure_every", "lr_schedule", "init_bias")
    assert [written[name] for name in settings] == [15, 12, 3, "cosine", "data"]
    assert epochs_of(outcome.path) == [3, 6, 9, 12, 15]
    assert "Epoch 3: loss " in outcome.err and "Epoch 2:" not in outcome.err
    assert "e15" not in outcome.path.name


def test_what_is_given_is_not_settled(train):
    outcome = train("--epochs", "2", "--batch-size", "24")
    assert "training images: batches" not in outcome.err
    assert epochs_of(outcome.path) == [1, 2]
    auto = train("--epochs", "auto", "--batch-size", "24", "--lr-schedule", "constant", "--name", "x")
    assert "batches of 24, 30 epochs of 1 step, measured and saved every 6" in auto.err
    assert json.loads((auto.path / "config.json").read_text())["lr_schedule"] == "constant"


def test_a_config_file_repeats_it(train, vaecli, pictures):
    first = train("-q").path
    again = vaecli("train", "--config", first / "config.json", "--name", "again", "-q", "--data-dir", pictures).path
    assert (first / "model.safetensors").read_bytes() == (again / "model.safetensors").read_bytes()
    assert [row["loss"] for row in read_log(first)] == [row["loss"] for row in read_log(again)]


@pytest.mark.parametrize("auto", [[], ["--epochs", "auto", "--batch-size", "auto"]], ids=["not given", "given"])
def test_going_on_is_the_same_to_the_byte(train, monkeypatch, auto):
    whole = train("--name", "whole", "-q").path
    save, saved = training.save_epoch, []

    def stop_after_two(*arguments):
        save(*arguments)
        saved.append(arguments)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_epoch", stop_after_two)
    stopped = train("--name", "part", "-q")
    assert stopped.code == 130
    assert "keeps epoch 6; go on with: " in stopped.err
    monkeypatch.setattr(training, "save_epoch", save)
    monkeypatch.setattr(settle, "STEPS", 1000)  # what was settled stays
    part = train("--name", "part", "--resume", *auto, "-q").path
    assert (whole / "model.safetensors").read_bytes() == (part / "model.safetensors").read_bytes()
    assert [row["loss"] for row in read_log(whole)] == [row["loss"] for row in read_log(part)]
    assert epochs_of(part) == [3, 6, 9, 12, 15]
    done = train("--name", "part", "--resume", *auto)
    assert "is finished: 15 epochs are done" in done.err
    assert "batch_size" in one_line(train("--name", "part", "--resume", "--batch-size", "3", "-q"), 2).replace("-", "_")


def test_python_settles_likewise(pictures, tmp_path, train):
    config = Config(dataset="folder", hidden=(8,), image_size=8, colour="grey")
    run = train_run(config, tmp_path / "run", data_dir=pictures)
    assert (run.config.epochs, run.config.batch_size, run.results["epoch"]) == (15, 12, 15)
    assert train_run(config, tmp_path / "run", data_dir=pictures, resume=True).results == run.results
    by_command = train("--name", "run", "-q").path
    assert (by_command / "model.safetensors").read_bytes() == (run.path / "model.safetensors").read_bytes()


def test_limit_and_validation_count(train):
    outcome = train("--validation", "4", "--limit", "10")
    assert "10 training images: batches of 10, 30 epochs of 1 step" in outcome.err


@pytest.mark.parametrize("word", ["0", "car", "1.5", "-1"])
def test_other_words_are_refused(train, word):
    line = one_line(train("--epochs", word, "-q"), 2)
    assert "--epochs" in line and "whole number" in line and "auto" in line


def test_search_settles_each_trial(vaecli, pictures):
    words = ["search", "--dataset", "folder", "--data-dir", pictures, *SMALL, "--validation", "4", "--latent-dim", "2,3"]
    outcome = vaecli(*words, "--json", "-q")
    assert outcome.code == 0, outcome.err
    runs = json.loads(outcome.out)["runs"]
    assert len(runs) == 2
    for run in runs:
        written = settings_of(run)
        assert (written["epochs"], written["batch_size"]) == (30, 20)
        assert "e30" not in run["name"]
    again = vaecli(*words, "--json", "-q")
    assert json.loads(again.out)["best"] == json.loads(outcome.out)["best"]
    chosen = vaecli(*words[:-2], "--epochs", "2,auto", "--json", "-q")
    assert chosen.code == 0, chosen.err
    trained = [settings_of(run)["epochs"] for run in json.loads(chosen.out)["runs"]]
    assert sorted(trained) == [2, 30]
    assert vaecli(*words, "--dry-run", "-q").code == 0


def settings_of(run):
    return json.loads((Path(run["path"]) / "config.json").read_text())


def test_help_has_both_defaults(vaecli):
    text = " ".join(vaecli("train", "--help-all").out.split())
    assert "[default: 5; auto with folder or array]" in text
    assert "[default: constant; cosine with folder or array]" in text


def test_images_that_take_most_of_the_memory_are_shuffled_in_blocks(train, monkeypatch):
    assert json.loads((train("--name", "all").path / "config.json").read_text())["shuffle"] == "all"
    with monkeypatch.context() as small:
        for module in (settle, training):
            small.setattr(module, "machine_memory", lambda: 24 * 64)
        outcome = train("--name", "blocks")
    said = "The training images take 0.0 GB of 0.0 GB of memory: they are shuffled in blocks"
    assert outcome.err.splitlines().count(said) == 1
    assert json.loads((outcome.path / "config.json").read_text())["shuffle"] == "blocks"
    # another machine has the memory, and the run its order
    again = train("--name", "blocks", "--resume", "--epochs", "18")
    assert again.code == 0 and "shuffled" not in again.err
    assert json.loads((outcome.path / "config.json").read_text())["shuffle"] == "blocks"


def test_the_first_process_settles_the_order_for_all():
    class Second(Processes):
        def all_gather(self, value):
            return ["blocks", value]

    settled = training._settled(Config(dataset="folder"), 30, Listener(), Second(1, 2))
    assert settled.shuffle == "blocks"


def test_images_that_do_not_fit_on_the_device_stay_where_they_are(train, monkeypatch):
    plain = train("--name", "plain")
    monkeypatch.setattr(training, "fits", lambda images, device: False)
    outcome = train("--name", "host")
    assert "they stay in the machine's memory, and are copied to it in parts" in outcome.err
    assert [row["loss"] for row in read_log(outcome.path)] == [row["loss"] for row in read_log(plain.path)]
