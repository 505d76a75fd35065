"""Hostile images and pictures: each costs one line, little memory and no wait."""

import gzip
import lzma
import os
import shutil
import struct
import sys

import pytest
from PIL import Image

from tests.helpers import MORE, put, refused

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux reports it")


@pytest.mark.parametrize("kind", ["FIFO", "device"])
def test_data_and_pictures_that_are_no_files(alone, ordinary, small_mnist, tmp_path, kind):
    data = tmp_path / "data"
    for name, ending in (("t10k-images-idx3-ubyte", ""), ("t10k-labels-idx1-ubyte", ".gz"), ("t10k-images-idx3-ubyte", ".xz")):
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(small_mnist, data)
        (data / name).unlink()
        put(data / (name + ending), kind)
        outcome = alone("reconstruct", "small", "--data-dir", data)
        assert f"{name}{ending}: " in refused(outcome)
        assert outcome.peak < ordinary + MORE
    put(tmp_path / "picture.png", kind)
    for line in (["reconstruct", "small", "--image"], ["inpaint", "small", "--mask"]):
        outcome = alone(*line, tmp_path / "picture.png")
        assert "picture.png: " in refused(outcome)
        assert outcome.peak < ordinary + MORE


def zeros(path, head, count):
    """Writes a file of a head and so many zero bytes, packed as its name says or with a hole."""
    match path.suffix:
        case ".gz":
            path.write_bytes(gzip.compress(head) + gzip.compress(bytes(count // 100), 1) * 100)
        case ".xz":
            path.write_bytes(lzma.compress(head + bytes(count), preset=0))
        case _:
            path.write_bytes(head)
            os.truncate(path, len(head) + count)


@pytest.mark.parametrize(
    ("ending", "shape", "body", "words"),
    [
        (".gz", (191, 4096, 4096), 191 << 24, "found images of 4096 x 4096 pixels"),
        ("", (191, 4096, 4096), 191 << 24, "found images of 4096 x 4096 pixels"),
        ("", (2_000_000, 28, 28), 2_000_000 * 784, "the header says 1,568,000,000 bytes, but the file takes"),
        (".gz", (400_000, 28, 28), 400_000 * 784, "the header says 313,600,000 bytes, but the file takes"),
        (".xz", (400_000, 28, 28), 1000, "the header says 313,600,000 bytes, but the file takes"),
        (".gz", (150_000, 28, 28), 400_000_000, "the file holds more"),
        (".xz", (150_000, 28, 28), 1000, "the file holds fewer"),
        ("", (150_001, 28, 28), 150_001 * 784, "150001 images but"),
    ],
)
def test_images_that_are_not_there(alone, ordinary, tmp_path, ending, shape, body, words):
    labels = 150_000 if shape[0] == 150_001 else shape[0]
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, labels) + bytes(labels))
    zeros(tmp_path / f"t10k-images-idx3-ubyte{ending}", struct.pack(">IIII", 0x803, *shape), body)
    outcome = alone("reconstruct", "small", "--data-dir", tmp_path, "-q")
    assert words in refused(outcome)
    assert outcome.peak < ordinary + MORE


def test_a_picture_of_too_many_bytes_is_not_read(alone, tmp_path):
    put(tmp_path / "picture.png", "holes")
    assert "found 10,737,418,240 bytes" in refused(alone("reconstruct", "small", "--image", tmp_path / "picture.png"))


def test_a_picture_of_the_most_pixels_takes_little_more(alone, ordinary, tmp_path):
    for mode, name in (("RGBA", "a.png"), ("I;16", "b.tiff"), ("RGB", "c.jpg")):
        Image.new(mode, (5000, 5000)).save(tmp_path / name, **({"compress_level": 1} if name == "a.png" else {}))
        outcome = alone("reconstruct", "small", "--image", tmp_path / name, "-q")
        assert "blank" in refused(outcome)
        assert outcome.peak < ordinary + MORE


def test_a_picture_that_pillow_grumbles_about_is_one_line(alone, tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "picture.tiff")
    samples = struct.pack("<HHI", 277, 3, 1)
    data = (tmp_path / "picture.tiff").read_bytes()
    assert samples + b"\x03" in data
    (tmp_path / "picture.tiff").write_bytes(data.replace(samples + b"\x03", samples + b"\x2a"))
    for line in (["inpaint", "small", "--mask"], ["reconstruct", "small", "--image"]):
        assert "cannot be read as a picture" in refused(alone(*line, tmp_path / "picture.tiff", "-q"))
