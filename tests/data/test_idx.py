import gzip
import hashlib
import lzma
import struct

import pytest
import torch

from tests.helpers import write_idx
from vaecli.data import load_images
from vaecli.data.idx import MAX_ITEMS, read_images, read_labels
from vaecli.data.mnist import FOLDER
from vaecli.errors import DataError

# the sums that the data set's publishers give for the unpacked files
MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


@pytest.mark.parametrize(("name", "md5"), MD5.items())
def test_the_packaged_mnist_is_the_published_one(name, md5):
    assert hashlib.md5(lzma.decompress((FOLDER / f"{name}.xz").read_bytes())).hexdigest() == md5


def test_mnist_is_whole():
    train, test = load_images("mnist", "train"), load_images("mnist", "test")
    assert (train.pixels.shape, test.pixels.shape) == ((60_000, 784), (10_000, 784))
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert train.pixels.dtype == torch.uint8


@pytest.mark.parametrize(("ending", "pack"), [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)])
def test_a_folder_of_idx_files_is_read_packed_or_plain(tmp_path, small_mnist, ending, pack):
    for file in small_mnist.iterdir():
        (tmp_path / (file.name + ending)).write_bytes(pack(file.read_bytes()))
    read, expected = load_images("mnist", "train", tmp_path), load_images("mnist", "train", limit=600)
    assert torch.equal(read.pixels, expected.pixels)
    assert torch.equal(read.labels, expected.labels)


def idx(magic, *sizes, data=b""):
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + data


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 no idx", "magic number 0x504b0304, expected 0x00000803"),
        (idx(0x801, 2, data=b"12"), "magic number 0x00000801"),
        (idx(0x803, 2), "within its header"),
        (idx(0x803, 2, 28, 28, data=bytes(784)), "fewer"),
        (idx(0x803, 1, 28, 28, data=bytes(785)), "more"),
        (idx(0x803, 2, 32, 32, data=bytes(2048)), "32 x 32 pixels, expected 28 x 28"),
        (idx(0x803, 2**32 - 1, 28, 28), f"at most {MAX_ITEMS:,}"),
        (idx(0x803, 1000, 2**31, 2**31), "expected 28 x 28"),
    ],
)
def test_each_damage_has_its_error(tmp_path, content, words):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_images(path)


@pytest.mark.parametrize("ending", [".gz", ".xz"])
def test_a_cut_or_false_archive_is_refused(tmp_path, ending):
    pack = {".gz": gzip.compress, ".xz": lzma.compress}[ending]
    path = tmp_path / f"labels{ending}"
    packed = pack(idx(0x801, 3000, data=bytes(range(10)) * 300))
    for content in (packed[: len(packed) // 2], b"not an archive", packed[:30] + b"\xff" * 20 + packed[50:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=str(path)):
            read_labels(path)


def test_counts_that_differ_are_refused(tmp_path, digits):
    write_idx(tmp_path, "train", digits[:20])
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(0x801, 19, data=bytes(19)))
    with pytest.raises(DataError, match=r"20 images but .* 19 labels"):
        load_images("mnist", "train", tmp_path)


def test_a_label_without_a_class_is_refused(tmp_path, digits):
    write_idx(tmp_path, "train", digits[:2])
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(0x801, 2, data=b"\x03\x0a"))
    with pytest.raises(DataError, match="label 10, expected 0 to 9"):
        load_images("mnist", "train", tmp_path)


def test_a_missing_folder_and_an_empty_one_have_different_errors(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        load_images("mnist", "train", tmp_path / "nowhere")
    with pytest.raises(DataError, match="no train-images-idx3-ubyte there"):
        load_images("mnist", "train", tmp_path)
