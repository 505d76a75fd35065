"""Ctrl-C and SIGTERM at any moment, once and twice."""

import importlib
import os
import re
import signal
import subprocess
import sys
import time
import weakref

import pytest

from tests.helpers import ROOT
from vaecli.cli.signals import Interruption

pytestmark = pytest.mark.system


def interrupted(arguments, lines, number=signal.SIGINT):
    """The exit code, stdout and stderr, without the list of imports, of a program that got a signal after so many of them."""
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "vaecli", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while not process.stderr.readline().endswith(" vaecli.cli.signals\n"):
        assert process.poll() is None
    for _ in range(lines):
        assert process.stderr.readline().startswith("import time:")
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, [line for line in err.splitlines() if not line.startswith("import time:")]


@pytest.mark.parametrize(
    ("lines", "number", "code"),
    [(3, signal.SIGINT, 130), (100, signal.SIGINT, 130), (300, signal.SIGINT, 130), (600, signal.SIGTERM, 143),
     (900, signal.SIGINT, 130)],
)  # fmt: skip
def test_a_signal_while_modules_are_imported_is_one_line(trained, tmp_path, lines, number, code):
    assert interrupted(["sample", trained, "--out", tmp_path], lines, number) == (code, "", ["vaecli: interrupted"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("lines", range(3, 1200, 20))
def test_ctrl_c_at_many_moments_is_one_line(small_mnist, tmp_path, lines):
    code, _, messages = interrupted(["train", "--data-dir", small_mnist, "--out", tmp_path, "--epochs", 100_000, "-q"], lines)
    assert (code, len(messages)) == (130, 1), messages
    assert re.match("vaecli: interrupted", messages[0])
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("library", ["PIL", "matplotlib", "sqlalchemy.pool"])
def test_what_a_library_logs_of_an_interruption_is_not_printed(library):
    """SQLAlchemy logs a cursor that it cannot close once Ctrl-C has closed the database."""
    code = f"from vaecli.cli import console; console.prepare(); import logging; logging.getLogger({library!r}).error('closing')"
    outcome = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


def test_a_second_ctrl_c_ends_as_the_first(small_mnist, tmp_path):
    line = [sys.executable, "-m", "vaecli", "train", "--data-dir", small_mnist, "--out", tmp_path, "--name", "run"]
    process = subprocess.Popen([*map(str, line), "--epochs", "100000"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while not process.stderr.readline().startswith("Epoch 2:"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    while process.poll() is None:
        time.sleep(0.01)
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    messages = [line for line in err.splitlines() if not line.startswith("Epoch ")]
    assert len(messages) == 1, err
    assert re.match(r"vaecli: interrupted: \S+run keeps epoch \d+; go on with: vaecli train --name run --resume", messages[0])


class TestInterruption:
    @pytest.fixture(autouse=True)
    def handlers_are_put_back(self):
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        yield
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before

    def test_only_the_first_signal_raises(self):
        with Interruption() as interruption:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            assert interruption.signal == signal.SIGTERM

    def test_what_is_held_is_done_to_its_end(self):
        done = []
        with pytest.raises(KeyboardInterrupt), Interruption() as interruption, interruption.held():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append(True)
        assert done

    def test_a_signal_within_counts_without(self):
        with Interruption() as outer:
            with pytest.raises(KeyboardInterrupt), Interruption() as inner:
                signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            assert inner.signal == outer.signal == signal.SIGTERM

    def test_after_the_end_signals_are_ignored_within_and_without(self):
        with Interruption():
            with Interruption() as inner:
                inner.end()
                signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
        with Interruption(), pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)

    MODULE = "import signal\ntry:\n    signal.raise_signal(signal.SIGINT)\nexcept BaseException:\n    pass\n"

    def test_a_signal_during_an_import_waits_for_its_end(self, tmp_path, monkeypatch):
        (tmp_path / "swallows_exceptions.py").write_text(self.MODULE)
        monkeypatch.syspath_prepend(tmp_path)
        imported = []
        with pytest.raises(KeyboardInterrupt), Interruption():
            imported.append(importlib.import_module("swallows_exceptions"))
            time.sleep(60)
        assert imported

    def test_unless_nothing_is_begun(self, tmp_path, monkeypatch):
        (tmp_path / "swallows_too.py").write_text(self.MODULE)
        monkeypatch.syspath_prepend(tmp_path)
        left = []

        def leave(number):
            left.append(number)
            raise SystemExit

        with Interruption(leave):
            importlib.import_module("swallows_too")
        assert left == [signal.SIGINT]

    def test_training_within_an_import_can_be_interrupted(self, tmp_path, monkeypatch):
        (tmp_path / "trains.py").write_text(
            "import signal\nfrom vaecli.cli.signals import Interruption\n"
            "with Interruption():\n    signal.raise_signal(signal.SIGINT)\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            importlib.import_module("trains")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({}, b"vaecli: interrupted\n"),
        ({"TORCHELASTIC_RUN_ID": "x", "LOCAL_RANK": "0"}, b"vaecli: interrupted\n"),
        ({"TORCHELASTIC_RUN_ID": "x", "LOCAL_RANK": "1"}, b""),
    ],
)
def test_a_process_that_has_not_begun_ends_with_one_line_a_host(place, said):
    line = [sys.executable, "-c", "from vaecli.cli.signals import leave; leave(15)"]
    ended = subprocess.run(line, env=os.environ | {"PYTHONPATH": str(ROOT)} | place, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (143, said)


def test_a_signal_in_a_weak_references_callback_still_interrupts(capsys):
    """Python ignores exceptions there."""

    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing, lambda _: (os.kill(os.getpid(), signal.SIGINT), time.sleep(0.01)))
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        del thing
        time.sleep(5)
    assert interruption.signal == signal.SIGINT and reference() is None
    assert capsys.readouterr().err == ""
