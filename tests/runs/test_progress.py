"""What a caller in Python sees of training: callbacks, a bar and lines, notes, and how it is ended."""

import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import pytest

from tests.helpers import DATA, ROOT
from vaecli.config import Config
from vaecli.runs import progress as shows
from vaecli.runs.find import FILES, MODEL
from vaecli.runs.folder import RunFolder
from vaecli.runs.run import load, read_run
from vaecli.runs.train import train
from vaecli.training import loop

SMALL = Config(hidden=(10,), batch_size=50, epochs=3, precision="fp32")


@pytest.fixture
def fit(tmp_path, small_mnist):
    def run(name="run", config=SMALL, **options):
        return train(config, tmp_path / name, data_dir=small_mnist, **options)

    return run


def test_rows_are_those_of_the_log_and_are_written_already(fit, tmp_path):
    rows, logs = [], []

    def on_epoch(row):
        rows.append(row)
        logs.append(load(tmp_path / "run").log)

    run = fit(on_epoch=on_epoch)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows == run.log
    assert logs == [run.log[:1], run.log[:2], run.log]


def test_steps_and_the_loss_since_the_last_call(fit, monkeypatch):
    """600 images in batches of 50 are 12 steps, seen at 5, 10 and 12; the mean over an epoch is that of the log."""
    monkeypatch.setattr(loop, "CHECK_EVERY", 5)
    calls = []
    run = fit(on_batch=lambda *call: calls.append(call))
    assert [call[:2] for call in calls] == [(12 * epoch + step, 36) for epoch in range(3) for step in (5, 10, 12)]
    for epoch, row in enumerate(run.log):
        first, second, third = (loss for _, _, loss in calls[3 * epoch : 3 * epoch + 3])
        assert (5 * first + 5 * second + 2 * third) / 12 == pytest.approx(row["loss"], rel=1e-6)


def test_the_last_batch_may_be_smaller(fit, monkeypatch):
    monkeypatch.setattr(loop, "CHECK_EVERY", 1)
    calls = []
    run = fit(config=replace(SMALL, batch_size=250, epochs=1), on_batch=lambda *call: calls.append(call))
    losses = [loss for _, _, loss in calls]
    assert (250 * losses[0] + 250 * losses[1] + 100 * losses[2]) / 600 == pytest.approx(run.log[0]["loss"], rel=1e-6)


def test_callbacks_change_no_bits(fit):
    seen = fit("seen", on_epoch=print, on_batch=print, progress=True)
    assert (seen.path / MODEL).read_bytes() == (fit("unseen").path / MODEL).read_bytes()


class Enough(Exception):
    pass


@pytest.mark.parametrize("error", [Enough, KeyboardInterrupt])
@pytest.mark.parametrize("callback", ["on_epoch", "on_batch"])
def test_an_exception_in_a_callback_ends_training_and_the_run_goes_on_later(fit, tmp_path, callback, error):
    calls = 0

    def stop(*_):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise error

    with pytest.raises(error):
        fit(**{callback: stop})
    kept = read_run(tmp_path / "run")
    assert kept.results["epoch"] == len(kept.log) == (2 if callback == "on_epoch" else 1)
    assert sorted(file.name for file in kept.path.iterdir()) == sorted(FILES)
    assert fit(resume=True).sha256 == fit("whole").sha256


def test_an_interruption_between_two_files_of_an_epoch_leaves_one_state(fit, tmp_path, monkeypatch):
    whole, calls = RunFolder.write, []

    def interrupted(self, name, data):
        calls.append(name)
        if name == MODEL and calls.count(MODEL) == 2:
            raise KeyboardInterrupt
        whole(self, name, data)

    monkeypatch.setattr(RunFolder, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit()
    kept = read_run(tmp_path / "run")
    assert kept.results["epoch"] == len(kept.log) == 2


def test_a_pipe_gets_lines(fit, capsys):
    run = fit(progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "Begin training in 2D latent space"
    assert [bool(re.fullmatch(r"Epoch \d: loss \d+\.\d\d, test -ELBO \d+\.\d\d, \d+\.\d s", line)) for line in lines[1:4]] == 3 * [
        True
    ]
    assert tuple(line for line in lines if not line.startswith("Epoch")) == run.notes
    assert len(run.warnings) == len(lines) - 5
    assert read_run(run.path).notes == ()


def test_a_pipe_gets_lines_of_a_long_epoch_too(fit, capsys, monkeypatch):
    monkeypatch.setattr(shows, "SELDOM", -1.0)
    monkeypatch.setattr(loop, "CHECK_EVERY", 5)
    fit(config=replace(SMALL, epochs=1), progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"Epoch 1: 5 of 12 steps, loss \d+\.\d\d", lines[1])


def test_nothing_is_shown_unasked_and_notes_are_kept(fit, capsys):
    run = fit()
    assert capsys.readouterr() == ("", "")
    assert run.notes[0] == "Begin training in 2D latent space"
    assert run.notes[1].startswith("Training in 2D is done: test -ELBO ")


def test_what_was_understood_of_pictures_is_among_the_notes(tmp_path, capsys):
    pictures = DATA / "emoji" / "pictures"
    config = Config(dataset="folder", image_size=8, hidden=(4,), epochs=1)
    run = train(config, tmp_path / "run", data_dir=pictures, progress=True)
    understood = next(note for note in run.notes if " to train on, " in note)
    assert understood.startswith(f"{pictures}: ")
    assert understood in capsys.readouterr().err.splitlines()


@pytest.mark.system
def test_a_terminal_gets_a_bar(tmp_path, small_mnist):
    script = (
        "import vaecli; c = vaecli.Config(hidden=(10,), batch_size=5, epochs=2); "
        f"vaecli.train(c, {str(tmp_path / 'run')!r}, data_dir={str(small_mnist)!r}, progress=True, "
        "on_epoch=lambda row: print('mine'))"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, "-c", script], os.environ | {"TERM": "xterm", "COLUMNS": "100"})
    printed = b""
    while True:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:
            break
        if not part:
            break
        printed += part
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed.decode())
    assert re.search(r"Epoch 2 ━+ +240/240 steps, loss \d+\.\d\d 0:00:00", plain)
    assert re.search(r"Epoch 1: loss \d+\.\d\d, test -ELBO", plain)
    assert plain.count("mine") == 2


