"""Runs that are stopped before their first epoch ends, lose their folder, or overwrite another."""

import shlex
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers import one_line
from vaecli.runs.find import CONFIG, FILES, MODEL

fcntl = pytest.importorskip("fcntl")  # Windows stops processes in other ways
pytestmark = pytest.mark.system

SMALL = ["--batch-size", "50", "--hidden", "10"]


def start(folder, *words, stderr=subprocess.PIPE):
    line = [sys.executable, "-m", "vaecli", "train", *map(str, words)]
    return subprocess.Popen(line, cwd=folder, stderr=stderr, stdout=subprocess.PIPE, text=True)


class TestBeforeTheFirstEpoch:
    ODD = [
        "--latent-dim",
        "3",
        "--lr",
        "0.002",
        "--batch-size",
        "10",
        "--hidden",
        "20",
        "--k",
        "30",
        "--epochs",
        "1",
        "--precision",
        "fp32",
    ]

    @pytest.fixture
    def killed(self, tmp_path, own):
        """A run with odd settings that was killed in its first epoch."""
        process = start(tmp_path, *self.ODD, "--data-dir", own, "--name", "r")
        while not process.stderr.readline().startswith("Begin"):
            assert process.poll() is None
        process.kill()
        process.communicate()
        folder = tmp_path / "checkpoints" / "r"
        assert [file.name for file in folder.iterdir()] == [CONFIG]
        return folder

    @pytest.fixture
    def undisturbed(self, vaecli, own):
        return vaecli("train", *self.ODD, "--data-dir", own, "--name", "undisturbed").path

    def test_a_killed_run_starts_again_with_its_settings(self, vaecli, killed, undisturbed):
        outcome = vaecli("train", "--name", "r", "--resume")
        assert "no epoch is finished yet; starting it with its settings" in outcome.err
        for name in (MODEL, CONFIG):
            assert (killed / name).read_bytes() == (undisturbed / name).read_bytes()
        assert sorted(file.name for file in killed.iterdir()) == sorted(FILES)

    def test_or_by_the_same_line(self, vaecli, own, killed, undisturbed):
        assert vaecli("train", *self.ODD, "--data-dir", own, "--name", "r").code == 0
        assert (killed / MODEL).read_bytes() == (undisturbed / MODEL).read_bytes()

    def test_other_settings_are_refused(self, vaecli, killed):
        line = one_line(vaecli("train", "--name", "r", "--resume", "--lr", "0.1", "-q"), 2)
        assert "--lr 0.1" in line and "has 0.002" in line

    def test_the_line_that_ctrl_c_prints_goes_on_with_this_run(self, tmp_path, own, undisturbed):
        process = start(tmp_path, *self.ODD, "--data-dir", own, "--name", "r", "--device", "cpu")
        while not process.stderr.readline().startswith("Begin"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        words = shlex.split(err.splitlines()[-1].partition("go on with: ")[2])
        assert words == ["vaecli", "train", "--name", "r", "--resume", "--data-dir", str(own), "--device", "cpu"]
        again = start(tmp_path, *words[2:])
        again.communicate(timeout=120)
        assert again.returncode == 0
        assert (tmp_path / "checkpoints" / "r" / MODEL).read_bytes() == (undisturbed / MODEL).read_bytes()

    def test_a_run_that_diverges_at_once_leaves_nothing(self, vaecli, small_mnist, tmp_path):
        line = one_line(vaecli("train", "--data-dir", small_mnist, "--lr", "1000000", "--name", "wild", "-q"), 1)
        assert "nothing was saved yet" in line
        assert not (tmp_path / "checkpoints" / "wild").exists()


class TestTwoWriters:
    @pytest.mark.parametrize("how", ["removed", "moved"])
    def test_the_forgotten_process_stops_and_the_new_run_stays(self, tmp_path, vaecli, small_mnist, how):
        line = ["--data-dir", small_mnist, "--name", "r", "--batch-size", "5", "--hidden", "50"]
        old = start(tmp_path, *line, "--epochs", "100000")
        while not old.stderr.readline().startswith("Epoch 1:"):
            assert old.poll() is None
        folder = tmp_path / "checkpoints" / "r"
        folder.rename(tmp_path / "elsewhere")
        if how == "removed":
            for file in (tmp_path / "elsewhere").iterdir():
                file.unlink()
        folder.mkdir()
        (folder / MODEL).write_bytes(b"the new run's")
        _, err = old.communicate(timeout=60)
        assert old.returncode == 1
        assert err.splitlines()[-1].startswith("vaecli: checkpoints/r: the folder was moved, removed or replaced")
        assert [file.read_bytes() for file in folder.iterdir()] == [b"the new run's"]

    def test_a_file_system_without_locks_is_said_once(self, vaecli, small_mnist, monkeypatch):
        def no_locks(handle, how):
            raise OSError(37, "No locks available")

        monkeypatch.setattr(fcntl, "flock", no_locks)
        outcome = vaecli("train", "--data-dir", small_mnist, "--epochs", "2", *SMALL)
        assert outcome.code == 0
        assert outcome.err.count("has no locks") == 1

    def test_an_empty_folder_of_ones_own_stays(self, vaecli, small_mnist, tmp_path):
        (tmp_path / "checkpoints" / "mine").mkdir(parents=True)
        assert vaecli("train", "--data-dir", small_mnist, "--lr", "1000000", "--name", "mine", "-q").code == 1
        assert (tmp_path / "checkpoints" / "mine").is_dir()


def test_interrupting_an_overwrite_keeps_the_old_run(tmp_path, vaecli, small_mnist):
    run = vaecli("train", "--data-dir", small_mnist, "--name", "r", "--epochs", "1", *SMALL).path
    before = {name: (run / name).read_bytes() for name in FILES}
    process = start(tmp_path, "--data-dir", small_mnist, "--name", "r", "--overwrite", "--k", "2000")
    while not process.stderr.readline().startswith("Begin"):
        assert process.poll() is None
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.splitlines()[-1].endswith("no epoch is finished; checkpoints/r keeps the run that was there")
    assert {name: (run / name).read_bytes() for name in FILES} == before
