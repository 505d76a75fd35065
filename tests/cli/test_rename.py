"""`vaecli rename`: the folder, and what other runs say of it; they go on, and end as they would have."""

import json
import os
import shutil

import pytest

from tests.helpers import one_line, stopped_when_saved_within_an_epoch
from vaecli.runs.find import CONFIG, FILES, MODEL, TRAINING
from vaecli.runs.folder import RunFolder
from vaecli.runs.rename import begun_with
from vaecli.runs.run import load

FEW = ["--epochs", "1", "--limit", "60", "-q"]


@pytest.fixture
def begun(vaecli, run_copy, small_mnist):
    """A run that began with the weights of `small`, beside it."""
    assert vaecli("train", "--from", "small", "--name", "begun", *FEW, "--data-dir", small_mnist).code == 0
    return run_copy.parent / "begun"


def bytes_of(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


def test_the_run_is_what_it_was_and_goes_on(vaecli, run_copy, small_mnist):
    before = bytes_of(run_copy)
    outcome = vaecli("rename", "small", "first")
    assert (outcome.code, outcome.out) == (0, "checkpoints/first\n")
    assert not run_copy.exists()
    assert bytes_of(run_copy.parent / "first") == before
    assert vaecli("train", "--name", "first", "--resume", "--epochs", "3", "-q").code == 0
    shutil.rmtree(run_copy.parent / "first")
    run_copy.mkdir()
    for name, data in before.items():
        (run_copy / name).write_bytes(data)
    goes_on = vaecli("train", "--name", "small", "--resume", "--epochs", "3", "-q")
    assert goes_on.code == 0


def test_runs_that_began_with_it_say_so_of_the_new_name(vaecli, run_copy, begun, small_mnist):
    """Their files are those of a run that began with one of the new name, to the byte, with the times that they had."""
    times = {name: (begun / name).stat().st_mtime_ns for name in FILES}
    outcome = vaecli("rename", "small", "first")
    assert (outcome.code, outcome.out) == (0, "checkpoints/first\n")
    assert outcome.err == "checkpoints/begun began with it, and says so of checkpoints/first now\n"
    file = str((run_copy.parent / "first" / MODEL).resolve())
    assert load("begun").provenance.started_from.file == file
    assert begun_with(run_copy.parent / "first") == [begun.relative_to(run_copy.parent.parent)]
    assert {name: (begun / name).stat().st_mtime_ns for name in FILES} == times
    assert vaecli("train", "--from", "first", "--name", "again", *FEW, "--data-dir", small_mnist).code == 0
    for name in (MODEL, CONFIG):
        assert (begun / name).read_bytes() == (begun.parent / "again" / name).read_bytes()
    assert vaecli("train", "--name", "begun", "--resume", "--epochs", "2", "-q").code == 0
    assert load("begun").results["epoch"] == 2


def test_a_run_that_has_still_to_begin_with_it_does(vaecli, run_copy, begun):
    for name in (MODEL, TRAINING, "loss.csv"):
        (begun / name).unlink()
    assert vaecli("rename", "small", "first").code == 0
    assert vaecli("train", "--name", "begun", "--resume", "-q").code == 0
    assert load("begun").provenance.started_from.name == "first"


def test_where_it_was_interrupted_the_same_line_goes_on(vaecli, run_copy, begun, monkeypatch):
    def refused(path, target):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.rename", refused)
        assert "checkpoints/small: cannot be renamed (permission denied)" in one_line(vaecli("rename", "small", "first"), 1)
    assert run_copy.exists()
    assert vaecli("rename", "small", "first").code == 0
    assert begun_with(run_copy.parent / "first") == [begun.relative_to(run_copy.parent.parent)]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["small", "begun"], 1, "checkpoints/begun: found something there; choose another name"),
        (["small", "a/b"], 2, "a/b: expected the name of a folder"),
        (["small", ".."], 2, "..: expected the name of a folder"),
        (["nowhere", "x"], 1, "nowhere: no such run"),
        (["small"], 2, "RUN NAME: expected a run and its new name"),
    ],
)
def test_what_cannot_be_renamed_so_is_refused_and_stays(vaecli, run_copy, begun, words, code, said):
    before = bytes_of(run_copy), bytes_of(begun)
    assert said in one_line(vaecli("rename", *words), code)
    assert (bytes_of(run_copy), bytes_of(begun)) == before


def test_an_empty_folder_of_the_name_is_not_replaced(vaecli, run_copy):
    (run_copy.parent / "first").mkdir()
    assert "found something there" in one_line(vaecli("rename", "small", "first"), 1)


@pytest.mark.parametrize("busy", ["small", "begun"])
def test_a_run_that_is_being_trained_is_not_touched(vaecli, run_copy, begun, busy):
    before = bytes_of(begun)
    held = RunFolder(run_copy.parent / busy, lock=True)
    line = one_line(vaecli("rename", "small", "first"), 1)
    held.close()
    assert line.startswith(f"vaecli: checkpoints/{busy}: another vaecli trains this run")
    assert run_copy.exists() and bytes_of(begun) == before


def test_a_damaged_run_that_began_with_it_is_not_made_whole(vaecli, run_copy, begun):
    data = bytearray((begun / MODEL).read_bytes())
    data[-1] ^= 1
    (begun / MODEL).write_bytes(data)
    assert "do not match the digest" in one_line(vaecli("rename", "small", "first"), 1)
    assert run_copy.exists()


def test_runs_elsewhere_are_renamed_beside_themselves(vaecli, run_copy, tmp_path):
    os.renames(run_copy, tmp_path / "else where" / "small")
    printed = json.loads(vaecli("rename", "else where/small", "first", "--json").out)
    assert printed["runs"] == [{"name": "first", "path": "else where/first"}]
    assert printed["before"] == "else where/small"
    assert (tmp_path / "else where" / "first" / MODEL).is_file()


def test_a_search_knows_its_runs_by_any_name(search, vaecli, tmp_path):
    """Also one that it stopped early, or half done: they are not trained again."""
    words = ["--lr", "1e-3,1e-2", "--hidden", "10", "-q", "--json"]
    first = json.loads(search(*words).out)
    best = first["best"]["path"]
    assert vaecli("rename", best, "winner").code == 0
    again = json.loads(search(*words).out)
    assert again["best"]["path"].endswith("checkpoints/winner")
    assert again["best"]["value"] == first["best"]["value"]
    assert sorted(folder.name for folder in (tmp_path / "checkpoints").iterdir() if (folder / MODEL).exists()) == sorted(
        ["winner", *(run["name"] for run in first["runs"] if run["path"] != best)]
    )


def test_a_search_goes_on_with_a_run_that_is_half_done_by_another_name(search, vaecli, small_mnist, tmp_path, monkeypatch):
    words = ["--validation", "100", "--hidden", "10", "--data-dir", small_mnist, "--name", "half", "-q"]
    with stopped_when_saved_within_an_epoch(monkeypatch):
        assert vaecli("train", *words, "--epochs", "1", "--save-every", "1").code == 130
    found = json.loads(search("--hidden", "10", "--seed", "0,1", "-q", "--json").out)
    assert sorted(run["name"] for run in found["runs"])[0] == "half"
    runs = [folder.name for folder in (tmp_path / "checkpoints").iterdir() if (folder / MODEL).exists()]
    assert len(runs) == 2 and "half" in runs
