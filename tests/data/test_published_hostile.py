"""Files that are damaged though their checksums were the published ones, and pickles whose checksum is another."""

import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
import torchvision.datasets as torchvision

from tests.data import stand_ins
from tests.data.stand_ins import failure, publish

pytestmark = pytest.mark.usefixtures("stand_ins_published")


class Hostile:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def hostile(write, dataset, monkeypatch, tmp_path, name, data):
    """A set of which one file holds `data`, as if it were published."""
    write(tmp_path / "hostile", change=lambda found, whole: data if found.endswith(name) else whole)
    publish(monkeypatch, dataset, tmp_path / "hostile")
    return failure(dataset, tmp_path / "hostile")


def test_no_pickle_is_opened_whose_checksum_is_another(monkeypatch, tmp_path, originals):
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps({"data": Hostile(), "labels": []}, protocol=2)
    stand_ins.cifar10(tmp_path / "hostile", change=lambda found, whole: data if found == "data_batch_3" else whole)
    assert "cifar-10-python.tar.gz: found MD5 " in failure("cifar10", tmp_path / "hostile")
    assert not Path("ran").exists()
    pickle.loads(data)
    assert Path("ran").exists()  # it would have


def test_a_batch_whose_own_checksum_is_another_is_not_unpickled(monkeypatch, originals):
    monkeypatch.setattr(torchvision.CIFAR10, "train_list", [["data_batch_1", "0" * 32]])
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("unpickled"))
    assert "cifar-10-python.tar.gz (Dataset not found or corrupted" in failure("cifar10", originals / "cifar10")


@pytest.mark.parametrize(
    ("write", "dataset", "name", "data", "words"),
    [
        (stand_ins.emnist, "emnist-letters", "train-images-idx3-ubyte.gz", b"no gzip", "gzip.zip ("),
        (stand_ins.omniglot, "omniglot", "0000_03.png", b"no picture", "cannot identify image file"),
        (stand_ins.cifar10, "cifar10", "data_batch_1", b"no pickle", "cannot be read from"),
    ],
)
def test_a_part_that_is_damaged_is_one_line(monkeypatch, tmp_path, write, dataset, name, data, words):
    assert words in hostile(write, dataset, monkeypatch, tmp_path, name, data)


def test_an_archive_without_drawings_is_refused(monkeypatch, tmp_path, originals):
    shutil.copytree(originals / "omniglot", tmp_path / "bare")
    with zipfile.ZipFile(tmp_path / "bare/omniglot-py/images_background.zip", "w") as packed:
        packed.writestr("images_background/readme.txt", b"")
    publish(monkeypatch, "omniglot", tmp_path / "bare")
    assert "holds no image" in failure("omniglot", tmp_path / "bare")


def test_without_scipy_one_line_says_how_to_install_it_before_anything_is_downloaded(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert failure("svhn") == "svhn: found no scipy, which reads its files; install it with: pip install 'vaecli[svhn]'"
