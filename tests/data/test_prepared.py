"""Pictures that are prepared once: what is kept, when it is used again, and what makes it read anew."""

import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.helpers import DATA
from vaecli.data import folder as room
from vaecli.data import load_images, prepared
from vaecli.data.crop import read_cropped
from vaecli.data.dataset import ReadListener, Request
from vaecli.data.folder import FOLDER
from vaecli.data.prepared import CACHE, cache_folder, entries_of
from vaecli.data.tree import path_hash
from vaecli.errors import DataError
from vaecli.image_shape import ImageShape

EMOJI = DATA / "emoji" / "pictures"
SMALL = ImageShape(3, 8, 8)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The place of prepared pictures."""
    place = tmp_path / "kept"
    monkeypatch.setenv(CACHE, str(place))
    return place


@pytest.fixture
def opened(monkeypatch):
    """The names of the files that were unpacked since it was cleared."""
    names = []
    monkeypatch.setattr(room, "read_cropped", lambda path, *more: names.append(path.name) or read_cropped(path, *more))
    return names


@pytest.fixture
def folder(tmp_path):
    """A folder of pictures with both splits, of which one is no picture."""
    place = tmp_path / "pictures"
    for split, count in (("train", 12), ("test", 5)):
        for number in range(count):
            path = place / split / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.linear_gradient("L").resize((20 + number, 20)).convert("RGB").save(path)
    (place / "train" / "a" / "broken.png").write_bytes(b"no picture")
    return place


def read(folder, split="train", **more):
    notes = []
    images = FOLDER.read(replace(Request("folder", split, folder, SMALL), **more), ReadListener(notes.append))
    return images, notes


def same(first, second):
    assert torch.equal(first.pixels, second.pixels) and torch.equal(first.labels, second.labels)
    assert (first.names, first.class_names, first.digest) == (second.names, second.class_names, second.digest)
    assert first.reading == second.reading


@pytest.mark.parametrize(
    "more",
    [{}, {"limit": 5}, {"validation": 3}, {"limit": 4, "validation": 3}, {"pixel_range": (0, 255)}, {"conditional": True}],
    ids=str,
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_kept_is_what_is_read(folder, kept, opened, monkeypatch, more, split):
    if split == "test":
        more = {name: value for name, value in more.items() if name not in ("limit", "validation")}
    monkeypatch.setenv(CACHE, "none")
    plain, notes = read(folder, split, **more)
    monkeypatch.setenv(CACHE, str(kept))
    first, of_first = read(folder, split, **more)
    opened.clear()
    again, of_again = read(folder, split, **more)
    assert opened == []
    assert notes == of_first == of_again
    same(plain, first)
    same(plain, again)
    assert again.pixels.dtype == torch.uint8 and len(again) > 3


def test_the_bytes_are_mapped_and_not_copied(folder, kept):
    read(folder)
    images, _ = read(folder)
    assert "digest" in vars(images)
    (pixels,) = kept.glob("*/*.pixels")
    if sys.platform == "linux":
        assert str(pixels) in Path("/proc/self/maps").read_text()
    assert pixels.stat().st_size == images.pixels.numel()


def test_only_changed_pictures_are_unpacked_again(folder, kept, opened):
    before, _ = read(folder)
    Image.new("RGB", (9, 9), "red").save(folder / "train" / "a" / "0.png")
    Image.new("RGB", (9, 9), "blue").save(folder / "train" / "b" / "new.png")
    (folder / "train" / "b" / "3.png").unlink()
    opened.clear()
    now, _ = read(folder)
    assert sorted(opened) == ["0.png", "broken.png", "new.png"]
    assert len(now) == len(before)
    index = now.names.index("train/a/0.png")
    assert now.pixels[index].view(3, -1).unique(dim=1).flatten().tolist() == [255, 0, 0]
    others = [name for name in now.names if name in before.names and name != "train/a/0.png"]
    assert len(others) == 10
    for name in others:
        assert torch.equal(now.pixels[now.names.index(name)], before.pixels[before.names.index(name)])
    assert len(list(kept.glob("*/*.pixels"))) == 1  # what it replaced is gone


def test_a_picture_that_keeps_its_size_and_date_is_seen_to_change(folder, opened, kept):
    file = folder / "train" / "a" / "0.png"
    read(folder)
    data, status = bytearray(file.read_bytes()), file.stat()
    Image.new("RGB", (20, 20), "green").save(file)
    changed = file.read_bytes()
    file.write_bytes(changed + bytes(len(data) - len(changed)) if len(changed) < len(data) else changed)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    opened.clear()
    images, _ = read(folder)
    assert "0.png" in opened
    assert images.pixels[images.names.index("train/a/0.png")].view(3, -1)[1].unique().tolist() == [128]


def test_another_selection_takes_over_what_was_unpacked(folder, kept, opened):
    read(folder)
    opened.clear()
    few, _ = read(folder, limit=4, validation=2)
    assert opened == [] or set(opened) == {"broken.png"}
    read(folder, pixel_range=(0, 255))
    assert opened == [] or set(opened) == {"broken.png"}
    read(folder, "test")
    assert sorted(set(opened) - {"broken.png"}) == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    assert len(few) == 6


@pytest.mark.parametrize("shape", [ImageShape(1, 8, 8), ImageShape(3, 16, 16)])
def test_another_shape_is_another_entry(folder, kept, shape):
    first, _ = read(folder)
    other, _ = read(folder, known_shape=shape)
    again, _ = read(folder)
    assert other.shape == shape
    same(first, again)
    assert len(list(kept.iterdir())) == 2


def damaged(kept, how):
    (pixels,) = kept.glob("*/*.pixels")
    manifests = list(kept.glob("*/*.json"))
    if how == "pixels cut short":
        pixels.write_bytes(pixels.read_bytes()[:-1])
    elif how == "pixels gone":
        pixels.unlink()
    elif how == "pixels longer":
        pixels.write_bytes(pixels.read_bytes() + b"0")
    for file in manifests:
        values = json.loads(file.read_text())
        if how == "manifest cut short":
            file.write_bytes(file.read_bytes()[:-9])
        elif how == "manifest of another kind":
            file.write_text("[1, 2]")
        elif how == "a path out of the place":
            file.write_text(json.dumps(values | {"pixels": "../../pixels"}))
        elif how == "another version":
            file.write_text(json.dumps(values | {"version": 0}))
        elif how == "pictures of another kind":
            file.write_text(json.dumps(values | {"pictures": [[1]] * len(values["pictures"])}))
        elif how == "nested without end":
            file.write_text("[" * 100_000)
        elif how == "others may write" and os.name == "posix":
            pixels.chmod(0o666)


@pytest.mark.parametrize(
    "how",
    ["pixels cut short", "pixels gone", "pixels longer", "manifest cut short", "manifest of another kind",
     "a path out of the place", "another version", "pictures of another kind", "nested without end", "others may write"],
)  # fmt: skip
def test_a_damaged_entry_is_prepared_anew(folder, kept, opened, how):
    first, notes = read(folder)
    first = replace(first, pixels=first.pixels.clone())  # of the file that is damaged
    damaged(kept, how)
    opened.clear()
    again, more = read(folder)
    assert len(opened) == 13
    same(first, again)
    assert notes == more
    opened.clear()
    same(first, read(folder)[0])
    assert opened == []


def test_where_nothing_can_be_kept_one_note_says_so(folder, kept, opened, monkeypatch):
    monkeypatch.setenv(CACHE, str(folder / "train" / "a" / "0.png"))
    plain, notes = read(folder)
    assert notes[0].endswith("0.png: prepared pictures cannot be kept there (not a directory); they are read anew each time")
    monkeypatch.setenv(CACHE, "none")
    same(plain, read(folder)[0])
    assert cache_folder() is None


def test_a_full_disk_is_one_note_and_the_work_goes_on(folder, kept, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    images, notes = read(folder)
    assert len(images) == 12
    assert [note for note in notes if "no space left on device" in note] == [
        f"{kept}: prepared pictures cannot be kept there (no space left on device); they are read anew each time"
    ]
    assert not list(kept.glob("*/*.pixels"))
    monkeypatch.setattr(prepared, "SHARE", 1e-12)
    assert any("half of what is free is 0.0" in note for note in read(folder)[1])


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owners are POSIX's")
def test_the_place_of_another_user_is_left_alone(folder, kept, monkeypatch):
    read(folder)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    images, notes = read(folder)
    assert "it is another user's, or others may write to it" in notes[0]
    assert len(images) == 12


def test_two_writers_prepare_once_and_agree(folder, kept, opened):
    results = []
    threads = [threading.Thread(target=lambda: results.append(read(folder)[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 13
    for other in results[1:]:
        same(results[0], other)


def test_what_was_unused_for_longest_makes_room(folder, kept, monkeypatch):
    read(folder)
    (old,) = kept.iterdir()
    for file in old.glob("*.json"):
        os.utime(file, (1, 1))
    read(folder, known_shape=ImageShape(1, 8, 8))
    entries = entries_of(kept)
    assert [entry.pictures for entry in entries] == [12, 12]
    real = os.statvfs(kept)
    monkeypatch.setattr(os, "statvfs", lambda _: type("Disk", (), {"f_bavail": 0, "f_frsize": real.f_frsize})())
    monkeypatch.setattr(prepared, "SHARE", 0.9)
    read(folder, known_shape=ImageShape(1, 9, 9))
    assert old not in [entry.place for entry in entries_of(kept)]


def test_real_pictures_are_kept(kept, opened):
    first = load_images("folder", "train", EMOJI)
    count = len(opened)
    again = load_images("folder", "train", EMOJI)
    assert len(opened) == count == len(first) == 20
    same(first, again)


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.parametrize("splits", [("train/", "test/"), ("", "")], ids=["named", "by hash"])
def test_a_picture_of_bytes_is_opened_once(tmp_path, kept, unpacked, kind, splits):
    names = [f"{splits[number % 3 == 0]}{number}.{kind}" for number in range(30)]
    for name in names:
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize((20, 20)).save(tmp_path / "pictures" / name)
    first, _ = read(tmp_path / "pictures")
    range_of = first.reading.pixel_range
    test, _ = read(tmp_path / "pictures", "test", pixel_range=range_of)
    ends = 0 if splits[0] else 2 * 2  # the first and the last by hash, for each split
    assert len(unpacked) == 30 + ends
    assert {*unpacked} == {name.rpartition("/")[2] for name in names}
    unpacked.clear()
    same(first, read(tmp_path / "pictures")[0])
    same(test, read(tmp_path / "pictures", "test", pixel_range=range_of)[0])
    assert unpacked == []


@pytest.mark.parametrize("broken", [0, 100])
def test_no_more_pictures_are_opened_than_the_limit_needs(tmp_path, kept, unpacked, broken):
    for split, count in (("train", 100), ("test", 1)):
        (tmp_path / split).mkdir()
        for number in range(count):
            Image.new("L", (9, 9)).save(tmp_path / split / f"{number}.jpg")
    for number in range(broken):
        (tmp_path / "train" / f"{number}.broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    images, _ = read(tmp_path, limit=7)
    tried = sorted((file.name for file in (tmp_path / "train").iterdir()), key=lambda name: path_hash(f"train/{name}"))
    last = tried.index(images.names[-1].removeprefix("train/"))
    assert set(tried[: last + 1]) <= set(unpacked) <= set(tried[: last + 1 + 8])
    assert len(images) == 7 and (broken or len(unpacked) == 7)


def test_a_broken_jpeg_does_not_decide_what_is_black_and_white(tmp_path, kept):
    """Pictures of bytes and of floats up to 1 do not go together; one that cannot be read is no picture of bytes."""
    for number in range(6):
        Image.new("F", (9, 9), number / 5).save(tmp_path / f"{number}.tif")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    assert read(tmp_path)[0].reading.pixel_range == (0, 1)
    Image.new("L", (9, 9)).save(tmp_path / "fine.jpg")
    with pytest.raises(DataError, match="found pictures of 8 bits beside numbers"):
        read(tmp_path)


def test_damage_to_what_is_kept_of_single_pictures_makes_them_read_anew(folder, kept, opened):
    for details in ("[", "[[1]]", json.dumps([[0, 0, 0, [1, 1], 1, 1, 0, 0, 1, [0, 255], None]]), "[" * 100_000, "[[1, 2], []]"):
        first, _ = read(folder)
        for file in kept.glob("*/*.json"):
            file.write_text(json.dumps(json.loads(file.read_text()) | {"details": details}))
        opened.clear()
        same(first, read(folder)[0])
        assert opened == []
        read(folder, limit=11)
        assert len(opened) >= 11
        for file in kept.glob("*/*"):
            file.unlink()
