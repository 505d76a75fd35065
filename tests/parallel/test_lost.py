"""Processes that are killed, stopped or started with other settings: all end in time, with one line, and the run goes on."""

import os
import random
import signal
import socket
import sys
import time

import pytest

from tests.parallel.torchrun import SMALL, descendants, ended, ran, said, started, wait_for, workers
from vaecli.runs.find import MODEL, read_log

pytestmark = pytest.mark.system


def training(data, *words):
    return ["-m", "vaecli", "train", "--data-dir", data, *SMALL, "--name", "r", *words]


def test_a_killed_process_ends_all(tmp_path, small_mnist):
    with started(tmp_path, "--nproc-per-node", 3, *training(small_mnist, "--epochs", 100_000)) as process:
        wait_for(process, "Epoch 2:")
        pids = workers(process.pid)
        os.kill(pids[2], signal.SIGKILL)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert ended(pids.values(), 1)
    (message,) = said(err)
    assert "keeps epoch" in message
    assert "torchrun --nproc-per-node 3 -m vaecli train --name r --resume" in message
    assert read_log(tmp_path / "checkpoints" / "r")


def test_without_the_first_process_the_others_end_too(tmp_path, small_mnist):
    with started(tmp_path, "--nproc-per-node", 3, *training(small_mnist, "--epochs", 100_000)) as process:
        wait_for(process, "Epoch 2:")
        pids = workers(process.pid)
        os.kill(pids[0], signal.SIGKILL)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert ended(pids.values(), 1)
    assert len(said(err)) <= 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_says_once_where_the_run_stands(tmp_path, small_mnist, number):
    with started(tmp_path, "--nproc-per-node", 2, *training(small_mnist, "--epochs", 100_000)) as process:
        wait_for(process, "Epoch 2:")
        pids = workers(process.pid)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert ended(pids.values(), 1)
    assert process.returncode
    (message,) = said(err)
    assert "keeps epoch" in message


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("closed", [False, True])
def test_without_torchrun_itself_all_end_and_the_run_goes_on(tmp_path, small_mnist, wrapped, closed):
    """`closed`: what torchrun's terminal was is gone too, `wrapped`: a shell stands between torchrun and vaecli."""
    line = training(small_mnist, "--epochs", 100_000)
    if wrapped:
        line = ["--no-python", "sh", "-c", '"$@"; exit $?', "sh", sys.executable, *line]
    with started(tmp_path, "--nproc-per-node", 2, *line) as process:
        wait_for(process, "Epoch 2:")
        pids = descendants(process.pid)
        assert len(pids) == (4 if wrapped else 2)
        process.kill()
        if closed:
            process.stderr.close()
            process.stdout.close()
        assert ended(pids, 60)
    done = len(read_log(tmp_path / "checkpoints" / "r"))
    assert done >= 2
    again = ran(tmp_path, "--nproc-per-node", 2, "-m", "vaecli", "train", "--name", "r", "--resume", "--epochs", done + 1)
    assert again.returncode == 0, again.stderr


def test_torchrun_that_is_killed_before_its_processes_have_met(tmp_path, small_mnist):
    with started(tmp_path, "--nproc-per-node", 2, *training(small_mnist, "--epochs", 100_000)) as process:
        limit = time.monotonic() + 60
        while len(pids := descendants(process.pid)) < 2:
            assert time.monotonic() < limit
        process.kill()
        assert ended(pids, 60)


def undisturbed(folder, data, epochs):
    assert ran(folder, "--nproc-per-node", 2, *training(data, "--epochs", epochs)).returncode == 0
    return (folder / "checkpoints" / "r" / MODEL).read_bytes()


def killed_and_restarted(folder, data, epochs, kills, rank, wait):
    """The bytes of a run in which a process was killed `kills` times, each after some seconds of training."""
    line = training(data, "--epochs", epochs, "--resume")
    with started(folder, "--nproc-per-node", 2, "--max-restarts", kills, *line) as process:
        for _ in range(kills):
            wait_for(process, "Begin")
            time.sleep(wait())
            if process.poll() is None:
                os.kill(workers(process.pid)[rank()], signal.SIGKILL)
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
    return (folder / "checkpoints" / "r" / MODEL).read_bytes()


def test_a_restarted_run_ends_as_one_that_nobody_disturbed(tmp_path, small_mnist):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    expected = undisturbed(tmp_path / "a", small_mnist, 25)
    assert killed_and_restarted(tmp_path / "b", small_mnist, 25, 1, lambda: 1, lambda: 0.5) == expected


@pytest.mark.slow
def test_twenty_kills_at_random_moments(tmp_path, small_mnist):
    (tmp_path / "a").mkdir()
    expected = undisturbed(tmp_path / "a", small_mnist, 40)
    seed = random.SystemRandom().randrange(1000)
    print("seed", seed)
    chance = random.Random(seed)
    for trial in range(20):
        folder = tmp_path / f"trial-{trial}"
        folder.mkdir()
        result = killed_and_restarted(folder, small_mnist, 40, 1, lambda: chance.randrange(2), lambda: chance.uniform(0, 1.5))
        assert result == expected, trial


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_processes_with_different_settings_are_refused(tmp_path, small_mnist):
    meet = ["--nnodes", 2, "--nproc-per-node", 1, "--master-addr", "127.0.0.1", "--master-port", free_port(), "--node-rank"]
    with (
        started(tmp_path, *meet, 0, *training(small_mnist, "--lr", "0.001")) as first,
        started(tmp_path, *meet, 1, *training(small_mnist, "--lr", "0.002")) as second,
    ):
        errors = [process.communicate(timeout=90)[1] for process in (first, second)]
        assert first.returncode == second.returncode == 1
    for err in errors:  # on each host's own terminal
        (message,) = said(err)
        assert "--lr 0.002 in process 1: the first process has 0.001, expected the same in all" in message
    assert not list(tmp_path.rglob("*.safetensors"))
