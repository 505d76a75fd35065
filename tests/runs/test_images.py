"""A run knows its images, and later commands keep to them."""

import re
from dataclasses import replace

import pytest

from tests.helpers import DATA, one_line, write_idx
from vaecli.config import Config
from vaecli.data import Source, load_images, mnist
from vaecli.data.fashion_mnist import DEBIAN
from vaecli.errors import DataError
from vaecli.provenance import DataRecord
from vaecli.runs.find import CONFIG, FILES, MODEL, read_config
from vaecli.runs.run import read_run

SMALL = ["--batch-size", "50", "--hidden", "10"]
PICTURES = [["latent-plot"], ["reconstruct"], ["inpaint", "--n", "1"], ["compare", "--k", "0"]]


@pytest.fixture
def run(vaecli, own):
    return vaecli("train", "--data-dir", own, "--name", "r", "--epochs", "1", *SMALL).path


class TestData:
    def test_is_written_down_with_the_run(self, run, own):
        record = Source(Config(), own).record
        assert record == DataRecord(
            Source(Config(), own).images("train").digest, Source(Config(), own).images("test").digest, str(own)
        )
        assert read_run(run).provenance.data == read_config(run / CONFIG)[1].data == record

    def test_the_digest_is_of_number_pixels_and_labels(self, digits):
        changed = digits.pixels.clone()
        changed[7, 300] += 1
        relabelled = digits.labels.clone()
        relabelled[7] = (relabelled[7] + 1) % 10
        others = [replace(digits, pixels=changed), replace(digits, labels=relabelled), digits[:-1]]
        assert len({digits.digest, replace(digits).digest, *(images.digest for images in others)}) == 4

    def test_the_data_sets_own_images_are_known_wherever_they_are(self):
        assert not Source(Config()).is_own
        assert not Source(Config(), mnist.FOLDER).is_own
        assert Source(Config(dataset="fashion-mnist"), DATA / "fashion-mnist").is_own

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
        before = {name: (run / name).read_bytes() for name in FILES}
        line = one_line(vaecli(*command, "r", "--data-dir", small_mnist, "-q"), 1)
        assert re.search(
            rf"{small_mnist}: its (test|train) images are not those of the run r: they have SHA-256 \w+\.\.\., the run's", line
        )
        assert {name: (run / name).read_bytes() for name in FILES} == before

    def test_images_that_changed_in_their_place_are_refused(self, vaecli, run, own, digits):
        write_idx(own, "t10k", digits)
        assert "they have SHA-256" in one_line(vaecli("reconstruct", "r", "-q"), 1)

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


def test_a_place_that_cannot_be_read_is_an_error_of_data(tmp_path):
    with pytest.raises(DataError):
        _ = Source(Config(), tmp_path / "nowhere").record


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_fashion_mnist_has_the_digests_that_are_known():
    assert not Source(Config(dataset="fashion-mnist"), DEBIAN).is_own
