"""A run knows its precision and its threads, and goes on with them."""

import pytest
import torch

from tests.helpers import one_line
from vaecli import device, threads
from vaecli.runs.find import CONFIG, MODEL
from vaecli.runs.run import read_run

SMALL = ["--batch-size", "50", "--hidden", "10"]


@pytest.fixture
def stopwatch(monkeypatch):
    """What `auto` finds of this processor, settable."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})

    def finds(gain):
        monkeypatch.setattr(device, "bf16_gain", lambda: gain)

    return finds


def test_precision_is_resolved_once(vaecli, small_mnist, stopwatch):
    line = ["train", "--data-dir", small_mnist, *SMALL]
    stopwatch(2.0)
    whole = vaecli(*line, "--name", "whole", "--epochs", "2").path
    part = vaecli(*line, "--name", "part", "--epochs", "1").path
    stopwatch(0.5)
    assert vaecli("train", "--name", "part", "--resume", "--epochs", "2").code == 0
    again = vaecli("train", "--config", whole / CONFIG, "--name", "again").path
    other = vaecli(*line, "--name", "other", "--epochs", "2").path
    weights = [(run / MODEL).read_bytes() for run in (whole, part, again, other)]
    assert weights[0] == weights[1] == weights[2] != weights[3]
    assert [read_run(run).provenance.precision for run in (whole, other)] == ["bf16", "fp32"]


def test_the_resolved_precision_may_be_given_again_and_another_not(vaecli, small_mnist, stopwatch):
    stopwatch(2.0)
    vaecli("train", "--data-dir", small_mnist, "--name", "r", "--epochs", "1", *SMALL)
    assert vaecli("train", "--name", "r", "--resume", "--precision", "bf16", "--epochs", "2").code == 0
    assert "--precision fp32" in one_line(vaecli("train", "--name", "r", "--resume", "--precision", "fp32", "-q"), 2)


@pytest.fixture
def two_threads(vaecli, small_mnist, monkeypatch):
    """A run that was computed with two threads, whatever this machine has."""
    monkeypatch.setattr(threads, "processors", lambda: 2)
    run = vaecli("train", "--data-dir", small_mnist, "--name", "r", "--epochs", "1", "--threads", "2", *SMALL).path
    assert read_run(run).provenance.threads == 2
    return run


def test_a_run_goes_on_with_its_number_of_threads(vaecli, two_threads):
    before = torch.get_num_threads()
    assert "threads" not in vaecli("train", "--name", "r", "--resume", "--epochs", "2").err
    assert read_run(two_threads).provenance.threads == 2
    assert torch.get_num_threads() == before
    again = vaecli("train", "--config", two_threads / CONFIG, "--name", "again").path
    assert (again / MODEL).read_bytes() == (two_threads / MODEL).read_bytes()


def test_other_threads_are_noted(vaecli, two_threads):
    assert "2 threads, now 1" in vaecli("train", "--name", "r", "--resume", "--epochs", "2", "--threads", "1").err


def test_a_machine_with_fewer_processors_goes_on_with_its_own(vaecli, two_threads, monkeypatch):
    monkeypatch.setattr(threads, "processors", lambda: 1)
    torch_takes = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert "2 threads, now 1" in vaecli("train", "--name", "r", "--resume", "--epochs", "2").err
    finally:
        torch.set_num_threads(torch_takes)


def test_more_threads_than_processors_are_refused(vaecli, monkeypatch, tmp_path):
    monkeypatch.setattr(threads, "processors", lambda: 2)
    line = one_line(vaecli("train", "--threads", "3", "--limit", "10", "-q"), 2)
    assert line == "vaecli: --threads 3: expected 1 to 2, the processors that there are"
    assert not list(tmp_path.rglob("*.safetensors"))
