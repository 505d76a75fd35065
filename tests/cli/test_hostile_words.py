"""Hostile words: options, names, and a system that refuses things."""

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.helpers import DATA, one_line, refused
from vaecli.data.fashion_mnist import DEBIAN

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")

LONG, MANY = "1" * 400, "a" * 300
MEASURE = ["--limit", "5", "--k", "0", "--table-only", "-q"]


@pytest.mark.parametrize(
    "arguments",
    [
        *(["train", f"--{name}", LONG] for name in ("epochs", "batch-size", "latent-dim", "limit", "seed", "hidden")),
        ["train", "--hidden", f"200,{'1' * 5000}"],
        ["train", "--objective", "iwae", "--k", LONG],
        ["train", "--name", "\udcff"],
        ["train", "--name", MANY],
        ["report", "--epochs", LONG],
        ["compare", "small", "--limit", LONG],
        ["compare", "small", "--k", f"1,{'1' * 5000}"],
        ["encode", "small", "--n", LONG],
        ["score", "small", "--by", f"L_{'1' * 5000}"],
        ["latent-plot", "small", "--view", f"{LONG},0"],
        ["latent-plot", "small", "--view", "45,nan"],
        ["sample", "small", "--digit", LONG],
        ["sample", "small", "--between", LONG[:9], "0"],
    ],
    ids=lambda arguments: " ".join(arguments)[:30],
)  # fmt: skip
def test_absurd_options(alone, arguments):
    refused(alone(*arguments), 2)


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            [command, MANY]
            for command in ("sample", "reconstruct", "encode", "score", "explore", "latent-plot", "inpaint", "compare")
        ),
        ["sample", "b/" * 2500],
        ["sample", "small", "--out", MANY],
        ["reconstruct", "small", "--data-dir", MANY],
        ["reconstruct", "small", "--image", MANY],
        ["encode", "small", "--image", MANY],
        ["score", "small", "--against", MANY],
        ["encode", "small", "--out", MANY],
        ["sample", "small", "--between", "0", MANY],
        ["train", "--out", MANY, "--limit", "10"],
        ["train", "--data-dir", MANY, "--limit", "10"],
    ],
    ids=lambda arguments: " ".join(arguments)[:30],
)
def test_paths_that_no_file_system_takes(alone, arguments):
    assert "file name too long" in refused(alone(*arguments, "-q")).lower()


HOSTILE = ["price$\\x$", "a\x1b]0;evil\x07", "b\x9b2J", "c\u202ed", "e\nf", "\udcff", "=1+1", "_i", "漢", "x" * 200]


def shown(outcome, results):
    """What a command printed, all of which a terminal shows as letters."""
    assert outcome.code == (0 if results else 1), outcome.err
    text = (outcome.out + outcome.err).replace("\n", "")
    assert text.isprintable(), ascii(text)
    assert "warning" not in text.lower()
    assert len(outcome.out.splitlines()) == results
    return text


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_run_of_any_name_on_disk_is_opened(alone, run_copy, name):
    folder = run_copy.with_name(name)
    shutil.copytree(run_copy, folder)
    shown(alone("sample", folder, "--n", "1"), 1)
    if not name.isprintable():
        assert "of letters that can be printed" in refused(alone("train", "--name", name, "--limit", "10"), 2)


def test_runs_of_any_name_on_disk_are_named_and_drawn(alone, run_copy):
    folders = [shutil.copytree(run_copy, run_copy.with_name(name)) for name in HOSTILE]
    assert "no such run" in shown(alone("sample", "nowhere"), 0)
    shown(alone("compare", *folders, "small", "--limit", "5", "--k", "0", "--n", "1", "--csv"), len(HOSTILE) + 6)
    shown(alone("latent-plot", *folders, "small", "--n", "5"), 1)
    with (folders[0] / "compare.csv").open(encoding="utf-8", newline="") as file:
        cells = [row["run"] for row in csv.DictReader(file)]
    assert len(cells) == len(HOSTILE) + 1
    assert all(cell.isprintable() and cell[0] not in "=+-@" for cell in cells)


