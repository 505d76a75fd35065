"""A run knows its precision and its threads, and goes on with them."""

import pytest
import torch

from tests.helpers import one_line
from vaecli import device
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


def test_other_threads_are_noted(vaecli, small_mnist):
    run = vaecli("train", "--data-dir", small_mnist, "--name", "r", "--epochs", "1", *SMALL).path
    threads = read_run(run).provenance.threads
    assert threads == torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        outcome = vaecli("train", "--name", "r", "--resume", "--epochs", "2")
    finally:
        torch.set_num_threads(threads)
    assert f"{threads} threads, now {threads + 1}" in outcome.err
