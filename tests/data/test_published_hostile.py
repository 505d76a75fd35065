"""Files that would do harm or are damaged, though their checksums were the published ones."""

import gzip
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets as torchvision
from PIL import Image

from tests.data import stand_ins
from tests.data.stand_ins import failure, noise, publish
from vaecli.data import cifar, emnist, idx, load_images

pytestmark = pytest.mark.usefixtures("stand_ins_published")


class Hostile:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def hostile(write, dataset, monkeypatch, tmp_path, name, data):
    """A set of which one file holds `data`, as if it were published."""
    write(tmp_path / "hostile", change=lambda found, whole: data if found.endswith(name) else whole)
    publish(monkeypatch, dataset, tmp_path / "hostile")
    return failure(dataset, tmp_path / "hostile")


def test_no_code_of_a_pickle_runs_though_it_were_published(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps({"data": Hostile(), "labels": []}, protocol=2)
    assert "NumPy's arrays only" in hostile(stand_ins.cifar10, "cifar10", monkeypatch, tmp_path, "data_batch_3", data)
    assert not Path("ran").exists()
    pickle.loads(data)
    assert Path("ran").exists()  # it would have


def test_a_pickle_of_other_numbers_is_refused(monkeypatch, tmp_path):
    data = stand_ins.pickled({"data": np.zeros((6, 100), np.uint8), "labels": [0] * 6})
    line = hostile(stand_ins.cifar10, "cifar10", monkeypatch, tmp_path, "data_batch_1", data)
    assert "data_batch_1: found torch.uint8 of (6, 100), expected bytes of 6 x 3072" in line


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((32, 32, 3, 2_000_001), "found X of 32 x 32 x 3 x 2,000,001, expected at most"),
        ((32, 32, 3, -1), "expected at most"),
        ((32, 32, 3, 1_900_000), "expected 32 x 32 x 3 x 1,900,000 whole numbers"),
        ((1 << 30, 1 << 30, 3, 3), "expected at most"),
    ],
)
def test_hostile_sizes_of_a_mat_file(monkeypatch, tmp_path, sizes, words, packed):
    data = stand_ins.mat(stand_ins.matrix("X", np.zeros((32, 32, 3, 2)), sizes, packed))
    assert words in hostile(stand_ins.svhn, "svhn", monkeypatch, tmp_path, "train_32x32.mat", data)


@pytest.mark.parametrize("cut", [100, 130, 140, 180, 5000, -10])
@pytest.mark.parametrize("packed", [False, True])
def test_a_mat_file_that_ends_early(monkeypatch, tmp_path, cut, packed):
    stand_ins.svhn(tmp_path / "whole", packed=packed)
    publish(monkeypatch, "svhn", tmp_path / "whole")
    assert len(load_images("svhn", "train", tmp_path / "whole")) == 30
    data = (tmp_path / "whole" / "train_32x32.mat").read_bytes()[:cut]
    line = hostile(stand_ins.svhn, "svhn", monkeypatch, tmp_path, "train_32x32.mat", data)
    assert "too early" in line or "level 5" in line


def test_a_large_drawing_is_refused(monkeypatch, tmp_path):
    data = stand_ins.png(Image.new("1", (30_000, 30_000)))
    line = hostile(stand_ins.omniglot, "omniglot", monkeypatch, tmp_path, "0000_03.png", data)
    assert "expected at most 65,536" in line or "expected 105 x 105" in line


@pytest.mark.parametrize(("data", "words"), [(b"no gzip", "fetch the file again"), (b"", "empty or cut")])
def test_a_letters_file_that_is_none(monkeypatch, tmp_path, data, words):
    name = "train-images-idx3-ubyte.gz"
    assert words in hostile(stand_ins.emnist, "emnist-letters", monkeypatch, tmp_path, name, data)


def test_letters_outside_the_alphabet_are_refused(monkeypatch, tmp_path):
    data = gzip.compress(stand_ins.idx(np.zeros(30)))
    line = hostile(stand_ins.emnist, "emnist-letters", monkeypatch, tmp_path, "train-labels-idx1-ubyte.gz", data)
    assert "labels from 0 to 0, expected 28 x 28 and 1 to 26" in line


@pytest.mark.parametrize(("module", "dataset"), [(emnist, "emnist-letters"), (cifar, "cifar10")])
def test_a_large_file_in_an_archive_is_refused(monkeypatch, originals, module, dataset):
    monkeypatch.setattr(module, "_LARGEST", 100)
    assert "at most 100" in failure(dataset, originals / dataset)


def test_a_batch_whose_own_checksum_is_another_is_not_unpickled(monkeypatch, originals):
    monkeypatch.setattr(torchvision.CIFAR10, "train_list", [["data_batch_1", "0" * 32]])
    assert "data_batch_1: found another file than the published one" in failure("cifar10", originals / "cifar10")


def test_a_drawing_of_another_size_is_refused(monkeypatch, tmp_path):
    data = stand_ins.png(Image.new("1", (104, 105)))
    line = hostile(stand_ins.omniglot, "omniglot", monkeypatch, tmp_path, "0000_03.png", data)
    assert "0000_03.png has 104 x 105 pixels, expected 105 x 105" in line


def test_an_archive_without_drawings_is_refused(monkeypatch, tmp_path, originals):
    shutil.copytree(originals / "omniglot", tmp_path / "bare")
    with zipfile.ZipFile(tmp_path / "bare/omniglot-py/images_background.zip", "w") as packed:
        packed.writestr("images_background/readme.txt", b"")
    publish(monkeypatch, "omniglot", tmp_path / "bare")
    assert "images_background.zip: found 0 drawings" in failure("omniglot", tmp_path / "bare")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.full((30, 1), 11), "labels from 11 to 11, expected 1 to 10"),
        (np.ones((29, 1)), r"found X of (32, 32, 3, 30) and 29 labels"),
    ],
)
def test_labels_that_do_not_belong_to_house_numbers(monkeypatch, tmp_path, labels, words):
    data = stand_ins.mat(stand_ins.matrix("X", noise(32, 32, 3, 30)), stand_ins.matrix("y", labels))
    assert words in hostile(stand_ins.svhn, "svhn", monkeypatch, tmp_path, "train_32x32.mat", data)


def test_a_mat_file_with_a_long_name_is_not_unpacked_further(monkeypatch, tmp_path):
    data = stand_ins.mat(stand_ins.matrix("X" * 1000, np.zeros((32, 32, 3, 2))))
    line = hostile(stand_ins.svhn, "svhn", monkeypatch, tmp_path, "train_32x32.mat", data)
    assert "found 1,000 bytes where a name or the sizes of an array stand" in line


def test_a_small_mat_file_that_unpacks_to_much(monkeypatch, tmp_path):
    monkeypatch.setattr(idx, "_LARGE", 10_000)
    data = stand_ins.mat(stand_ins.matrix("X", np.zeros((32, 32, 3, 100))))
    line = hostile(stand_ins.svhn, "svhn", monkeypatch, tmp_path, "train_32x32.mat", data)
    assert "the header says 307,200 bytes, but the file takes" in line
