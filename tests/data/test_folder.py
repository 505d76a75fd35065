"""Reading a folder of a person's own pictures: what comes out, what is noted, what is refused."""

import threading
import warnings

import pytest
import torch
from PIL import Image

from tests.data.test_fuzz import png_bomb
from tests.helpers import DATA, put
from vaecli.config import Config
from vaecli.data import folder as room
from vaecli.data import load_images
from vaecli.data.dataset import ReadListener, Request
from vaecli.data.folder import FOLDER
from vaecli.data.images import UNKNOWN
from vaecli.data.load import Source
from vaecli.data.tree import TENTH, path_hash
from vaecli.errors import DataError
from vaecli.files import CACHE
from vaecli.image_shape import ImageShape

EMOJI = DATA / "emoji" / "pictures"
SMALL = ImageShape(3, 8, 8)


def save(folder, *paths, size=(8, 8)):
    """Pictures, each of one colour, which follows from its path."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour(path)).save(folder / path, "PNG")
    return folder


def colour(path):
    return tuple(path_hash(path).to_bytes(8)[:3])


def read(folder, split="train", shape=SMALL):
    """The images, and the notes."""
    notes = []
    images = FOLDER.read(Request("folder", split, folder, shape), ReadListener(notes.append))
    return images, notes


def colours(images):
    return [tuple(row.view(3, -1)[:, 0].tolist()) for row in images.pixels]


def test_real_pictures_come_with_labels_names_and_the_same_bytes_every_time():
    train, notes = read(EMOJI, shape=ImageShape(3, 64, 64))
    test, more = read(EMOJI, "test", ImageShape(3, 64, 64))
    assert notes == more == []
    assert train.class_names == test.class_names == ("flags", "food-drink", "travel-places")
    assert sorted(train.labels.tolist() + test.labels.tolist()) == [0] * 8 + [1] * 8 + [2] * 8
    assert all(name.startswith(train.class_names[label]) for name, label in zip(train.names, train.labels, strict=True))
    assert train.pixels.shape == (20, 12288)
    assert train.pixels.dtype == torch.uint8
    assert train.names == tuple(sorted(train.names, key=path_hash))
    assert set(test.names) == {
        f"{name}.png" for name in ("flags/1f1e6-1f1f9", "food-drink/1f374", "food-drink/1f346", "travel-places/26a1")
    }
    assert train.digest.startswith("61aa7485181d")
    assert test.digest.startswith("402f8bc9")
    red_white_red = test.pixels[test.labels == 0].view(3, 64, 64)[:, [2, 20, 32, 44], 32].T.tolist()
    assert red_white_red == [[255, 255, 255], [237, 41, 57], [238, 238, 238], [237, 41, 57]]


def test_they_are_loaded_by_name_in_any_shape():
    images = load_images("folder", "test", EMOJI, image_size=28, colour="grey")
    assert images.shape == ImageShape(1, 28, 28)
    assert images.pixels.shape == (4, 784)
    source = Source(Config(dataset="folder", image_size=16), EMOJI)
    assert source.is_own
    assert source.record.train != source.record.test


def test_each_picture_is_in_its_row_however_long_the_others_take(tmp_path, monkeypatch):
    names = [f"{number:03}.png" for number in range(200)]
    save(tmp_path, *names)
    real, turn = room.read_cropped, threading.Barrier(2)
    monkeypatch.setattr(room, "processors", lambda: 2)
    images, _ = read(tmp_path)

    def slow(path, *form):
        if path.name in (images.names[100], images.names[110]):
            turn.wait(10)  # the one is read while the other still is
        return real(path, *form)

    monkeypatch.setattr(room, "read_cropped", slow)
    again, _ = read(tmp_path)
    assert colours(images) == [colour(name) for name in images.names]
    assert images.digest == again.digest


def test_progress_ends_with_all(tmp_path):
    save(tmp_path, *(f"{number}.png" for number in range(100)))
    calls = []
    images = FOLDER.read(
        Request("folder", "train", tmp_path, SMALL), ReadListener(progress=lambda done, total: calls.append((done, total)))
    )
    assert calls == [(32, len(images)), (64, len(images)), (len(images), len(images))]


def test_splits_that_are_sub_folders(tmp_path):
    save(tmp_path, "train/b/1.png", "train/2.png", "test/a/3.png", "val/4.png", "5.png")
    images, notes = read(tmp_path)
    assert images.names == ("train/2.png", "train/b/1.png")
    assert (images.class_names, images.labels.tolist()) == (("a", "b"), [UNKNOWN, 1])
    assert (images.reading.folders, images.reading.unused) == (("train",), 1)
    assert notes == [
        f"{tmp_path}: pictures outside test/, train/ and val/, left out: 1",
        f"{tmp_path}: pictures beside the sub-folders, which are the labels, and so without one: 2",
    ]
    images, notes = read(tmp_path, "test")
    assert (images.names, images.labels.tolist(), notes) == (("test/a/3.png",), [0], [])
    assert images.reading.untrained == (("a", 1),)


def test_an_empty_split_is_refused(tmp_path):
    save(tmp_path, "train/1.png")
    (tmp_path / "test").mkdir()
    assert len(read(tmp_path)[0]) == 1
    with pytest.raises(DataError, match="found no picture in test/, expected PNG, JPEG"):
        read(tmp_path, "test")


def test_pictures_that_cannot_be_read_are_noted_once_and_left_out(tmp_path):
    bad = [f"{number:02}.jpg" for number in range(40)]
    save(tmp_path, "a.png", "b.png", "c.png")
    for name in bad:
        (tmp_path / name).write_text("no picture")
    images, notes = read(tmp_path)
    rest, more = read(tmp_path, "test")
    assert sorted(images.names + rest.names) == ["a.png", "b.png", "c.png"]
    assert len(rest) == 1
    lines = [note for note in notes if "cannot be read as a picture (not a picture)" in note]
    assert len(lines) == 10
    count = next(note for note in notes if "left out, as they cannot be read" in note)
    others = next(note for note in more if "left out, as they cannot be read" in note)
    lost = [int(note.split(": ")[2].split(" of")[0]) for note in (count, others)]
    assert sum(lost) == 40
    assert min(lost) > 0
    assert colours(images) == [colour(name) for name in images.names]


@pytest.mark.parametrize("kind", ["FIFO", "device", "socket", "holes", "link", "bomb"])
def test_hostile_files_are_noted_and_the_others_read(tmp_path, kind):
    save(tmp_path, "a.png", "b.png")
    bad = tmp_path / "c.png"
    if kind == "link":
        bad.symlink_to(bad.name)
    elif kind == "bomb":
        bad.write_bytes(png_bomb(13_000))
    else:
        put(bad, kind)
    found = [read(tmp_path, split) for split in ("train", "test")]
    assert sorted(name for images, _ in found for name in images.names) == ["a.png", "b.png"]
    assert sum(note.startswith(f"{bad}: ") for _, notes in found for note in notes) == 1


def test_a_folder_of_files_that_are_no_pictures(tmp_path):
    with pytest.raises(DataError, match=r"found no file, expected PNG, .*; give the folder of pictures with data_dir=DIR"):
        read(tmp_path)
    for name in ("a.txt", "b.txt", "c.pdf"):
        (tmp_path / name).write_text("text")
    with pytest.raises(DataError, match=r"found other files: 3 \(\.txt, \.pdf\), expected PNG"):
        read(tmp_path)
    (tmp_path / "d.png").write_text("text")
    for split in "train", "test":
        with pytest.raises(DataError, match=r"found files named like pictures: 1, none of which can be read; the first: .*d\.png"):
            read(tmp_path, split)
    save(tmp_path, "e.png")
    assert (
        f"{tmp_path}: other files: 3 (.txt, .pdf), left out; pictures are PNG, JPEG, GIF, BMP, WEBP, AVIF, HEIC, TIFF or PPM files"
        in read(tmp_path)[1]
    )


def test_a_single_picture_is_in_both_splits(tmp_path):
    save(tmp_path, "only.png")
    (train, notes), (test, more) = read(tmp_path), read(tmp_path, "test")
    assert train.names == test.names == ("only.png",)
    assert notes == more == []


def test_pictures_that_are_cut_or_scaled_are_counted(tmp_path):
    save(tmp_path, "train/a.png", "train/b.png", "test/a.png", size=(9, 8))
    save(tmp_path, "train/c.png", size=(30, 30))
    train, test = read(tmp_path)[0].reading, read(tmp_path, "test")[0].reading
    assert (train.cut, train.scaled) == (2, 1)
    assert (test.cut, test.scaled) == (1, 0)


def test_a_name_that_a_terminal_would_obey_is_spelt_out_in_notes(tmp_path):
    names = [name for letter in "abcdef" if path_hash(name := f"{letter}\x1b[31m\n.png") >= TENTH]
    save(tmp_path, *names[:2])
    (tmp_path / names[2]).write_text("text")
    notes = read(tmp_path)[1] + read(tmp_path, "test")[1]
    assert sum("x1b[31m\\n.png" in note for note in notes) == 1
    assert all(note.isprintable() for note in notes)


def test_more_pictures_than_the_memory_holds_are_refused_before_any_is_read(tmp_path, monkeypatch):
    for number in range(20):
        (tmp_path / f"{number}.png").touch()
    monkeypatch.setattr(room, "machine_memory", lambda: 40 * SMALL.size - 1)
    with pytest.raises(DataError, match="none of which can be read"):
        read(tmp_path)  # they are on the disk
    monkeypatch.setenv(CACHE, "none")
    monkeypatch.setattr(room, "machine_memory", lambda: 40 * SMALL.size - 1)
    with pytest.raises(
        DataError, match=r"20 pictures of 8 x 8 x 3 take .*; take fewer of them with limit=19, or smaller images with image_size=8"
    ):
        read(tmp_path)
    monkeypatch.setattr(room, "machine_memory", lambda: 40 * 32 * 32 * 3)
    with pytest.raises(DataError, match=r"20 pictures of 64 x 64 x 3 .* smaller images with image_size=32"):
        read(tmp_path, shape=ImageShape(3, 64, 64))
    with pytest.raises(DataError, match="none of which can be read"):
        read(tmp_path, shape=ImageShape(3, 32, 32))


def test_warnings_of_pillow_are_not_shown_and_others_still_are(tmp_path, monkeypatch):
    save(tmp_path, *(f"{number}.png" for number in range(20)))
    real = room.read_cropped

    def warn(path, *form):
        warnings.warn("a damaged picture", UserWarning, stacklevel=1)
        return real(path, *form)

    before = list(warnings.filters)
    monkeypatch.setattr(room, "read_cropped", warn)
    assert len(read(tmp_path)[0]) + len(read(tmp_path, "test")[0]) == 20
    assert warnings.filters == before
