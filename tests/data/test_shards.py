"""Tar shards: the pictures in them are those of a folder; what is hostile or damaged is refused or counted, and never ignored."""

import gzip
import io
import itertools
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import webdataset
from braceexpand import braceexpand
from PIL import Image

from tests.helpers import DATA, put
from vaecli.data import folder as room
from vaecli.data import shards
from vaecli.data.crop import read_cropped
from vaecli.data.dataset import ReadListener, Request
from vaecli.data.folder import FOLDER
from vaecli.errors import DataError, VaecliError
from vaecli.files import CACHE
from vaecli.image_shape import ImageShape

EMOJI = DATA / "emoji" / "pictures"
SHAPE = ImageShape(3, 16, 16)


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "kept"))
    return tmp_path / "kept"


def read(place, split="train", **more):
    notes = []
    images = FOLDER.read(replace(Request("folder", split, Path(place), SHAPE), **more), ReadListener(notes.append))
    return images, [note for note in notes if not note.endswith("whose members are listed once")]


def pictures():
    """The keys and the bytes of real pictures."""
    return {file.relative_to(EMOJI).with_suffix("").as_posix(): file.read_bytes() for file in sorted(EMOJI.rglob("*.png"))}


def write(pattern, samples, each):
    """Shards, by webdataset's own writer; the folder with them."""
    pattern.parent.mkdir(parents=True, exist_ok=True)
    with webdataset.ShardWriter(str(pattern), maxcount=each, verbose=0) as writer:
        for key, sample in samples:
            writer.write({"__key__": key, **sample})
    return pattern.parent


def png(shade):
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 0, 255 - shade)).save(file, "PNG")
    return file.getvalue()


def add(tar, name, data=b"", **fields):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    for field, value in fields.items():
        setattr(entry, field, value)
    tar.addfile(entry, io.BytesIO(data))


@pytest.fixture
def made(tmp_path):
    """A tar of six pictures, to which a test adds its own members."""

    def make(*members, name="x.tar", **how):
        with tarfile.open(tmp_path / name, "w", **how) as tar:
            for number in range(6):
                add(tar, f"{number}.png", png(number))
            for member, data, fields in members:
                add(tar, member, data, **fields)
        return tmp_path / name

    return make


def both(place):
    found = [read(place, split) for split in ("train", "test")]
    return [name for images, _ in found for name in images.names], [note for _, notes in found for note in notes]


@pytest.mark.parametrize("splits", [False, True], ids=["by hash", "named"])
@pytest.mark.parametrize("place", ["{000..007}.tar", "*.tar", "."])
def test_eight_shards_hold_what_the_folder_holds(tmp_path, splits, place):
    files, folder = pictures(), EMOJI
    if splits:
        folder = tmp_path / "folder"
        files = {f"{('train', 'test')[number % 3 == 0]}/{key}": data for number, (key, data) in enumerate(files.items())}
        for key, data in files.items():
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / f"{key}.png").write_bytes(data)
    write(tmp_path / "shards" / "%03d.tar", [(key, {"png": data}) for key, data in files.items()], 3)
    for split in "train", "test":
        (plain, notes), (packed, more) = read(folder, split), read(tmp_path / "shards" / place, split)
        assert torch.equal(plain.pixels, packed.pixels) and torch.equal(plain.labels, packed.labels)
        assert (plain.digest, plain.names, plain.class_names) == (packed.digest, packed.names, packed.class_names)
        assert notes == more == []


def test_other_shards_of_the_same_samples_are_the_same_images(tmp_path):
    samples = [(key, {"png": data}) for key, data in pictures().items()]
    first, _ = read(write(tmp_path / "a" / "%d.tar", samples, 3))
    second, _ = read(write(tmp_path / "b" / "%d.tar", samples[::-1], 24) / "0.tar")
    assert (first.digest, first.names) == (second.digest, second.names)


@pytest.mark.parametrize("label", ["cls", "json", "word"])
def test_labels_stand_beside_the_pictures(tmp_path, label):
    """Numbers keep their order, also from ten on; -1 is no label."""
    numbers = [*range(12), -1] * 3
    names = [f"kind {number:02}" if label == "word" else str(number) for number in numbers]
    asides = [
        {"json": {"label": number, "other": [1]}} if label == "json" else {"cls": name}
        for number, name in zip(numbers, names, strict=True)
    ]
    samples = [(f"any/{place:04}", {"png": png(place), **aside}) for place, aside in enumerate(asides)]
    images, notes = read(write(tmp_path / "%d.tar", samples, 5))
    assert images.class_names == (tuple(sorted({*names})) if label == "word" else tuple(map(str, range(12))))
    for name, number in zip(images.names, images.labels.tolist(), strict=True):
        word = names[int(Path(name).stem)]
        assert word == ("-1" if number < 0 else images.class_names[number])
    assert notes == ([] if label == "word" else [f"{tmp_path}: pictures without a label: 3"])


