"""``vaecli prepare``, ``vaecli cache`` and ``--cache``."""

import json
import os
import shutil

import pytest

from tests.helpers import DATA, one_line
from vaecli.files import CACHE

TRAIN = ["train", "--dataset", "folder", "--image-size", "8", "--hidden", "4", "--epochs", "1", "--batch-size", "5", "-q"]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "kept"))
    return shutil.copytree(DATA / "emoji" / "pictures", tmp_path / "pictures")


def test_pictures_are_prepared_listed_and_removed(vaecli, pictures, tmp_path):
    outcome = vaecli("prepare", "--data-dir", pictures, "--image-size", "16")
    assert outcome.code == 0
    assert outcome.out == f"{tmp_path / 'kept'}\n"
    assert outcome.err.splitlines()[-1].startswith(f"{pictures}: 20 pictures to train on and 4 to test on, 0.0 MB")
    listed = vaecli("cache")
    heads, line = listed.out.splitlines()
    assert heads.split() == ["pictures", "of", "shape", "pictures", "MB", "last", "used"]
    assert line.split()[:7] == [str(pictures), "3", "x", "16", "x", "16", "24"]
    assert listed.err == f"{tmp_path / 'kept'}: in all 0.0 MB\n"
    (entry,) = json.loads(vaecli("cache", "--json").out)["kept"]
    assert (entry["source"], entry["shape"], entry["pictures"]) == (str(pictures), [3, 16, 16], 24)
    assert json.loads(vaecli("cache", tmp_path / "other", "--json").out)["kept"] == []
    assert "removed 0.0 MB" in vaecli("cache", pictures, "--clear").err
    assert vaecli("cache").out == ""
    assert not list((tmp_path / "kept").rglob("*.pixels"))


def test_a_run_is_the_same_with_and_without(vaecli, pictures, tmp_path):
    weights = []
    for name, more in (("first", []), ("again", []), ("none", ["--cache", "none"]), ("place", ["--cache", tmp_path / "other"])):
        assert vaecli(*TRAIN, "--data-dir", pictures, "--name", name, *more).code == 0
        weights.append((tmp_path / "checkpoints" / name / "model.safetensors").read_bytes())
    assert len(set(weights)) == 1
    assert (tmp_path / "other").is_dir() and os.environ[CACHE] == str(tmp_path / "kept")
    assert vaecli("reconstruct", "none", "--n", "3").code == 0


def test_a_picture_that_changed_is_seen_by_a_later_command(vaecli, pictures, tmp_path):
    assert vaecli(*TRAIN, "--data-dir", pictures, "--name", "run").code == 0
    first, second = sorted((pictures / "flags").iterdir())[:2]
    shutil.copy(first, second)
    of_splits = {
        outcome.code: outcome for outcome in (vaecli("reconstruct", "run", "--split", split) for split in ("train", "test"))
    }
    assert set(of_splits) == {0, 1}
    line = one_line(of_splits[1], 1)
    assert "images are not those of the run run" in line and second.name in line


def test_a_place_that_cannot_be_written_is_one_line(vaecli, pictures, tmp_path):
    (tmp_path / "file").touch()
    outcome = vaecli(*[word for word in TRAIN if word != "-q"], "--data-dir", pictures, "--cache", tmp_path / "file" / "kept")
    assert outcome.code == 0
    assert outcome.err.count("prepared pictures cannot be kept there (not a directory); they are read anew each time") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prepare"], "--data-dir: expected a folder of pictures"),
        (["prepare", "--data-dir", "pictures", "--cache", "none"], "--cache none: expected a folder to keep prepared pictures in"),
        (["prepare", "--data-dir", "nowhere"], "nowhere: cannot be read"),
        (["prepare", "--data-dir", "pictures", "--colour", "blue"], "'blue' is not one of"),
    ],
)
def test_wrong_usage(vaecli, pictures, arguments, words):
    outcome = vaecli(*arguments)
    assert outcome.code in (1, 2) and words in one_line(outcome, outcome.code)
