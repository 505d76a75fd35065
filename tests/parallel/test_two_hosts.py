"""Two hosts, as two network namespaces with a cable between them, of which one is pulled out."""

import os
import shutil
import subprocess
import time

import pytest

from tests.parallel.torchrun import SMALL, ended, said, started, wait_for, workers
from vaecli.runs.find import read_log

pytestmark = pytest.mark.system

HOSTS = ("vaecli-a", "vaecli-b")


def ip(*words, check=True):
    subprocess.run(["ip", *words], check=check, capture_output=True)


@pytest.fixture
def hosts():
    if shutil.which("ip") is None or os.geteuid():
        pytest.skip("network namespaces need iproute2 and root")
    remove = lambda: [ip("netns", "delete", host, check=False) for host in HOSTS]  # noqa: E731
    remove()
    try:
        try:
            for host in HOSTS:
                ip("netns", "add", host)
            ip("link", "add", "cable", "netns", HOSTS[0], "type", "veth", "peer", "name", "cable", "netns", HOSTS[1])
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
        for number, host in enumerate(HOSTS, 1):
            ip("-n", host, "address", "add", f"10.99.0.{number}/24", "dev", "cable")
            for device in ("lo", "cable"):
                ip("-n", host, "link", "set", device, "up")
        yield HOSTS
    finally:
        remove()


def on(host, number, folder, data, *words):
    """One host's torchrun; the hosts share no folder."""
    own = folder / host
    own.mkdir(exist_ok=True)
    meet = ["--nnodes", 2, "--nproc-per-node", 1, "--rdzv-backend", "c10d", "--rdzv-endpoint", "10.99.0.1:29400"]
    meet += ["--rdzv-conf", f"is_host={int(number == 1)}", "--local-addr", f"10.99.0.{number}"]
    return started(
        own, *meet, "-m", "vaecli", "train", "--data-dir", data, *SMALL, "--name", "r", *words,
        before=["ip", "netns", "exec", host], GLOO_SOCKET_IFNAME="cable",
    )  # fmt: skip


@pytest.mark.slow
def test_two_hosts_train_one_run(hosts, tmp_path, small_mnist):
    with on(hosts[0], 1, tmp_path, small_mnist, "--epochs", 2) as a, on(hosts[1], 2, tmp_path, small_mnist, "--epochs", 2) as b:
        errors = [process.communicate(timeout=120)[1] for process in (a, b)]
        assert a.returncode == b.returncode == 0, errors
    written = list(tmp_path.glob("*/checkpoints/r"))
    assert len(written) == 1
    assert len(read_log(written[0])) == 2


@pytest.mark.slow
def test_a_host_that_is_cut_off_ends_both(hosts, tmp_path, small_mnist):
    epochs = ["--epochs", 100_000]
    with on(hosts[0], 1, tmp_path, small_mnist, *epochs) as a, on(hosts[1], 2, tmp_path, small_mnist, *epochs) as b:
        deadline = time.monotonic() + 60
        while not (written := list(tmp_path.glob("*/checkpoints/r/model.safetensors"))):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        first = a if written[0].parts[-4] == hosts[0] else b
        wait_for(first, "Epoch 2:")
        pids = [pid for process in (a, b) for pid in workers(process.pid).values()]
        assert len(pids) == 2
        ip("-n", hosts[1], "link", "set", "cable", "down")
        start = time.monotonic()
        assert ended(pids, 60)
        print(f"all workers ended {time.monotonic() - start:.1f} s after the cut")
        err = first.communicate(timeout=60)[1]
        assert first.returncode == 1
        (message,) = said(err)
        assert "no answer for 40 s" in message
        assert "keeps epoch" in message
        other = b if first is a else a
        other.kill()  # torchrun's agent, which goes on trying to reach the other host for minutes
        assert len(said(other.communicate(timeout=10)[1])) == 1
