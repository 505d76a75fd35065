"""`vaecli remove`: what vaecli wrote goes, all else stays."""

import json
import re
from pathlib import Path

import pytest

from tests.helpers import one_line
from vaecli.files import PART
from vaecli.runs.find import CONFIG, FILES, MODEL
from vaecli.runs.folder import RunFolder

WRITE = [
    ["sample"], ["sample", "--between", "0", "1"], ["sample", "--as", "png", "--n", "2"], ["sample", "--as", "npz", "--n", "2"],
    ["sample", "--between", "0", "1", "--as", "png"], ["sample", "--between", "0", "1", "--as", "npz"], ["reconstruct"],
    ["reconstruct", "--as", "png", "--n", "2"], ["reconstruct", "--as", "npz"], ["encode"], ["latent-plot", "--csv"],
    ["latent-plot", "--variance", "--csv"], ["latent-plot", "--manifold"], ["latent-plot", "--thumbnails"], ["explore"],
    ["score", "--by", "L_1", "--limit", "3"], ["inpaint", "--n", "1"],
    ["compare", "--k", "0", "--limit", "9", "--csv", "--per-image"],
]  # fmt: skip
"""Every command that writes into a run's folder, and the ways in which it does."""


@pytest.fixture
def quick(monkeypatch):
    """Exact values take long."""
    monkeypatch.setattr("vaecli.analysis.inpainting.LARGEST", 0)


def test_nothing_is_left_of_a_run_that_every_command_wrote_into(vaecli, run_copy, quick):
    for command, *words in WRITE:
        outcome = vaecli(command, "small", *words, "-q")
        assert outcome.code == 0, outcome.err
    assert len([file for file in run_copy.rglob("*") if file.is_file()]) > len(FILES) + len(WRITE)
    outcome = vaecli("remove", "small", "--yes")
    assert (outcome.code, outcome.out, outcome.err) == (0, "checkpoints/small\n", "")
    assert not run_copy.exists()


def test_the_differences_of_runs_are_removed_too(vaecli, run_copy, small_mnist):
    words = ["--hidden", "9", "--epochs", "1", "--name", "other", "--data-dir", small_mnist, "-q"]
    assert vaecli("train", *words).code == 0
    outcome = vaecli("compare", "small", "other", "--k", "0", "--limit", "9", "--by", "elbo", "--csv", "-q")
    assert outcome.code == 0, outcome.err
    assert (run_copy / "compare-differences.png").exists() and (run_copy / "compare-differences.csv").exists()
    assert vaecli("remove", "small", "other", "--yes").out.splitlines() == ["checkpoints/small", "checkpoints/other"]
    assert not list(run_copy.parent.iterdir())


def test_what_vaecli_did_not_write_stays_and_is_named(vaecli, run_copy):
    (run_copy / "samples").mkdir()
    for name in ("notes.txt", "samples/mine.png", "sample.jpg"):
        (run_copy / name).write_text("mine")
    (run_copy / f".{MODEL}-0123abcd{PART}").write_text("left by a killed process")
    outcome = vaecli("remove", "small", "--yes")
    assert outcome.err == "checkpoints/small stays: vaecli did not write notes.txt, sample.jpg, samples\n"
    assert sorted(str(file.relative_to(run_copy)) for file in run_copy.rglob("*") if file.is_file()) == [
        "notes.txt", "sample.jpg", "samples/mine.png",
    ]  # fmt: skip
    assert "small: no such run" in one_line(vaecli("remove", "small", "--yes"), 1)


def test_a_file_behind_a_link_stays(vaecli, run_copy, tmp_path):
    (tmp_path / "precious.safetensors").write_bytes((run_copy / MODEL).read_bytes())
    (run_copy / MODEL).unlink()
    (run_copy / MODEL).symlink_to(tmp_path / "precious.safetensors")
    assert vaecli("remove", "small", "--yes").code == 0
    assert not run_copy.exists() and (tmp_path / "precious.safetensors").exists()


def test_a_linked_folder_is_refused(vaecli, run_copy):
    (run_copy.parent / "linked").symlink_to(run_copy)
    assert "checkpoints/linked: found a link to " in one_line(vaecli("remove", "linked", "--yes"), 1)
    assert (run_copy / MODEL).exists()


def test_a_run_that_is_being_trained_is_refused(vaecli, run_copy):
    held = RunFolder(run_copy, lock=True)
    line = one_line(vaecli("remove", "small", "--yes"), 1)
    held.close()
    assert line == "vaecli: checkpoints/small: another vaecli trains this run right now; stop it, or wait for it"
    assert all((run_copy / name).exists() for name in FILES)


def test_without_a_terminal_it_is_not_removed_unless_yes_is_said(vaecli, run_copy):
    line = one_line(vaecli("remove", "small"), 2)
    assert line == "vaecli: --yes: expected it where nobody can be asked whether to remove a run; nothing is removed"
    assert all((run_copy / name).exists() for name in FILES)


@pytest.mark.parametrize("answer", [True, False])
def test_it_asks_before_it_removes(vaecli, run_copy, small_mnist, monkeypatch, answer):
    more = ["--from", "small", "--epochs", "1", "--limit", "60", "--name", "begun", "--data-dir", small_mnist, "-q"]
    assert vaecli("train", *more).code == 0
    asked = []
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr("typer.confirm", lambda text, **more: asked.append(text) or answer)
    outcome = vaecli("remove", "small")
    assert asked == ["Remove this run?"]
    assert re.match(r"checkpoints/small: 4 files, 12\.\d MB, with whose weights begun began\n", outcome.err)
    assert (outcome.code, run_copy.exists()) == ((0, False) if answer else (1, True))
    assert outcome.err.endswith("vaecli: nothing is removed\n") == (not answer)


@pytest.mark.parametrize("left", [[CONFIG], ["model.safetensors"], ["training.safetensors", "config.json"]])
def test_runs_that_are_damaged_or_have_no_epoch_are_removed(vaecli, run_copy, left):
    for name in FILES:
        (run_copy / name).write_text("damaged") if name in left else (run_copy / name).unlink()
    assert vaecli("remove", "small", "--yes").code == 0
    assert not run_copy.exists()


def test_no_run_is_removed_where_one_is_not_there(vaecli, run_copy):
    assert "nowhere: no such run" in one_line(vaecli("remove", "small", "nowhere", "--yes"), 1)
    assert "RUN: expected the name or the folder of a run" in one_line(vaecli("remove", "--yes"), 2)
    assert all((run_copy / name).exists() for name in FILES)


def test_a_run_named_twice_is_removed_once(vaecli, run_copy):
    printed = json.loads(vaecli("remove", "small", "checkpoints/small", f"checkpoints/small/{MODEL}", "--yes", "--json").out)
    (removed,) = printed["removed"]
    assert (removed["path"], removed["left"]) == ("checkpoints/small", [])
    assert [Path(file).name for file in removed["files"]][-1] == CONFIG
    assert {Path(file).name for file in removed["files"]} == set(FILES)
