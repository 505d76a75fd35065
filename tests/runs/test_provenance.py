"""A run knows its data, its precision and its threads, and later commands keep to them."""

import fcntl
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from tests.helpers import DATA, one_line, write_idx
from vaecli import device
from vaecli.data import Source, load_images, mnist
from vaecli.errors import DataError, VaecliError
from vaecli.provenance import DataRecord, Provenance
from vaecli.runs.find import CONFIG, FILES, MODEL, read_config
from vaecli.runs.run import read_run

SMALL = ["--batch-size", "50", "--hidden", "10"]
PICTURES = [["latent-plot"], ["reconstruct"], ["inpaint", "--steps", "5", "--n", "1"], ["compare", "--k", "0"]]


@pytest.fixture
def own(tmp_path, digits):
    """A folder of a person's own images: real digits, upside down."""
    folder = tmp_path / "my digits!"
    for split in ("train", "t10k"):
        write_idx(folder, split, replace(digits, pixels=digits.pixels.flip(1)))
    return folder


@pytest.fixture
def run(vaecli, own):
    return vaecli("train", "--data-dir", own, "--name", "r", "--epochs", "1", *SMALL).path


class TestData:
    def test_is_written_down_with_the_run(self, run, own):
        record = Source("mnist", own).record
        assert record == DataRecord(
            Source("mnist", own).images("train").digest, Source("mnist", own).images("test").digest, str(own)
        )
        assert read_run(run).provenance.data == read_config(run / CONFIG)[1].data == record

    def test_the_digest_is_of_number_pixels_and_labels(self, digits):
        changed = digits.pixels.clone()
        changed[7, 300] += 1
        relabelled = digits.labels.clone()
        relabelled[7] = (relabelled[7] + 1) % 10
        others = [replace(digits, pixels=changed), replace(digits, labels=relabelled), digits[:-1]]
        assert len({digits.digest, replace(digits).digest, *(each.digest for each in others)}) == 4

    def test_the_data_sets_own_images_are_known_wherever_they_are(self):
        assert not Source("mnist").own
        assert not Source("mnist", mnist.FOLDER).own
        assert Source("fashion-mnist", DATA / "fashion-mnist").own

    def test_resume_goes_on_with_it(self, vaecli, run, own):
        before = (run / MODEL).read_bytes()
        assert vaecli("train", "--name", "r", "--resume", "--epochs", "2").code == 0
        whole = vaecli("train", "--data-dir", own, "--name", "whole", "--epochs", "2", *SMALL).path
        assert before != (run / MODEL).read_bytes() == (whole / MODEL).read_bytes()

    def test_a_config_file_repeats_it(self, vaecli, run):
        again = vaecli("train", "--config", run / CONFIG, "--name", "again").path
        assert (again / MODEL).read_bytes() == (run / MODEL).read_bytes()

    @pytest.mark.parametrize("command", PICTURES)
    def test_later_commands_read_it(self, vaecli, run, own, command):
        assert vaecli(*command, "r").code == 0
        own.rename(own.parent / "moved")
        line = one_line(vaecli(*command, "r", "-q"), 1)
        assert str(own) in line and "no such folder" in line and "--data-dir DIR" in line
        assert vaecli(*command, "r", "--data-dir", own.parent / "moved").code == 0

    @pytest.mark.parametrize("command", [*PICTURES, ["train", "--resume", "--epochs", "2", "--name"]])
    def test_other_data_is_refused(self, vaecli, run, small_mnist, command):
        before = {each: (run / each).read_bytes() for each in FILES}
        line = one_line(vaecli(*command, "r", "--data-dir", small_mnist, "-q"), 1)
        assert re.search(rf"{small_mnist}: its (test|train) images have SHA-256 \w+\.\.\., those of the run r have", line)
        assert {each: (run / each).read_bytes() for each in FILES} == before

    def test_images_that_changed_in_their_place_are_refused(self, vaecli, run, own, digits):
        write_idx(own, "t10k", digits)
        assert "its test images have SHA-256" in one_line(vaecli("reconstruct", "r", "-q"), 1)

    def test_compare_says_when_runs_have_other_images(self, vaecli, run, small_mnist):
        vaecli("train", "--data-dir", small_mnist, "--name", "s", "--epochs", "1", *SMALL)
        outcome = vaecli("compare", "r", "s", "--k", "0", "--table-only")
        assert "they are of different images" in outcome.err

    def test_the_runs_name_says_that_it_is_own_data(self, vaecli, own):
        assert vaecli("train", "--data-dir", own, "--epochs", "1", *SMALL).path.name == "own-my-digits-z2-elbo-hidden10-e1-bs50"

    def test_a_run_that_wrote_nothing_down_reads_the_data_sets_own(self, vaecli):
        checkpoint = read_run(DATA / "format-1")
        assert checkpoint.provenance is None
        assert checkpoint.images("test").digest == load_images("mnist", "test").digest