@pytest.mark.system
def test_showing_it_draws_no_random_numbers(tmp_path, small_mnist):
    """Rich does when it is imported."""
    script = (
        "import random, sys, vaecli; state = random.getstate(); c = vaecli.Config(hidden=(10,), epochs=1); "
        f"vaecli.train(c, {str(tmp_path / 'run')!r}, data_dir={str(small_mnist)!r}, progress=True); "
        "print(random.getstate() == state, 'rich.console' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


@pytest.mark.system
def test_ctrl_c_ends_a_script_and_keeps_the_last_epoch(tmp_path, small_mnist):
    script = (
        "import vaecli; c = vaecli.Config(hidden=(10,), batch_size=5, epochs=100000); "
        f"vaecli.train(c, {str(tmp_path / 'run')!r}, data_dir={str(small_mnist)!r}, progress=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while not process.stderr.readline().startswith("Epoch 2:"):
        assert process.poll() is None
    err = None
    while err is None:  # Python ignores an interrupt that falls into a finaliser, and a person types Ctrl-C again
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            _, err = process.communicate(timeout=30)
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    kept = read_run(tmp_path / "run")
    assert kept.results["epoch"] == len(kept.log) >= 2


@pytest.mark.system
def test_a_notebook_shows_one_line_without_ipywidgets_and_a_command_in_its_cell_writes_lines_alone(tmp_path, small_mnist):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    code = (
        "import sys\nsys.modules['ipywidgets'] = None\nimport vaecli\n"
        "c = vaecli.Config(hidden=(10,), batch_size=5, epochs=2)\n"
        f"run = vaecli.train(c, {str(tmp_path / 'run')!r}, data_dir={str(small_mnist)!r}, progress=True)"
    )
    command = f"!{sys.executable} -m vaecli train --data-dir {small_mnist} --hidden 10 --batch-size 5 --epochs 2 --out {tmp_path}"
    book = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, (code, command))))
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs, of_command = (cell.outputs for cell in book.cells)
    (bar,) = [output.data for output in outputs if output.output_type == "display_data"]
    shown = r'<progress value="240" max="240"></progress> Epoch 2: 240 of 240 steps, loss \d+\.\d\d, test -ELBO \d+\.\d\d'
    assert re.fullmatch(shown, bar["text/html"])
    streams = {output.name for output in outputs if output.output_type == "stream"}
    assert streams == {"stdout"}
    lines = "".join(output.text for output in outputs if output.output_type == "stream").splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["Begin", "Training"]
    printed = "".join(output.text for output in of_command)
    assert "\x1b" not in printed and printed.count("\r") == printed.count("\r\n")
    assert [line.split()[0] for line in printed.splitlines()[:4]] == ["Begin", "Epoch", "Epoch", "Training"]


@pytest.mark.system
def test_a_pipe_gets_no_bar_where_colours_are_forced(tmp_path, small_mnist):
    words = ["train", "--data-dir", small_mnist, "--hidden", "10", "--epochs", "1", "--out", tmp_path]
    line = [sys.executable, "-m", "vaecli", *map(str, words)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"FORCE_COLOR": "1"}, check=True)
    assert "\r" not in done.stderr and "\x1b[" not in done.stderr


def test_seconds_are_those_of_a_clock():
    assert [shows._clock(seconds) for seconds in (0.4, 61, 3599.9, 3661)] == ["0:00", "1:01", "1:00:00", "1:01:01"]
