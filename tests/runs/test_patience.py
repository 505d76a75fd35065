"""Runs that stop once the images held out are no better measured, and keep the weights of the best epoch."""

import json
import shutil
from dataclasses import replace

import pytest

from tests.helpers import log_rows, one_line
from vaecli.config import Config
from vaecli.data import load_images
from vaecli.errors import CheckpointError, UsageError
from vaecli.evaluation.importance import evaluate
from vaecli.runs import train as training
from vaecli.runs.find import CONFIG, FILES, LOSS, MODEL, TRAINING, is_over, is_stopped
from vaecli.runs.reuse import is_finished
from vaecli.runs.run import load
from vaecli.runs.state import load_training

SMALL = Config(
    hidden=(30,), batch_size=5, epochs=12, validation=100, patience=2, lr=0.05, limit=60, init_bias="random", precision="fp32"
)  # fmt: skip
"""So few images and so large a learning rate that it soon gets worse on others: epoch 6 of 8 is the best."""


@pytest.mark.parametrize(
    ("bounds", "patience", "stopped"),
    [
        ([-3, -2, -1], 1, False),
        ([-3, -2, -2], 1, True),
        ([-3, -1, -2], 2, False),
        ([-3, -1, -2, -1], 2, True),
        ([-1, -2, -3, -4], 3, True),
        ([-1, -2, -3, -4], 4, False),
        ([-1, -2, -3, -4], None, False),
        ([], 1, False),
    ],
)
def test_when_a_curve_is_no_better_any_more(bounds, patience, stopped):
    log = [{"epoch": str(5 * number), "validation_elbo": str(bound)} for number, bound in enumerate(bounds, 1)]
    assert is_stopped(log, replace(SMALL, patience=patience)) == stopped
    assert is_over(log, replace(SMALL, patience=patience, epochs=99)) == stopped
    assert is_over(log, replace(SMALL, patience=patience, epochs=5 * len(bounds) or 1)) == bool(bounds)


@pytest.fixture
def after_each(monkeypatch):
    """The folders that the run "whole" had after each epoch, copied."""
    save, found = training.save_epoch, []

    def save_and_copy(folder, *rest):
        save(folder, *rest)
        if folder.path.name == "whole":
            found.append(shutil.copytree(folder.path, folder.path.with_name(f"epoch-{len(found) + 1}")))

    monkeypatch.setattr(training, "save_epoch", save_and_copy)
    return found


def test_the_best_epoch_is_kept_as_it_was_measured(fit, small_mnist):
    run = fit()
    bounds = [row["validation_elbo"] for row in run.log]
    best = 1 + bounds.index(max(bounds))
    assert 1 < best == len(bounds) - 2 < 10, "made so that it stops by its patience"
    assert run.results["epoch"] == best and run.results["last_epoch"] == len(bounds)
    assert run.results["validation_elbo"] == max(bounds)
    held_out = load_images("mnist", "train", small_mnist)[-100:]
    assert float(evaluate(run.model, held_out).elbo.mean()) == pytest.approx(max(bounds), abs=1e-4)
    assert run.sha256 == fit("short", replace(SMALL, patience=None, epochs=best)).sha256
    assert f"Stopped after epoch {best + 2}; the best, {best}, is kept" in run.notes
    assert f"validation -ELBO {-max(bounds):.2f} nats" in next(note for note in run.notes if "is done" in note)
    assert not {"better_before", "still_falling", "few_steps"} & run.warnings.keys()
    assert run.warnings["worse_than_no_model"]["loss"] == -max(bounds)
    assert is_finished(run.path, SMALL) and not is_finished(run.path, replace(SMALL, patience=3))
    state = load_training(run.path)
    assert state.results["epoch"] == best + 2 and "last_epoch" not in state.results
    assert [row["epoch"] for row in run.save(run.path.with_name("copy")).log] == [*range(1, best + 3)]


def test_a_run_that_was_killed_ends_with_the_same_bytes(fit, after_each):
    """After each epoch, and between the files of one."""
    whole = fit("whole")
    before = None
    for copy in after_each:
        killed, torn = (shutil.copytree(copy, copy.with_name(f"{copy.name}-{how}")) for how in ("killed", "torn"))
        for name in (MODEL, CONFIG, LOSS):
            shutil.copy(before / name, torn / name) if before else (torn / name).unlink()
        for folder in (killed, torn):
            again = fit(folder.name, resume=True)
            assert log_rows(again.path) == log_rows(whole.path)
            assert (again.path / MODEL).read_bytes() == (whole.path / MODEL).read_bytes(), folder
            theirs, ours = load_training(whole.path), load_training(again.path)
            assert theirs.results == ours.results and theirs.best.results == ours.best.results
            assert all((theirs.moments[name] == ours.moments[name]).all() for name in theirs.moments)
        before = copy