class TestComputation:
    @pytest.fixture
    def stopwatch(self, monkeypatch):
        """What `auto` finds of this processor, settable."""
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})

        def finds(gain):
            monkeypatch.setattr(device, "bf16_gain", lambda: gain)

        return finds

    def test_precision_is_resolved_once(self, vaecli, small_mnist, stopwatch):
        line = ["train", "--data-dir", small_mnist, *SMALL]
        stopwatch(2.0)
        whole = vaecli(*line, "--name", "whole", "--epochs", "2").path
        part = vaecli(*line, "--name", "part", "--epochs", "1").path
        stopwatch(0.5)
        assert vaecli("train", "--name", "part", "--resume", "--epochs", "2").code == 0
        again = vaecli("train", "--config", whole / CONFIG, "--name", "again").path
        other = vaecli(*line, "--name", "other", "--epochs", "2").path
        weights = [(each / MODEL).read_bytes() for each in (whole, part, again, other)]
        assert weights[0] == weights[1] == weights[2] != weights[3]
        assert [read_run(each).provenance.precision for each in (whole, other)] == ["bf16", "fp32"]

    def test_the_resolved_precision_may_be_given_again_and_another_not(self, vaecli, small_mnist, stopwatch):
        stopwatch(2.0)
        vaecli("train", "--data-dir", small_mnist, "--name", "r", "--epochs", "1", *SMALL)
        assert vaecli("train", "--name", "r", "--resume", "--precision", "bf16", "--epochs", "2").code == 0
        assert "--precision fp32" in one_line(vaecli("train", "--name", "r", "--resume", "--precision", "fp32", "-q"), 2)

    def test_other_threads_are_said(self, vaecli, small_mnist):
        run = vaecli("train", "--data-dir", small_mnist, "--name", "r", "--epochs", "1", *SMALL).path
        threads = read_run(run).provenance.threads
        assert threads == torch.get_num_threads()
        torch.set_num_threads(threads + 1)
        try:
            outcome = vaecli("train", "--name", "r", "--resume", "--epochs", "2")
        finally:
            torch.set_num_threads(threads)
        assert f"{threads} threads, now {threads + 1}" in outcome.err

    def test_what_is_no_provenance_is_refused(self):
        good = Provenance(DataRecord("0" * 64, "1" * 64, "/data"), "cpu", "bf16", 2, "2.15.0").to_json()
        assert Provenance.from_json(good).to_json() == good
        wrong = [None, [], {}, good | {"more": 1}, good | {"data": {}}, good | {"threads": True}, good | {"threads": 10**400}]
        wrong += [good | {"device": []}, good | {"precision": "auto"}, good | {"torch": "\n"}]
        wrong += [
            good | {"data": good["data"] | change} for change in ({"folder": "a\0b"}, {"folder": 3}, {"train": "x"}, {"test": 1})
        ]
        for each in wrong:
            with pytest.raises(VaecliError, match="its provenance is not one that vaecli wrote"):
                Provenance.from_json(each)


def start(folder, *words, stderr=subprocess.PIPE):
    line = [sys.executable, "-m", "vaecli", "train", *map(str, words)]
    return subprocess.Popen(line, cwd=folder, stderr=stderr, stdout=subprocess.PIPE, text=True)


class TestBeforeTheFirstEpoch:
    ODD = ["--latent-dim", "3", "--lr", "0.002", "--batch-size", "10", "--hidden", "20", "--k", "30", "--epochs", "1"]

    @pytest.fixture
    def killed(self, tmp_path, own):
        """A run with odd settings that was killed in its first epoch."""
        process = start(tmp_path, *self.ODD, "--data-dir", own, "--name", "r")
        while not process.stderr.readline().startswith("Begin"):
            assert process.poll() is None
        process.kill()
        process.communicate()
        folder = tmp_path / "checkpoints" / "r"
        assert [each.name for each in folder.iterdir()] == [CONFIG]
        return folder

    @pytest.fixture
    def undisturbed(self, vaecli, own):
        return vaecli("train", *self.ODD, "--data-dir", own, "--name", "undisturbed").path

    def test_a_killed_run_starts_again_with_its_settings(self, vaecli, killed, undisturbed):
        outcome = vaecli("train", "--name", "r", "--resume")
        assert "no epoch is finished yet; starting it with its settings" in outcome.err
        for name in (MODEL, CONFIG):
            assert (killed / name).read_bytes() == (undisturbed / name).read_bytes()
        assert sorted(each.name for each in killed.iterdir()) == sorted(FILES)

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
            for each in (tmp_path / "elsewhere").iterdir():
                each.unlink()
        folder.mkdir()
        (folder / MODEL).write_bytes(b"the new run's")
        _, err = old.communicate(timeout=60)
        assert old.returncode == 1
        assert err.splitlines()[-1].startswith("vaecli: checkpoints/r: the folder was moved, removed or replaced")
        assert [each.read_bytes() for each in folder.iterdir()] == [b"the new run's"]

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
    before = {each: (run / each).read_bytes() for each in FILES}
    process = start(tmp_path, "--data-dir", small_mnist, "--name", "r", "--overwrite", "--k", "2000")
    while not process.stderr.readline().startswith("Begin"):
        assert process.poll() is None
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.splitlines()[-1].endswith("no epoch is finished; checkpoints/r keeps the run that was there")
    assert {each: (run / each).read_bytes() for each in FILES} == before


def test_a_place_that_cannot_be_read_is_an_error_of_data(tmp_path):
    with pytest.raises(DataError):
        _ = Source("mnist", tmp_path / "nowhere").record