@pytest.mark.parametrize(
    "arguments",
    [["sample", "small"], ["sample", "small", "--json"], ["compare", "small", *MEASURE], ["--help"], ["--version"],
     ["train", "--dry-run"]],
    ids=" ".join,
)  # fmt: skip
def test_output_that_nothing_takes(alone, arguments):
    outcome = alone(*arguments, stdout="/dev/full")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1] == "vaecli: stdout: cannot be written (no space left on device); send the output elsewhere"
    assert "Traceback" not in outcome.err


@pytest.mark.system
def test_a_full_disk_at_the_very_end_of_the_interpreter():
    line = [sys.executable, "-m", "vaecli", "--version"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert subprocess.run([*line, "--nothing"], stdout=subprocess.PIPE, stderr=full, check=False).returncode == 2


def test_a_terminal_of_no_width(alone):
    narrow = {"environment": {"COLUMNS": "0"}}
    assert "no such run" in refused(alone("sample", "nowhere", **narrow))
    assert "encoder.input" in alone("train", "--dry-run", **narrow).out


def test_folders_within_folders(alone):
    assert "too many folders" in refused(alone("train", "--limit", "10", "--out", "a/" * 1500))


def test_folders_that_may_not_be_read(alone, run_copy, small_mnist, tmp_path):
    data = shutil.copytree(small_mnist, tmp_path / "data")
    for folder, code, line in (
        (run_copy, 1, ["sample", run_copy]),
        (run_copy.parent, 1, ["sample", "small"]),
        (data, 1, ["reconstruct", "small", "--image", data / "x.png"]),
        (data, 2, ["train", "--config", data / "config.json"]),
        (data, 1, ["report", "--quick", "--out", data / "report"]),
        (data, 2, ["train", "--data-dir", data, "--limit", "10", "--name", "other"]),
        (data, 2, ["reconstruct", "small", "--data-dir", data]),
        (data, 2, ["sample", "small", "--out", data]),
    ):
        folder.chmod(0)
        try:
            assert re.search("permission denied|not readable", refused(alone(*line, "-q"), code).lower()), line
        finally:
            folder.chmod(0o755)


def test_without_a_home_folder(alone, tmp_path):
    homeless = {"environment": {"HOME": None, "XDG_CACHE_HOME": None, "VAECLI_DATA_DIR": None}, "no_passwords": True}
    assert alone("sample", "small", "-q", **homeless).code == 0
    with_data = homeless | {"environment": homeless["environment"] | {"VAECLI_DATA_DIR": str(DATA)}}
    line = ["train", "--dataset", "fashion-mnist", "--limit", "10", "--epochs", "1", "-q"]
    assert alone(*line, **with_data).code == 0
    if not DEBIAN.is_dir():
        assert "set XDG_CACHE_HOME" in refused(alone(*line, "--name", "other", **homeless))


def test_memory_that_is_not_there(alone):
    outcome = alone("train", "--hidden", "16384,16384", "--epochs", "1", memory=1_000_000_000)
    assert outcome.code == 1
    lines = [line for line in outcome.err.splitlines() if line.startswith("vaecli: ")]
    assert lines == ["vaecli: not enough memory; try a smaller --hidden, --k or --batch-size, or fewer images with --limit"]
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), MemoryError()])
def test_memory_that_a_gpu_or_numpy_lacks(vaecli, monkeypatch, run_copy, error):
    def hungry(*arguments):
        raise error

    monkeypatch.setattr("vaecli.runs.run.read_run", hungry)
    assert "not enough memory" in one_line(vaecli("sample", "small"), 1)


@pytest.mark.parametrize(
    "bug", [RuntimeError("shapes differ"), ValueError("x"), OverflowError("x"), KeyError("x"), ImportError("no y")]
)
def test_a_real_bug_keeps_its_traceback(vaecli, monkeypatch, run_copy, bug):
    def broken(*arguments):
        raise bug

    monkeypatch.setattr("vaecli.runs.run.read_run", broken)
    with pytest.raises(type(bug)):
        vaecli("sample", "small")
