"""Runs that are saved within their epochs, and go on from there with the same bits."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from tests.helpers import log_rows, one_line, stopped_when_saved_within_an_epoch
from vaecli.config import Config, merge
from vaecli.errors import CheckpointError, Diverged, UsageError
from vaecli.runs import state
from vaecli.runs import train as training
from vaecli.runs.find import CONFIG, LOSS, MODEL, TRAINING, standing
from vaecli.runs.format import pack, unpack
from vaecli.runs.header import read_record
from vaecli.runs.run import load
from vaecli.runs.state import load_training
from vaecli.training import loop
from vaecli.training.save_every import SaveEvery

SMALL = Config(hidden=(5,), batch_size=50, epochs=2, precision="fp32")
"""Of 600 images: 12 steps an epoch."""


@pytest.fixture
def copies(monkeypatch):
    """The folders that runs had right after each save within an epoch, copied."""
    save, found = training.save_within, []

    def save_and_copy(folder, *rest):
        saved = save(folder, *rest)
        found.append(shutil.copytree(folder.path, folder.path.with_name(f"saved-{len(found)}")))
        return saved

    monkeypatch.setattr(training, "save_within", save_and_copy)
    return found


@pytest.mark.parametrize(
    ("more", "places"),
    [
        ({}, [(0, 5), (0, 10), (1, 3), (1, 8)]),
        ({"measure_every": 2, "epochs": 4}, [(0, 5), (0, 10), (1, 3), (1, 8), (2, 1), (2, 6), (2, 11), (3, 4), (3, 9)]),
        ({"objective": "iwae", "k": 3, "binarize": "stochastic", "labels": "partial", "lr_schedule": "cosine", "epochs": 1,
          "batch_size": 70}, [(0, 5)]),
        ({"objective": "info", "kl_warmup": 1.5, "free_bits": 0.01}, [(0, 5), (0, 10), (1, 3), (1, 8)]),
        ({"lr_warmup": 17, "clip_norm": 50.0, "validation": 100, "epochs": 3, "patience": 1, "lr": 0.1},
          [(0, 5), (1, 5), (2, 5)]),
    ],
    ids=["each epoch", "every second", "noise of several kinds", "a weight that rises", "warming up, with the best epoch kept"],
)  # fmt: skip
def test_going_on_within_an_epoch_is_the_same_to_the_byte(fit, copies, monkeypatch, more, places):
    monkeypatch.setattr(loop, "CHECK_EVERY", 4)
    config = Config(**merge(SMALL.to_json(), more))
    whole = fit("whole", config)
    saved = fit("saved", config, save_every=5)
    assert [(state.position.epochs, state.position.steps) for state in map(load_training, copies)] == places
    for copy in [saved.path, *list(copies)]:
        again = fit(copy.name, config, resume=True, save_every=None if len(copy.name) % 2 else "0.0001min")
        assert (again.path / MODEL).read_bytes() == (whole.path / MODEL).read_bytes(), copy
        assert (again.path / CONFIG).read_bytes() == (whole.path / CONFIG).read_bytes(), copy
        assert log_rows(again.path) == log_rows(whole.path), copy


def test_the_end_of_an_epoch_that_is_not_measured_can_be_saved(fit, copies):
    config = replace(SMALL, measure_every=2, epochs=3)
    whole = fit("whole", config)
    fit("saved", config, save_every=12)
    assert [standing(load(copy).results) for copy in copies] == ["12 of 12 steps of epoch 1"]
    assert load_training(copies[0]).position.epochs == 0
    again = fit(copies[0].name, config, resume=True)
    assert (again.path / MODEL).read_bytes() == (whole.path / MODEL).read_bytes()
    assert log_rows(again.path) == log_rows(whole.path)
    fewer = fit("fewer", config, save_every=12)
    assert fewer.sha256 == whole.sha256
    shutil.copytree(copies[1], fewer.path, dirs_exist_ok=True)
    assert [row["epoch"] for row in fit("fewer", replace(config, epochs=1), resume=True).log] == [1], "all of epoch 1 is done"


def test_fewer_epochs_than_are_begun_are_refused(fit, copies):
    config = replace(SMALL, measure_every=2, epochs=2)
    fit("saved", config, save_every=14)
    with pytest.raises(UsageError, match="has done epoch 1 and 2 of 12 steps; expected more epochs than 1"):
        fit(copies[0].name, replace(config, epochs=1), resume=True)


def test_seconds_go_on(fit, copies, monkeypatch):
    now = 0.0

    def clock():
        nonlocal now
        now += 1
        return now

    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=clock, monotonic=lambda: 0.0))
    whole = fit("saved", replace(SMALL, epochs=1), save_every=5)
    assert load_training(copies[1]).position.seconds > load_training(copies[0]).position.seconds > 0
    again = fit(copies[1].name, replace(SMALL, epochs=1), resume=True)
    assert again.log[0]["seconds"] == whole.log[0]["seconds"]


def test_the_first_epoch(fit, copies, vaecli, tmp_path):
    """A run that was saved before its first epoch was finished is a run that every command opens, and that says what it is."""
    fit("saved", save_every=5)
    copy = shutil.copytree(copies[0], tmp_path / "checkpoints" / "mine")
    assert sorted(file.name for file in copy.iterdir()) == sorted([MODEL, TRAINING, CONFIG])
    assert load("mine").results == {"epoch": 0, "step": 5, "steps": 12}
    outcome = vaecli("sample", "--out", "a.png")
    assert outcome.code == 0
    said = "checkpoints/mine has not been trained to its end: its weights are those after 5 of 12 steps of epoch 1"
    assert said in outcome.err.splitlines()
    assert "found a run there" in one_line(vaecli("train", "--name", "mine", "-q"), 1)


def test_compare_has_it(fit, copies, vaecli, small_mnist, tmp_path):
    fit("saved", save_every=8)
    for copy, name in zip(copies, ("first", "second"), strict=False):
        shutil.copytree(copy, tmp_path / "checkpoints" / name)
    outcome = vaecli("compare", "first", "second", "--k", "0", "--limit", "20", "--json", "--data-dir", small_mnist)
    assert outcome.code == 0, outcome.err
    first, second = json.loads(outcome.out)["table"]
    assert [(row["epochs"], row["step"], row["steps"]) for row in (first, second)] == [(0, 8, 12), (1, 4, 12)]
    assert first["seconds"] is None and second["seconds"] is not None


def test_a_run_that_is_replaced_keeps_nothing(fit, copies, small_mnist):
    fit("saved", replace(SMALL, epochs=3))
    fit("saved", replace(SMALL, seed=1), overwrite=True, save_every=10)
    assert not (copies[0] / LOSS).exists()
    (copies[0] / LOSS).write_text("of the run that was replaced, by a kill before it went")
    assert fit(copies[0].name, replace(SMALL, seed=1), resume=True).sha256 == fit("other", replace(SMALL, seed=1)).sha256


def test_minutes(fit, copies, monkeypatch):
    """By a clock on which a step takes half a minute."""
    now = 0.0

    def clock():
        nonlocal now
        now += 30
        return now

    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: 0.0, monotonic=clock))
    monkeypatch.setattr(loop._Since, "record", lambda self, epoch: loop.EpochRecord(epoch, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0))
    fit("saved", save_every="2min")
    steps = [run.results["step"] for run in map(load, copies)]
    assert steps == [5, 10, 5, 10]  # more than 2 minutes after the last one, which began to count when it ended


@pytest.mark.parametrize("text", ["500", "10min", "0.5min"])
def test_how_often(text):
    assert str(SaveEvery.of(text)) == text


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "10m", "min", "", "0min", "nanmin", "\u0661", True, 1.5, None, "9" * 10])
def test_other_words_are_refused(text):
    with pytest.raises(UsageError, match="expected a number of steps, such as 500, or of minutes, such as 10min") as caught:
        SaveEvery.of(text)
    assert "found a" not in str(caught.value), "a number typed on the command line is a str"


def test_the_command_line(vaecli, small_mnist, monkeypatch):
    line = ["train", "--data-dir", small_mnist, "--hidden", "5", "--batch-size", "50", "--epochs", "2", "--name", "r"]
    assert "--save-every 5x: expected a number of steps" in one_line(vaecli(*line, "--save-every", "5x"), 2)
    assert "--save-every" in one_line(vaecli("train", "--dry-run", "--save-every", "5"), 2)
    with stopped_when_saved_within_an_epoch(monkeypatch):
        outcome = vaecli(*line, "--save-every", "17", "-q")
    assert outcome.code == 130
    expected = "checkpoints/r keeps epoch 1 and 5 of 12 steps; go on with: vaecli train --name r --resume"
    assert outcome.err.splitlines()[-1] == f"vaecli: interrupted: {expected} --data-dir {small_mnist} --save-every 17"
    outcome = vaecli("train", "--name", "r", "--resume")
    assert "Begin training in 2D latent space after epoch 1 and 5 of 12 steps" in outcome.err
    assert outcome.code == 0


def test_a_search_goes_on_with_it(vaecli, small_mnist, monkeypatch):
    line = [
        "--data-dir",
        small_mnist,
        "--hidden",
        "5",
        "--batch-size",
        "50",
        "--epochs",
        "2",
        "--validation",
        "100",
        "--latent-dim",
        "3",
    ]
    with stopped_when_saved_within_an_epoch(monkeypatch):
        assert vaecli("train", *line, "--save-every", "3", "-q").code == 130
    outcome = vaecli("search", *line[:-1], "2,3", "--json", "-q")
    assert outcome.code == 0, outcome.err
    assert len(json.loads(outcome.out)["runs"]) == 2
    (before,) = [run["name"] for run in json.loads(outcome.out)["runs"] if "z3" in run["name"]]
    assert "step" not in load(before).results


def test_a_run_that_diverges_keeps_the_step(vaecli, small_mnist):
    wild = ["train", "--data-dir", small_mnist, "--lr", "0.2", "--batch-size", "50", "--epochs", "5", "--name", "wild", "-q"]
    line = one_line(vaecli(*wild, "--save-every", "1"), 1)
    assert re.search(r"; checkpoints/wild keeps (\d+ of 12 steps of epoch 1|epoch \d)", line)
    assert "diverged in epoch" in one_line(vaecli(*wild, "--resume"), 1)


def test_weights_that_could_not_be_read_are_not_saved(fit, monkeypatch, tmp_path):
    """The step before the loss says so: its loss was a number, and its gradient was not."""
    save = training.save_within

    def spoil(folder, model, *rest):
        if rest[3].steps == 7:
            with torch.no_grad():
                next(model.parameters())[0] = value
        saved.append(save(folder, model, *rest))
        return saved[-1]

    monkeypatch.setattr(training, "save_within", spoil)
    value, saved = float("nan"), []
    with pytest.raises(Diverged, match=r"run keeps 6 of 12 steps of epoch 1"):
        fit(save_every=1)
    assert load_training(tmp_path / "run").position.steps == 6
    value, saved = 1e6, []
    with pytest.raises(CheckpointError, match="expected weights of at most"):  # of the epoch's end
        fit("huge", replace(SMALL, epochs=1), save_every=1)
    assert saved == [True] * 6 + [False] * 5


class TestDamage:
    @pytest.fixture
    def saved(self, fit, copies):
        fit("saved", save_every=5)
        return copies[0]

    def changed(self, folder, change):
        """Writes the state again with its position changed, and a digest that fits."""
        texts = {"log": 1000, "position": 100_000, "sums": 100_000}
        tensors, about = unpack(folder / TRAINING, state._tensors_of, lambda about: texts)
        position = json.loads(tensors["position"].numpy().tobytes())
        sums = tensors["sums"].view(torch.float32)
        position, sums = change(position, sums)
        text = position if isinstance(position, bytes) else json.dumps(position).encode()
        tensors["position"] = torch.tensor(bytearray(text), dtype=torch.uint8)
        tensors["sums"] = sums.contiguous().view(torch.uint8)
        record = {"config": about.config.to_json(), "results": about.results, "provenance": about.provenance.to_json(), "rows": 0}
        record["class_names"] = list(about.class_names)
        (folder / TRAINING).write_bytes(b"".join(pack(tensors, record)))

    @pytest.mark.parametrize(
        "change",
        [
            lambda position, sums: (position | {"steps": 6}, sums),
            lambda position, sums: (position | {"steps": -1}, sums),
            lambda position, sums: (position | {"epochs": 1}, sums),
            lambda position, sums: (position | {"processes": 0}, sums),
            lambda position, sums: (position | {"processes": 10**12}, sums),
            lambda position, sums: (position | {"summed": 6}, sums),
            lambda position, sums: (position | {"nats": [0, 0, 1e400]}, sums),
            lambda position, sums: (position | {"nats": [0, 0]}, sums),
            lambda position, sums: (position | {"seconds": "1"}, sums),
            lambda position, sums: (position | {"noise": "?"}, sums),
            lambda position, sums: (position | {"noise": ""}, sums),
            lambda position, sums: (position | {"more": 1}, sums),
            lambda position, sums: (position, sums[:-3]),
            lambda position, sums: ([position], sums),
            lambda position, sums: (b"[" * 10_000, sums),
            lambda position, sums: (b"\xff", sums),
        ],
    )
    def test_a_position_that_is_none_is_refused(self, saved, change):
        self.changed(saved, change)
        with pytest.raises(CheckpointError, match=f"{TRAINING}: its position within an epoch .*: the file is damaged"):
            load_training(saved)

    def test_what_is_not_changed_is_read(self, saved):
        self.changed(saved, lambda position, sums: (position, sums))
        assert load_training(saved).position.steps == 5

    def test_noise_that_is_no_state_of_a_generator(self, saved, fit):
        self.changed(saved, lambda position, sums: (position | {"noise": base64.b64encode(b"\xff" * 5056).decode()}, sums))
        with pytest.raises(Exception, match="the state of the noise is not one that vaecli wrote"):
            fit(saved.name, resume=True)


@pytest.mark.system
def test_killed_within_an_epoch_it_ends_as_if_it_never_was(tmp_path, small_mnist, fit):
    line = [sys.executable, "-m", "vaecli", "train", "--data-dir", str(small_mnist), "--batch-size", "1", "--hidden", "5"]
    line += ["--epochs", "3", "--precision", "fp32", "--threads", "1", "--out", str(tmp_path), "--name", "torn", "--resume", "-q"]
    seen = set()
    for _ in range(4):
        process = subprocess.Popen([*line, "--save-every", "37"])
        before = (tmp_path / "torn" / TRAINING).stat().st_mtime_ns if seen else 0
        while process.poll() is None:
            if (file := tmp_path / "torn" / TRAINING).exists() and file.stat().st_mtime_ns > before:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.wait()
        seen.add(standing(read_record(tmp_path / "torn" / TRAINING).results))  # the first file that a save writes
    assert len(seen) == 4 and any("steps" in place for place in seen)
    assert subprocess.run(line, check=False).returncode == 0
    whole = fit("whole", replace(SMALL, batch_size=1, epochs=3))
    assert (tmp_path / "torn" / MODEL).read_bytes() == (whole.path / MODEL).read_bytes()
    assert log_rows(tmp_path / "torn") == log_rows(whole.path)
