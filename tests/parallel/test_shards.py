"""Eight tar shards of real pictures: one process and two, whole and killed, train what a folder of the same pictures does."""

import io
from dataclasses import replace

import pytest
import webdataset
from PIL import Image

import vaecli
from tests.helpers import log_rows
from tests.parallel import killed
from tests.parallel.torchrun import ran
from vaecli.data import load_images
from vaecli.runs.find import PICTURES
from vaecli.runs.run import read_run

pytestmark = pytest.mark.system

CONFIG = replace(killed.CONFIG, dataset="folder", image_size=16, colour="grey")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Digits in a folder, and in eight shards that webdataset wrote, each with its label beside it."""
    place = tmp_path_factory.mktemp("digits")
    for split, count in ("train", 600), ("test", 60):
        digits = load_images("mnist", split, limit=count)
        with webdataset.ShardWriter(str(place / f"{split}-%d.tar"), maxcount=100 if split == "train" else 30, verbose=0) as shards:
            for number, (pixels, label) in enumerate(zip(digits.pixels, digits.labels.tolist(), strict=True)):
                file = io.BytesIO()
                Image.fromarray(pixels.view(28, 28).numpy()).save(file, "PNG")
                path = place / "folder" / split / str(label) / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.getvalue())
                shards.write({"__key__": f"{label}/{number}", "png": file.getvalue(), "cls": str(label)})
    assert len(list(place.glob("*.tar"))) == 8
    return place / "folder", f"{place}/{{train-{{0..5}},test-{{0..1}}}}.tar"


@pytest.fixture(scope="module")
def alone(tmp_path_factory, places):
    """What one process trains on the folder, and on the shards."""
    place = tmp_path_factory.mktemp("alone")
    return [vaecli.train(CONFIG, place / name, data_dir=data, threads=1) for name, data in zip("ab", places, strict=True)]


def test_one_process_trains_on_shards_what_it_trains_on_a_folder(alone):
    folder, shards = alone
    assert folder.sha256 == shards.sha256 and folder.results == shards.results
    assert (folder.path / PICTURES).read_bytes() == (shards.path / PICTURES).read_bytes()


def test_two_processes_of_which_one_is_killed_within_an_epoch_go_on_as_if_it_never_was(tmp_path, places, alone):
    for name, saves in ("torn", 3), ("torn", 0), ("whole", 0):
        outcome = ran(tmp_path, "--nproc-per-node", 2, killed.__file__, tmp_path / name, places[1], saves, "folder")
        assert (outcome.returncode == 0) == (saves == 0), outcome.stderr
        if saves:
            assert read_run(tmp_path / "torn").results["step"] % 12
    torn, whole = read_run(tmp_path / "torn"), read_run(tmp_path / "whole")
    assert torn.sha256 == whole.sha256 and torn.results == whole.results
    assert log_rows(tmp_path / "torn") == log_rows(tmp_path / "whole")
    assert whole.provenance.data == alone[1].provenance.data
    assert whole.results["test_elbo"] == pytest.approx(alone[1].results["test_elbo"], abs=0.05)
