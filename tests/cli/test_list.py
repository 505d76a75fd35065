"""`vaecli list` and `vaecli show`: what the files of runs say without their weights."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.helpers import DATA, ROOT, one_line, stopped_when_saved_within_an_epoch
from vaecli.runs.find import CONFIG, FILES, MODEL, TRAINING


@pytest.fixture
def several(run_copy):
    """Runs of several settings under ``checkpoints/``: copies of one whose config is another are not runs, so files of releases."""
    for name in ("format-2", "format-4"):
        shutil.copytree(DATA / name, run_copy.parent / name)
    for number, name in enumerate(("small", "format-2", "format-4")):
        os.utime(run_copy.parent / name / MODEL, (1e9 + number * 86400,) * 2)
    return run_copy.parent


def rows(outcome):
    """The rows below the heading, by the run's name."""
    return {line.split()[0]: line for line in outcome.out.splitlines()[1:]}


def test_it_has_a_row_for_each_run_with_what_is_known(vaecli, several):
    outcome = vaecli("list")
    heading, *lines = outcome.out.splitlines()
    assert heading.split() == ["run", "data", "epochs", "-ELBO", "of", "saved", "MB", "settings"]
    assert [line.split()[0] for line in lines] == ["format-4", "format-2", "small"]  # the newest first
    small = json.loads(vaecli("train", "--name", "small", "--resume", "--epochs", "2", "-q", "--json").out)
    assert f" {-small['test_elbo']:.2f}  test  2001-09-0" in rows(outcome)["small"]
    size = sum(file.stat().st_size for file in (several / "small").iterdir()) / 1e6
    assert f"  {size:.1f}  epochs=2" in rows(outcome)["small"]
    assert f"checkpoints: {len(lines)} runs, " in outcome.err


def shown(vaecli, *words):
    """What is shown of a run, each under its name."""
    return [tuple(re.split("  +", line, maxsplit=1)) for line in vaecli("show", *words).out.splitlines()]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--sort", "name"], ["format-2", "format-4", "small"]),
        (["--sort", "run", "--reverse"], ["small", "format-4", "format-2"]),
        (["--sort", "saved", "--reverse"], ["small", "format-2", "format-4"]),
        (["--sort", "size", "--filter", "format"], None),
        (["--filter", "small"], ["small"]),
        (["--filter", "format*"], ["format-4", "format-2"]),
        (["--filter", "run=s*"], ["small"]),
        (["--filter", "run!=s*"], ["format-4", "format-2"]),
        (["--filter", "epochs=2", "--filter", "run=small"], ["small"]),
        (["--filter", "epochs>100"], []),
        (["--filter", "latent-dim=2", "--filter", "small"], ["small"]),
        (["--filter", "latent_dim==2", "--filter", "small"], ["small"]),
        (["--filter", "latent-dim!=2", "--filter", "small"], []),
        (["--filter", "lr=1e-3", "--filter", "small"], ["small"]),
        (["--filter", "hidden=500", "--filter", "small"], ["small"]),
        (["--filter", "data=mni*", "--filter", "small"], ["small"]),
        (["--filter", "saved>2001-09-10"], ["format-4", "format-2"]),
        (["--filter", "saved=2001-09-0"], ["small"]),
        (["--filter", "groups>0"], []),
        (["--filter", "elbo>0", "--filter", "small"], ["small"]),
        (["--filter", "bound<0"], []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_runs_are_sorted_and_filtered_by_columns_and_settings(vaecli, several, monkeypatch, words, names):
    monkeypatch.setenv("TZ", "UTC")
    outcome = vaecli("list", *words)
    assert outcome.code == 0
    found = [line.split()[0] for line in outcome.out.splitlines()[1:]]
    if names is None:
        sizes = [sum(file.stat().st_size for file in (several / name).iterdir()) for name in found]
        assert len(sizes) == 2 and sizes == sorted(sizes, reverse=True)
    else:
        assert found == names
    printed = json.loads(vaecli("list", *words, "--json").out)
    assert [run["name"] for run in printed["listed"]] == [run["name"] for run in printed["runs"]] == found


def test_the_best_bound_comes_first_and_a_run_without_one_last(vaecli, several):
    (several / "begun").mkdir()
    shutil.copy(several / "small" / CONFIG, several / "begun" / CONFIG)
    outcome = vaecli("list", "--sort", "elbo")
    bounds = [line[outcome.out.index("-ELBO") - 3 :].split()[0] for line in outcome.out.splitlines()[1:]]
    assert bounds[:-1] == sorted(bounds[:-1], key=float)
    assert outcome.out.splitlines()[-1].startswith("begun ")
    assert "0 of 2" in rows(outcome)["begun"]
    assert vaecli("list", "--sort", "elbo", "--reverse").out.splitlines()[-1].startswith("begun ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sort", "elbow"], "--sort elbow: expected one of "),
        (["--sort", "elbow"], "did you mean elbo?"),
        (["--filter", "latentdim=2"], "did you mean latent-dim?"),
        (["--filter", "elbo<low"], "--filter elbo<low: expected a number after <, such as --filter 'elbo<5'"),
    ],
)
def test_what_is_no_column_or_number_is_refused(vaecli, several, words, said):
    assert said in one_line(vaecli("list", *words), 2)