def test_a_larger_patience_goes_on_as_if_it_had_been_so(fit):
    stopped = fit("run")
    epochs, bytes_before = len(stopped.log), {name: (stopped.path / name).read_bytes() for name in FILES}
    again = fit("run", replace(SMALL, epochs=14), resume=True)
    assert {name: (again.path / name).read_bytes() for name in FILES} == bytes_before, "more epochs do not end its patience later"
    assert "is finished" in again.notes[0] and "Stopped after" in again.notes[1]
    longer = replace(SMALL, patience=5)
    more = fit("run", longer, resume=True)
    assert len(more.log) > epochs
    assert (more.path / MODEL).read_bytes() == (fit("at once", longer).path / MODEL).read_bytes()
    with pytest.raises(UsageError, match="has 5; leave patience out to go on"):
        fit("run", replace(SMALL, patience=4), resume=True)
    fit("without", replace(SMALL, patience=None, epochs=1))
    with pytest.raises(UsageError, match="leave patience out"):
        fit("without", replace(SMALL, epochs=2), resume=True)


def test_the_last_epoch_may_be_the_best_or_training_end_before_its_patience(fit):
    run = fit("best", replace(SMALL, epochs=3))
    assert run.results["epoch"] == 3 and "last_epoch" not in run.results
    assert not any("kept" in note for note in run.notes)
    run = fit("run", replace(SMALL, patience=100))
    best = run.results["epoch"]
    assert f"Trained to epoch 12; the best, {best}, is kept" in run.notes and best < 10
    assert (fit("part", replace(SMALL, patience=100, epochs=10)).path / CONFIG).exists()
    assert (fit("part", replace(SMALL, patience=100), resume=True).path / MODEL).read_bytes() == (run.path / MODEL).read_bytes()


def test_the_choice_by_a_part_and_the_result_of_all(fit, small_mnist):
    run = fit("run", replace(SMALL, test_limit=30))
    bounds = [row["validation_elbo"] for row in run.log]
    assert run.results["epoch"] == 1 + bounds.index(max(bounds)) < run.results["last_epoch"]
    assert "validation_images" not in run.results
    of_all = evaluate(run.model, load_images("mnist", "train", small_mnist)[-100:])
    assert run.results["validation_elbo"] == pytest.approx(float(of_all.elbo.mean()), abs=1e-4) != max(bounds)
    more = fit("run", replace(SMALL, test_limit=30, patience=6), resume=True)
    assert more.sha256 == fit("whole", replace(SMALL, test_limit=30, patience=6)).sha256


@pytest.mark.parametrize("kind", ["missing", "of another epoch", "of other settings"])
def test_weights_of_the_best_epoch_that_are_gone_are_said(fit, after_each, kind):
    run = fit("whole")
    if kind == "missing":
        (run.path / MODEL).unlink()
    else:
        other = after_each[0] if kind == "of another epoch" else fit("other", replace(SMALL, patience=None, lr=0.01)).path
        shutil.copy(other / MODEL, run.path / MODEL)
    with pytest.raises(CheckpointError, match=r"cannot be read|found other weights than those of the best epoch, \d"):
        fit("whole", resume=True)
    assert (run.path / TRAINING).exists()


def test_the_command_line_and_a_search(vaecli, small_mnist):
    line = ["--data-dir", small_mnist, "--hidden", "30", "--batch-size", "5", "--epochs", "12", "--limit", "60"]
    line += ["--lr", "0.05", "--patience", "2"]
    refused = one_line(vaecli("train", *line, "-q"), 2)
    assert refused.endswith("expected --validation N too, such as --validation 1000")
    words = ["search", *line, "--validation", "100", "--latent-dim", "2,3", "--json", "-q"]
    outcome = vaecli(*words)
    assert outcome.code == 0, outcome.err
    best = json.loads(outcome.out)["best"]
    found = load(best["path"])
    assert best["value"] == found.results["validation_elbo"] == max(row["validation_elbo"] for row in found.log)
    before = {path: path.stat().st_mtime_ns for path in found.path.parent.glob(f"*/{MODEL}")}
    outcome = vaecli("train", *line, "--validation", "100", "--latent-dim", "2", "--resume", "--json", "-q")
    assert outcome.code == 0, outcome.err
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert json.loads(outcome.out)["last_epoch"] > json.loads(outcome.out)["epoch"]
