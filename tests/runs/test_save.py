"""Runs that are written from Python."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from tests.helpers import DATA, one_line
from vaecli.config import Config
from vaecli.errors import CheckpointError, UsageError, VaecliError
from vaecli.model import build
from vaecli.runs.find import CONFIG, FILES, LOSS, MODEL, TRAINING, read_config
from vaecli.runs.folder import locked_folder
from vaecli.runs.run import Run, load, read_run
from vaecli.runs.train import train


@pytest.fixture
def run(run_copy):
    return read_run(run_copy)


@pytest.fixture
def changed(run):
    with torch.no_grad():
        run.model.decoder.output.bias.add_(0.5)
    return run


def test_a_run_that_was_not_changed_keeps_its_numbers(run, tmp_path):
    saved = run.save(tmp_path / "saved")
    assert sorted(file.name for file in saved.path.iterdir()) == sorted([MODEL, CONFIG, LOSS])
    for name in (MODEL, CONFIG, LOSS):
        assert (saved.path / name).read_bytes() == (run.path / name).read_bytes()


def test_numbers_of_the_weights_before_are_not_written(changed, tmp_path):
    before = load(changed.path)
    saved = changed.save(tmp_path / "saved")
    assert sorted(file.name for file in saved.path.iterdir()) == sorted([MODEL, CONFIG])
    assert torch.equal(saved.model.decoder.output.bias, changed.model.decoder.output.bias)
    assert saved.results == {"epoch": 2}
    assert before.warnings and saved.warnings == {}
    origin = saved.provenance.started_from
    assert (origin.file, origin.sha256, origin.epochs) == (str(before.path / MODEL), before.sha256, 2)
    assert saved.provenance.data == before.provenance.data
    assert read_config(saved.path / CONFIG) == (saved.config.to_json(), saved.provenance)


def test_a_log_of_later_epochs_is_cut(run, small_mnist, tmp_path):
    train(replace(run.config, epochs=3), run.path, data_dir=small_mnist, resume=True)
    assert [row["epoch"] for row in run.save(tmp_path / "saved").log] == [1, 2]


def test_commands_open_what_was_saved(changed, vaecli, small_mnist):
    changed.save("checkpoints/brighter")
    data = ["--data-dir", small_mnist]
    for words in (["sample"], ["reconstruct", *data], ["encode", *data], ["explore"]):
        assert vaecli(words[0], "brighter", *words[1:], "-q").code == 0
    outcome = vaecli("compare", "brighter", "small", *data, "--k", "0", "--limit", "50", "--json")
    first, second = json.loads(outcome.out)["table"]
    assert first["elbo"] < second["elbo"]
    assert (first["epochs"], first["seconds"]) == (2, None)


def test_it_cannot_be_resumed_but_begun_with(changed, vaecli, small_mnist):
    changed.save("checkpoints/brighter")
    line = one_line(vaecli("train", "--name", "brighter", "--resume", "-q"), 1)
    assert line.endswith(
        f"found no {TRAINING}, from which a run goes on; begin a new run with its weights: --from checkpoints/brighter"
    )
    outcome = vaecli("train", "--from", "brighter", "--data-dir", small_mnist, "--epochs", "1", "--name", "on")
    assert load("on").provenance.started_from.sha256 == load("brighter").sha256
    assert "Begin with the weights of" in outcome.err


def test_a_run_is_replaced_only_when_asked(changed, run, tmp_path):
    there = shutil.copytree(DATA / "format-3", tmp_path / "there")
    before = {file.name: file.read_bytes() for file in there.iterdir()}
    with pytest.raises(CheckpointError, match="there: found a run there; overwrite replaces it"):
        changed.save(there)
    assert {file.name: file.read_bytes() for file in there.iterdir()} == before
    saved = changed.save(there, overwrite=True)
    assert {file.name for file in there.iterdir()} & {*FILES} == {MODEL, CONFIG}
    assert saved.config == changed.config


def test_its_own_folder_may_be_replaced(changed):
    old = load(changed.path)
    saved = changed.save(changed.path, overwrite=True)
    assert torch.equal(load(saved.path).model.decoder.output.bias, changed.model.decoder.output.bias)
    assert saved.provenance.started_from.sha256 == old.sha256
    assert not (saved.path / TRAINING).exists()


def test_one_that_never_was_in_a_file(tmp_path):
    config = Config(hidden=(5,))
    made = Run(build(config), config, {"epoch": 7, "test_elbo": -150.0})
    saved = made.save(tmp_path / "made")
    assert (saved.results, saved.provenance) == ({"epoch": 7, "test_elbo": -150.0}, None)
    assert {file.name for file in saved.path.iterdir()} == {MODEL, CONFIG}


@pytest.mark.parametrize(
    ("value", "words"),
    [(float("nan"), "holds values that are no finite numbers"), (1e6, "holds 1e+06, expected weights of at most")],
)
def test_weights_that_could_not_be_loaded_are_not_written(run, tmp_path, value, words):
    with torch.no_grad():
        run.model.decoder.output.bias[3] = value
    with pytest.raises(UsageError) as caught:
        run.save(tmp_path / "saved")
    assert f"the run: decoder.output.bias {words}" in str(caught.value)
    assert not (tmp_path / "saved").exists()


def test_another_network_than_that_of_the_settings_is_refused(run, tmp_path):
    other = replace(run, model=build(replace(run.config, hidden=(7,))))
    with pytest.raises(UsageError, match=r"its weights are not those of its settings: .* is float32 \[.*7.*\], expected float32"):
        other.save(tmp_path / "saved")


def test_a_folder_that_another_vaecli_writes_is_refused(changed, tmp_path):
    with locked_folder(tmp_path / "busy", ()), pytest.raises(VaecliError, match="another vaecli trains this run right now"):
        changed.save(tmp_path / "busy")