def test_damaged_runs_are_named_and_left_out(vaecli, several):
    (several / "small" / MODEL).write_bytes((several / "small" / MODEL).read_bytes()[:100])
    (several / "no-run").mkdir()
    (several / "torn").mkdir()
    (several / "torn" / CONFIG).write_text("{")
    outcome = vaecli("list")
    assert outcome.code == 0
    assert set(rows(outcome)) == {"format-2", "format-4"}
    assert "Left out: checkpoints/small/model.safetensors: found no safetensors header" in outcome.err
    assert "Left out: checkpoints/torn/config.json: found no JSON" in outcome.err
    assert "no-run" not in outcome.err
    damaged = json.loads(vaecli("list", "--json").out)["damaged"]
    assert [it["path"] for it in damaged] == ["checkpoints/small", "checkpoints/torn"]


def test_where_there_is_no_run_it_says_so(vaecli, tmp_path):
    outcome = vaecli("list")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.startswith("checkpoints: no run; make a first one in about ten seconds with: vaecli train")
    assert "nowhere: no such file or directory" in one_line(vaecli("list", "nowhere"), 1)
    (tmp_path / "elsewhere").mkdir()
    assert vaecli("list", "elsewhere").err.startswith("elsewhere: no run; ")


def test_how_far_a_stopped_run_is_and_how_it_goes_on(vaecli, run_copy, small_mnist, monkeypatch):
    words = ["--epochs", "3", "--name", "stopped", "--data-dir", small_mnist, "-q"]
    with stopped_when_saved_within_an_epoch(monkeypatch):
        assert vaecli("train", *words, "--save-every", "1").code == 130
    assert "0 of 3" in rows(vaecli("list"))["stopped"]
    assert ("goes on with", "vaecli train --name stopped --resume") in shown(vaecli, "stopped")
    assert "goes on with" not in dict(shown(vaecli, "small"))


def test_the_best_epoch_of_a_run_with_patience_is_not_the_last_that_it_did(vaecli, run_copy, small_mnist):
    words = ["--limit", "60", "--validation", "100", "--batch-size", "5", "--hidden", "30", "--lr", "0.05", "--patience", "1"]
    done = json.loads(vaecli("train", *words, "--name", "best", "--data-dir", small_mnist, "-q", "--json").out)
    (row,) = json.loads(vaecli("list", "--filter", "best", "--json").out)["listed"]
    assert row["epoch"] == done["last_epoch"] > done["epoch"]
    assert (row["finished"], row["split"], row["elbo"]) == (True, "validation", done["validation_elbo"])


def test_show_tells_what_the_run_began_with_and_what_began_with_it(vaecli, run_copy, small_mnist):
    more = ["--from", "small", "--epochs", "1", "--limit", "60", "--name", "begun", "--data-dir", small_mnist, "-q"]
    assert vaecli("train", *more).code == 0
    before = shown(vaecli, "small")
    assert ("began with it", "checkpoints/begun") in before
    assert any(name == "warning" and "steps" in text for name, text in before)
    lines = shown(vaecli)
    assert ("began with", f"{run_copy.resolve()}, after 2 epochs") in lines
    assert ("differs in", "limit=60 epochs=1") in lines
    assert ("images", str(small_mnist)) in lines
    assert [text.partition(",")[0] for name, text in lines if name == "file"] == sorted(FILES)


def test_show_of_a_damaged_run_says_what_is_wrong(vaecli, run_copy):
    (run_copy / MODEL).write_bytes(b"x")
    assert "found no safetensors header" in one_line(vaecli("show", "small"), 1)
    assert "nowhere: no such run; expected one of small in checkpoints/" in one_line(vaecli("show", "nowhere"), 1)


def test_a_run_of_a_member_that_is_not_there_is_listed(vaecli, run_copy, small_mnist, tmp_path, own_members):
    file = tmp_path / "wide.py"
    file.write_text(
        "import vaecli\n"
        "from vaecli.priors.normal import StandardNormal\n"
        "@vaecli.register('prior', 'wide', 'as the normal')\n"
        "class Wide(StandardNormal): ...\n"
    )
    more = ["--plugin", file, "--prior", "wide", "--epochs", "1", "--limit", "60", "--name", "mine", "--data-dir", small_mnist]
    assert vaecli("train", *more, "-q").code == 0
    from vaecli import registry

    del registry.REGISTRY["prior"]["wide"]
    assert "prior=wide" in rows(vaecli("list"))["mine"]
    assert ("prior wide", str(file)) in shown(vaecli, "mine")


@pytest.mark.system
def test_neither_loads_torch():
    for words in (["list"], ["show", "iwae50"], ["list", "--json"], ["remove", "nowhere", "--yes"], ["rename", "nowhere", "x"]):
        line = [sys.executable, "-X", "importtime", "-m", "vaecli", *words]
        done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)
        loaded = {name.rsplit("|", 1)[-1].strip() for name in done.stderr.splitlines()}
        assert "vaecli.runs.header" in loaded
        assert not loaded & {"torch", "numpy", "safetensors", "matplotlib", "optuna"}


def test_no_more_than_headers_is_read(vaecli, run_copy, monkeypatch):
    """Reading stops before the tensors: a file of which they are zeros is listed as it was."""
    before = vaecli("list").out
    for name in (MODEL, TRAINING):
        data = (run_copy / name).read_bytes()
        times = (run_copy / name).stat()
        end = 8 + int.from_bytes(data[:8], "little")
        (run_copy / name).write_bytes(data[:end] + bytes(len(data) - end))
        os.utime(run_copy / name, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert vaecli("list").out == before
