"""Training that was stopped, in whatever way, and goes on."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest
from safetensors.torch import load_file

from tests.helpers import log_rows, one_line
from vaecli.errors import VaecliError
from vaecli.runs import folder as files
from vaecli.runs.find import FILES, LOSS, MODEL, TRAINING

EPOCHS = 4


@pytest.fixture
def train(vaecli, small_mnist):
    def run(*arguments):
        return vaecli("train", "--data-dir", small_mnist, "--batch-size", "50", "--hidden", "20", *arguments)

    return run


def test_more_epochs_later_are_the_same_as_at_once(train):
    whole = train("--name", "whole", "--epochs", EPOCHS).path
    part = train("--name", "part", "--epochs", 2).path
    outcome = train("--name", "part", "--epochs", EPOCHS, "--resume")
    assert "after epoch 2" in outcome.err
    assert (part / MODEL).read_bytes() == (whole / MODEL).read_bytes()
    assert log_rows(part) == log_rows(whole)
    ours, theirs = load_file(part / TRAINING), load_file(whole / TRAINING)
    assert all((ours[name] == theirs[name]).all() for name in ours if name != "log")


def test_a_name_is_enough_to_go_on(train, vaecli, small_mnist):
    train("--name", "mine", "--epochs", 2, "--lr", "0.002")
    outcome = vaecli("train", "--name", "mine", "--resume", "--data-dir", small_mnist, "--epochs", 3)
    assert outcome.code == 0
    config = json.loads((outcome.path / "config.json").read_text())
    assert (config["lr"], config["epochs"], config["hidden"]) == (0.002, 3, [20])


def test_a_finished_run_stays_as_it_is(train):
    run = train("--name", "done", "--epochs", 2).path
    before = {name: ((run / name).read_bytes(), (run / name).stat().st_mtime_ns) for name in FILES}
    outcome = train("--name", "done", "--epochs", 2, "--resume")
    assert outcome.code == 0
    assert "is finished: 2 epochs are done" in outcome.err
    assert {name: ((run / name).read_bytes(), (run / name).stat().st_mtime_ns) for name in FILES} == before


def test_the_permissions_of_a_runs_files_stay(train):
    run = train("--name", "private", "--epochs", 1).path
    for name in FILES:
        (run / name).chmod(0o600)
    assert train("--name", "private", "--epochs", 2, "--resume").code == 0
    assert {name: (run / name).stat().st_mode & 0o777 for name in FILES} == dict.fromkeys(FILES, 0o600)


@pytest.mark.parametrize("missing", [MODEL, LOSS, "config.json"])
def test_a_crash_between_two_files_is_mended(train, missing):
    run = train("--name", "torn", "--epochs", 2).path
    before = (run / missing).read_bytes()
    (run / missing).unlink()
    assert train("--name", "torn", "--epochs", 2, "--resume").code == 0
    assert (run / missing).read_bytes() == before


def test_settings_that_are_not_the_runs_are_named(train):
    train("--name", "mine", "--epochs", 1)
    line = one_line(train("--name", "mine", "--epochs", 2, "--lr", "0.01", "--resume", "-q"), 2)
    assert "--lr 0.01" in line and "has 0.001" in line
    assert "--hidden 20,20" in one_line(train("--hidden", "20,20", "--name", "mine", "--resume", "-q"), 2)
    assert "expected only one of them" in one_line(train("--resume", "--overwrite", "-q"), 2)


def test_nothing_to_go_on_with_starts(train):
    outcome = train("--epochs", 1, "--resume")
    assert outcome.code == 0
    assert "No run" in outcome.err


def test_a_damaged_state_is_refused(train):
    run = train("--name", "mine", "--epochs", 1).path
    data = bytearray((run / TRAINING).read_bytes())
    data[-5] ^= 1
    (run / TRAINING).write_bytes(data)
    assert "digest" in one_line(train("--name", "mine", "--epochs", 2, "--resume", "-q"), 1)


def test_a_diverged_run_is_marked_and_not_gone_on_with(vaecli, small_mnist):
    wild = ["train", "--data-dir", small_mnist, "--lr", "0.2", "--batch-size", "600", "--epochs", "5", "--name", "wild", "-q"]
    line = one_line(vaecli(*wild), 1)
    epoch = int(re.search(r"keeps epoch (\d+)", line)[1])
    assert f"diverged in epoch {epoch + 1}" in one_line(vaecli(*wild, "--resume"), 1)
    outcome = vaecli("compare", "wild", "--data-dir", small_mnist, "--table-only", "--k", "0")
    assert f"wild: diverged in epoch {epoch + 1}" in outcome.err


@pytest.mark.system
def test_a_locked_folder_is_refused_and_a_dead_lock_is_not(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys, time; from pathlib import Path; from vaecli.runs.folder import locked_folder\n"
         "with locked_folder(Path(sys.argv[1]), ()): print('held', flush=True); time.sleep(60)", str(tmp_path / "run")],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(VaecliError, match="another vaecli trains this run"), files.locked_folder(tmp_path / "run", ()):
        pass
    assert (tmp_path / "run").is_dir()  # the other's, though still empty
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with files.locked_folder(tmp_path / "run", ()):
        pass
    assert (tmp_path / "run").is_dir()  # as for this process, which did not make it
    with files.locked_folder(tmp_path / "new", ()):
        pass
    assert not (tmp_path / "new").exists()


def test_what_a_killed_process_left_beside_the_files_goes(tmp_path):
    ours = tmp_path / f".{MODEL}-abc.part"
    other = tmp_path / ".sample.png-abc.part"
    for part in (ours, other):
        part.write_bytes(b"half")
    with files.locked_folder(tmp_path, FILES):
        assert not ours.exists()
        assert other.exists()


def start(folder, small_mnist, *more):
    line = [sys.executable, "-m", "vaecli", "train", "--data-dir", str(small_mnist), "--batch-size", "20", "--hidden", "100"]
    return subprocess.Popen(
        [*line, "--epochs", "12", "--precision", "fp32", "--out", str(folder), "--name", "run", *more],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.system
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_with_where_the_run_stands(tmp_path, small_mnist, number, code):
    process = start(tmp_path, small_mnist)
    while not process.stderr.readline().startswith("Epoch 2:"):
        pass
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert out == ""
    last = err.splitlines()[-1]
    kept = int(re.search(r"keeps epoch (\d+); go on with: vaecli train --name run --resume --out", last)[1])
    assert last.endswith(f"--out {tmp_path} --data-dir {small_mnist}")
    assert kept == len(log_rows(tmp_path / "run")) >= 2
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == sorted(FILES)


@pytest.mark.system
def test_killed_at_random_moments_it_ends_as_if_it_never_was(tmp_path, small_mnist):
    """The short form; a longer one was run once, with 30 kills."""
    whole = start(tmp_path / "whole", small_mnist)
    whole.communicate(timeout=120)
    moments = random.Random(5)
    for _ in range(3):
        process = start(tmp_path / "torn", small_mnist, "--resume")
        while not process.stderr.readline().startswith("Epoch "):
            if process.poll() is not None:
                break
        time.sleep(moments.uniform(0, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    last = start(tmp_path / "torn", small_mnist, "--resume")
    last.communicate(timeout=120)
    assert last.returncode == 0
    assert (tmp_path / "torn/run" / MODEL).read_bytes() == (tmp_path / "whole/run" / MODEL).read_bytes()
    assert log_rows(tmp_path / "torn/run") == log_rows(tmp_path / "whole/run")
    assert sorted(file.name for file in (tmp_path / "torn/run").iterdir()) == sorted(FILES)