@pytest.mark.parametrize("pattern", ["set-{}-%03d.tar", "{}/%03d.tar"])
def test_the_names_of_shards_are_splits(tmp_path, pattern):
    for number, split in enumerate(("train", "val", "test")):
        samples = [(f"cat/{place}", {"png": png(100 * number + place)}) for place in range(4)]
        write(tmp_path / "shards" / pattern.format(split), samples, 2)
    (train, _), (test, _) = read(tmp_path / "shards"), read(tmp_path / "shards", "test")
    assert sorted(train.names) == [f"train/cat/{place}.png" for place in range(4)]
    assert sorted(test.names) == [f"test/cat/{place}.png" for place in range(4)]
    assert train.class_names == ("cat",) and train.reading.unused == 4
    held, _ = read(tmp_path / "shards", validation=4)
    assert [name.partition("/")[0] for name in held.names[-4:]] == ["validation"] * 4


def test_samples_of_one_name_in_two_shards_are_two(tmp_path):
    for shard in range(3):
        write(tmp_path / "s" / f"{shard}-%d.tar", [(f"{number:06}", {"png": png(100 * shard + number)}) for number in range(4)], 9)
    names, notes = both(tmp_path / "s")
    assert len(set(names)) == 12 and "000001.png in 2-0.tar" in names and notes == []
    assert len({tuple(row.tolist()) for split in ("train", "test") for row in read(tmp_path / "s", split)[0].pixels}) == 12


def test_a_member_is_named_with_its_shard_where_it_cannot_be_read(made):
    path = made(("bad.png", b"no picture", {}), ("cut.tif", b"II*\0\x08\0\0\0", {}))
    _, notes = both(path)
    assert sum(note.startswith(f"{path}/bad.png: cannot be read as a picture (not a picture)") for note in notes) == 1
    assert sum(note.startswith(f"{path}/cut.tif: cannot be read as a picture (a TIFF file that is cut") for note in notes) == 1


def test_a_tar_of_a_folder_may_begin_with_a_dot(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(EMOJI, ".")
    assert read(tmp_path / "x.tar")[0].digest == read(EMOJI)[0].digest


LEFT_OUT = {
    "link": (("a.png", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}), "links, devices and files with holes: 1"),
    "hard link": (("a.png", b"", {"type": tarfile.LNKTYPE, "linkname": "0.png"}), "links, devices and files with holes: 1"),
    "device": (("a.png", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}), "links, devices and files with holes: 1"),
    "FIFO": (("a.png", b"", {"type": tarfile.FIFOTYPE}), "links, devices and files with holes: 1"),
    "absolute": (("/a.png", png(9), {}), "names that are absolute or have ..: 1"),
    "above": (("b/../../a.png", png(9), {}), "names that are absolute or have ..: 1"),
    "twice": (("0.png", png(200), {}), "files of which another one of the same name stands further on: 1"),
    "second of a sample": (("0.mask.png", png(9), {}), "pictures after the first of a sample, whose name ends at the first dot: 1"),
    "sparse": (
        ("a.png", b"0\n" * 256, {"pax_headers": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}}),
        "links, devices and files with holes: 1",
    ),
    "label of two kinds": (("0.cls", b"\xff\xfe", {}), "other files: 1 (.cls)"),
    "long label": (("0.cls", b"a" * 300, {}), "other files: 1 (.cls)"),
    "other": (("0.txt", b"a caption", {}), "other files: 1 (.txt)"),
    "json": (("0.json", b"[" * 10_000, {}), "other files: 1 (.json)"),
    "json of true": (("0.json", b'{"label": true}', {}), "other files: 1 (.json)"),
}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_what_is_left_out_is_counted_in_one_line(made, kind):
    member, expected = LEFT_OUT[kind]
    names, notes = both(made(member))
    assert sorted(names) == [f"{number}.png" for number in range(6)]
    assert len(notes) == 1 and expected in notes[0]


def test_of_two_files_of_one_name_the_last_counts_as_when_tar_unpacks(made):
    path = made(("0.png", png(200), {}), ("1.png", png(201), {}))
    images = [read(path, split)[0] for split in ("train", "test")]
    reds = {name: int(row[0]) for part in images for name, row in zip(part.names, part.pixels, strict=True)}
    assert reds == {"0.png": 200, "1.png": 201, "2.png": 2, "3.png": 3, "4.png": 4, "5.png": 5}


def header(**fields):
    """A member's header with a size that is not that of its data."""
    entry = tarfile.TarInfo("6.png")
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry.tobuf(tarfile.GNU_FORMAT)


def damaged(data, kind):
    end = data.rindex(b"IEND") // 512 * 512 + 512
    match kind:
        case "cut in a picture":
            return data[: end - 480]
        case "cut in a header":
            return data[:end] + header()[:300]
        case "huge":
            return data[:end] + header(size=1 << 40) + data[end:]
        case "negative":
            return data[:end] + header(size=-1536) + data[end:]
        case "long header":
            return data[:end] + header(type=tarfile.XHDTYPE, size=1 << 31) + bytes(4 << 20)
        case "nested headers":
            return data[:end] + header(type=tarfile.XHDTYPE, size=0) * 4000 + data[end:]
        case "holes without end":
            sparse = io.BytesIO()
            with tarfile.open(fileobj=sparse, mode="w", format=tarfile.PAX_FORMAT) as tar:
                keys = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
                add(tar, "a.png", b"900000000\n" + b"1\n" * (1 << 18), pax_headers=keys)
            return data[:end] + sparse.getvalue()
        case "damage":
            return data[:1024] + b"\xff" * 512 + data[1536:]
        case "two":
            return data + data
        case "no tar":
            return b"no tar" * 1000
        case "nothing":
            return b""
        case "packed":
            return gzip.compress(data)
    raise AssertionError(kind)


REFUSED = {
    "cut in a picture": "cannot be read as a shard .it is cut short in 5.png; copy it again.",
    "cut in a header": "damage from byte",
    "huge": "it is cut short in 6.png; copy it again",
    "negative": "cannot be read as a shard",
    "long header": "a header of more than 262,144 bytes",
    "nested headers": "cannot be read as a shard",
    "holes without end": "a header of more than 262,144 bytes",
    "damage": "cannot be read as a shard",
    "two": "another archive, or damage, from byte",
    "no tar": "cannot be read as a shard",
    "nothing": "cannot be read as a shard .empty file",
    "packed": "found a compressed tar, expected a plain one; unpack it with gunzip",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_damaged_shard_is_refused_by_name(made, kind):
    path = made()
    path.write_bytes(damaged(path.read_bytes(), kind))
    with pytest.raises(DataError, match=rf"^{path}: .*{REFUSED[kind]}") as caught:
        read(path)
    assert str(caught.value).isprintable()


def test_a_shard_without_an_end_is_said_to_be_cut_short(made):
    path = made()
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"IEND") // 512 * 512 + 512])
    names, notes = both(path)
    assert len(names) == 6
    assert notes == [f"{path}: left out of the shards: shards without an end, as if cut short: 1"]


@pytest.mark.parametrize("kind", ["FIFO", "device", "socket"])
def test_a_shard_that_is_no_file_is_refused(tmp_path, kind):
    put(tmp_path / "x.tar", kind)
    with pytest.raises(DataError, match=r"x\.tar: cannot be read as a shard \(found a"):
        read(tmp_path / "x.tar")


def test_a_missing_shard_is_named_and_no_range_is_too_long(tmp_path, made):
    for name in ("0.tar", "1.tar", "3.tar"):
        made(name=name)
    for pattern in ("{0..3}.tar", "{0..999999999999}.tar", "{0..1}.tar,{0..999999999}{0..999999999}"):
        missing = {"{0..3}.tar": "2.tar", "{0..999999999999}.tar": "2.tar"}.get(pattern, "0.tar,00")
        with pytest.raises(DataError, match=rf"found no {tmp_path / missing} on this machine"):
            read(tmp_path / pattern)
    for pattern in ("{0,0}.tar", "{0..1}.ta{r,r}" + "{,}" * 50):
        with pytest.raises(DataError, match=r"names .*0\.tar twice, expected each shard once"):
            read(tmp_path / pattern)
    with pytest.raises(DataError, match="found 1,000 braces, expected at most 100"):
        read(tmp_path / ("{,}" * 1000))
    with pytest.raises(DataError, match=r"found no .*x\*\.tar on this machine"):
        read(tmp_path / "x*.tar")
    assert len(shards.expand(tmp_path / "[0-1].tar")) == 2
    with pytest.raises(DataError, match=r"cannot be read \(no such file"):
        read(tmp_path / "4.tar")
    os.rename(tmp_path / "3.tar", tmp_path / "{0..9}.tar")  # noqa: PTH104
    assert shards.expand(tmp_path / "{0..9}.tar") == [tmp_path / "{0..9}.tar"]


BRACED = (
    "{000..127}", "{0..12}", "{8..11}-{a,b}", "{08..12}", "{10..8}", "{0..10..4}", "x{a,b}{0..1}y", "{a}", "{}", "{9..10..0}",
    "{train-{0..5},test-{0..1}}.tar", "{a,b{1,2}}{,x}", "{{a,b}}", "{-3..3}", "{1..010}"
)  # fmt: skip


@pytest.mark.parametrize("text", BRACED)
def test_braces_stand_for_what_webdataset_takes_them_for(text):
    assert list(itertools.islice(shards._words(text), 1000)) == list(braceexpand(text))


def test_only_changed_shards_are_listed_again_and_only_their_pictures_unpacked(tmp_path, monkeypatch):
    files = pictures().items()
    samples = [(f"{('train', 'test')[number % 3 == 0]}/{key}", {"png": data}) for number, (key, data) in enumerate(files)]
    place = write(tmp_path / "shards" / "%d.tar", samples, 3)
    listed, opened = [], []
    plain = shards._read
    monkeypatch.setattr(shards, "_read", lambda path: listed.append(path.name) or plain(path))
    monkeypatch.setattr(room, "read_cropped", lambda path, *more: opened.append(path.name) or read_cropped(path, *more))
    first, _ = read(place)
    assert len(listed) == 8 and len(opened) == len(first) == 16
    listed.clear(), opened.clear()
    second, _ = read(place)
    assert listed == opened == [] and first.digest == second.digest
    write(place / "new-%d.tar", [*samples[:2], ("train/flags/other", {"png": png(7)})], 3)
    (place / "new-0.tar").replace(place / "0.tar")
    third, _ = read(place)
    assert listed == ["0.tar"] and sorted(opened) == sorted([f"{Path(samples[1][0]).name}.png", "other.png"])
    assert {*third.names} == {*first.names} - {f"{samples[2][0]}.png"} | {"train/flags/other.png"}
    (index,) = place.parent.glob("kept/*/shards.index")
    for damage in ("[", "{}", '{"version": 1, "shards": {"a": {}}}', "[" * 100_000):
        index.write_text(damage)
        listed.clear()
        assert read(place)[0].digest == third.digest
        assert len(listed) == 8


def test_damage_to_the_list_of_shards_makes_them_listed_anew(made, kept):
    path = made()
    first, _ = read(path)
    (index,) = kept.glob("*/shards.index")
    values = json.loads(index.read_text())
    ((name, shard),) = values["shards"].items()
    for change in ({"names": shard["names"][1:]}, {"starts": ["0"] * 6}, {"sizes": [-1] * 6}, {"labels": [None] * 6}, {"more": 1}):
        index.write_text(json.dumps({"version": 1, "shards": {name: shard | change}}))
        assert read(path)[0].digest == first.digest
        assert json.loads(index.read_text()) == values


@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_shard_that_changes_while_it_is_read_ends_the_work(made, monkeypatch, how):
    path = made()

    def change(place, *more):
        if how == "gone":
            path.unlink(missing_ok=True)
        else:
            os.utime(path, ns=(1, 1))
        return read_cropped(place, *more)

    monkeypatch.setattr(room, "read_cropped", change)
    with pytest.raises(VaecliError, match=rf"^{path}: the file changed while its pictures were read; give the same command again"):
        read(path)


def test_shards_are_read_where_nothing_can_be_kept(made, monkeypatch):
    path = made()
    first, _ = read(path)
    monkeypatch.setenv(CACHE, "none")
    assert read(path)[0].digest == first.digest
    monkeypatch.setenv(CACHE, str(path))
    images, notes = read(path)
    assert images.digest == first.digest and len(notes) == 1 and "prepared pictures cannot be kept there" in notes[0]
