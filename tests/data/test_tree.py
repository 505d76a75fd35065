"""What counts as a picture below a folder, what its label is, and which pictures are the test set. No picture is opened for it."""

import inspect
import os
import random
import sys
import unicodedata

import pytest

from tests.helpers import put
from vaecli.data.folder import FOLDER
from vaecli.data.images import UNKNOWN
from vaecli.data.tree import TENTH, find_pictures, path_hash, split_pictures
from vaecli.errors import DataError


def files(folder, *paths):
    """Empty files: their names are all that is looked at."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


def tree(folder, *paths):
    return find_pictures(files(folder, *paths))


def labels(found):
    return dict(zip(found.pictures, found.labels(found.pictures), strict=True))


def test_files_count_as_pictures_by_their_ending(tmp_path):
    found = tree(tmp_path, "b.PNG", "a.jpeg", "c.txt", "d.HEIC", "e", "f.txt", "g.avif", "sub/h.tif", "i.png.txt", "j.pdf")
    assert found.pictures == ("a.jpeg", "b.PNG", "d.HEIC", "g.avif", "sub/h.tif")
    assert found.others == {".txt": 3, ".pdf": 1, "": 1}


def test_hidden_files_and_folders_are_not_looked_into(tmp_path):
    found = tree(tmp_path, "a.png", ".b.png", ".git/c.png", "__MACOSX/d.png", "sub/.DS_Store", "sub/._e.png", "sub/f.png")
    assert found.pictures == ("a.png", "sub/f.png")
    assert not found.others
    assert find_pictures(files(tmp_path / ".hidden", "x.png")).pictures == ("x.png",)


def test_sub_folders_are_labels_in_the_order_of_their_names(tmp_path):
    found = tree(tmp_path, "dog/1.png", "cat/deep/er/2.png", "cat/1.png", "empty/readme.txt", "9.png")
    assert found.class_names == ("cat", "dog")
    assert labels(found) == {"9.png": UNKNOWN, "cat/1.png": 0, "cat/deep/er/2.png": 0, "dog/1.png": 1}
    assert FOLDER.class_names(tmp_path) == ("cat", "dog")


def test_without_sub_folders_there_are_no_labels(tmp_path):
    found = tree(tmp_path, "a.png", "b.png")
    assert found.class_names == ()
    assert found.labels(found.pictures) == [UNKNOWN, UNKNOWN]


def test_train_and_test_are_splits_and_their_sub_folders_labels(tmp_path):
    found = tree(tmp_path, "train/b/1.png", "train/2.png", "test/a/1.png", "test/b/3.png", "val/c/4.png", "5.png")
    assert found.class_names == ("a", "b", "c")
    assert found.of("train") == ("train/2.png", "train/b/1.png")
    assert found.of("validation") == ("val/c/4.png",)
    assert found.labels(found.of("train")) == [UNKNOWN, 1]
    assert found.labels(found.of("test")) == [0, 1]
    assert found.inside == found.pictures[1:]


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING", "training_set", "Train Set", "train-images"])
@pytest.mark.parametrize("test", ["test", "Testing", "TEST", "val", "Valid", "validation", "dev", "eval", "test_data"])
def test_the_usual_names_of_splits_in_any_spelling(tmp_path, train, test):
    found = tree(tmp_path, f"{train}/cat/1.png", f"{train}/dog/2.png", f"{test}/cat/3.png")
    assert found.class_names == ("cat", "dog")
    assert found.of("train") == (f"{train}/cat/1.png", f"{train}/dog/2.png")
    assert found.of("test") == (f"{test}/cat/3.png",)
    assert found.of("validation") == ()


@pytest.mark.parametrize(
    ("paths", "train", "test"),
    [
        (["cat/train/1.png", "cat/test/2.png", "dog/Train/3.png"], ["cat/train/1.png", "dog/Train/3.png"], ["cat/test/2.png"]),
        (["archive/train/cat/1.png", "archive/test/cat/2.png"], ["train/cat/1.png"], ["test/cat/2.png"]),
        (["images/train/1.png", "images/val/2.png", "labels/train/1.txt"], ["train/1.png"], ["val/2.png"]),
    ],
)
def test_splits_within_the_labels_and_within_an_unpacked_archive(tmp_path, paths, train, test):
    found = tree(tmp_path, *paths)
    assert (list(found.of("train")), list(found.of("test"))) == (train, test)
    assert "train" not in found.class_names


@pytest.mark.parametrize("inside", ["train/cat/1.png test/cat/2.png", "Train/1.png val/2.png"])
def test_splits_deep_within_an_unpacked_archive(tmp_path, inside):
    found = tree(tmp_path, *(f"archive/version 1/data/{path}" for path in inside.split()))
    assert len(found.of("train")) == len(found.of("test")) == 1
    assert found.folder == tmp_path / "archive/version 1/data"


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train2017", "val2017"), ("seg_train", "seg_test"), ("01_train", "02_test"), ("digits-training", "digits-testing"),
        ("set train", "set test"), ("trainA", "testA"),
    ],
)  # fmt: skip
def test_names_of_splits_within_names_that_agree_otherwise(tmp_path, train, test):
    found = tree(tmp_path, f"{train}/cat/1.png", f"{test}/cat/2.png")
    assert (found.of("train"), found.of("test")) == ((f"{train}/cat/1.png",), (f"{test}/cat/2.png",))
    assert found.class_names == ("cat",)


@pytest.mark.parametrize(
    ("paths", "suspects"),
    [
        ("seg_train/1.png, seg_test/2.png, seg_pred/3.png", ("seg_test", "seg_train")),
        ("trainA/1.png, testA/2.png, trainB/3.png, testB/4.png", ("testA", "testB", "trainA", "trainB")),
        ("a_train/1.png, b_test/2.png", ("a_train", "b_test")),
        ("bullet train/1.png, plane/2.png", ()),
        ("test tube/1.png, test card/2.png", ()),
    ],
)
def test_other_names_that_hold_those_of_splits_are_labels(tmp_path, paths, suspects):
    found = tree(tmp_path, *paths.split(", "))
    assert not found.has_test
    assert found.named_like_splits() == suspects


def test_only_a_folder_for_training_is_the_training_set_and_its_sub_folders_are_labels(tmp_path):
    found = tree(tmp_path, "train/cat/1.png", "train/dog/2.png")
    assert (found.class_names, found.has_test) == (("cat", "dog"), False)
    assert found.of("test") == ()


@pytest.mark.parametrize(("first", "second"), [("Train", "training"), ("test", "testing"), ("val", "validation"), ("dev", "eval")])
def test_two_folders_for_one_split_are_refused(tmp_path, first, second):
    found = tree(tmp_path, *(f"{name}/1.png" for name in {first, second, "train", "test"}))
    with pytest.raises(DataError, match=r"which both name the .* split; expected one of them"):
        _ = found.layout


@pytest.mark.parametrize("split", ["train", "test", "val"])
def test_one_of_them_beside_others_is_a_label(tmp_path, split):
    found = tree(tmp_path, f"{split}/1.png", "bus/2.png")
    assert found.layout is None
    assert found.class_names == tuple(sorted((split, "bus")))
    assert found.named_like_splits() == (split,)


def test_links_to_files_are_followed_and_those_to_folders_are_not(tmp_path):
    files(tmp_path, "in/a/1.png", "out/2.png")
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "out" / "2.png")
    (tmp_path / "in" / "out").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "a" / "up").symlink_to("..")
    (tmp_path / "in" / "itself").symlink_to("itself")
    (tmp_path / "in" / "long").symlink_to("x" * 300)  # more letters than a name may have
    (tmp_path / "in" / "gone").symlink_to("nowhere")
    found = find_pictures(tmp_path / "in")
    assert found.pictures == ("a/1.png", "link.png")
    assert found.links == 2
    assert found.others == {"": 3}
    assert not found.closed
    (tmp_path / "other").symlink_to("in")
    assert find_pictures(tmp_path / "other").pictures == found.pictures


NAMES = [
    "a b",
    "a\nb",
    "\N{FOX FACE}",
    "e\u0301",
    "x\x1b[31m",
    b"\xff\xfe".decode(errors="surrogateescape"),
    "{k=5}",
    "50%",
    "\u2028",
]


def test_odd_names_are_found_and_spelt_out(tmp_path):
    found = tree(tmp_path, *(f"{name}/{name}.png" for name in NAMES))
    assert set(found.pictures) == {f"{name}/{name}.png" for name in NAMES}
    spelt = ["a b", "a\\nb", "\N{FOX FACE}", "\u00e9", "x\\x1b[31m", "\\udcff\\udcfe", "{k=5}", "50%", "\\u2028"]
    assert found.class_names == tuple(sorted(spelt))
    assert "".join(found.class_names).encode()
    assert sorted(found.labels(found.pictures)) == list(range(len(NAMES)))


def test_the_order_is_that_of_the_names_whatever_the_file_system_gives(tmp_path, monkeypatch):
    names = [f"{letter}/{number}.png" for letter in "dacb" for number in (3, 1, 2)]
    found = tree(tmp_path, *names)
    real = os.scandir

    class Shuffled(list):
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    def shuffled(folder):
        entries = Shuffled(real(folder))
        random.Random(0).shuffle(entries)
        return entries

    monkeypatch.setattr(os, "scandir", shuffled)
    assert find_pictures(tmp_path) == found
    assert found.pictures == tuple(sorted(names))


def test_a_folder_deeper_than_calls_may_nest_is_walked_to_its_end(tmp_path):
    path = "d/" * 300 + "a.png"
    files(tmp_path, path)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 150)
    try:
        assert find_pictures(tmp_path).pictures == (path,)
    finally:
        sys.setrecursionlimit(limit)


def test_folders_that_cannot_be_read(tmp_path, monkeypatch):
    files(tmp_path, "a.png", "b/c.png")
    real = os.scandir

    def closed(folder):
        if str(folder).endswith("b"):
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "scandir", closed)
    found = find_pictures(tmp_path)
    assert found.pictures == ("a.png",)
    assert found.closed == ("b/: this sub-folder cannot be read (permission denied)",)
    with pytest.raises(DataError, match=r"cannot be read \(permission denied\); expected a folder of pictures"):
        find_pictures(tmp_path / "b")


@pytest.mark.parametrize("kind", ["nothing", "FIFO", "device", "file"])
def test_what_is_no_folder_is_refused(tmp_path, kind):
    path = tmp_path / "x.png"
    if kind == "file":
        path.touch()
    elif kind != "nothing":
        put(path, kind)
    with pytest.raises(DataError, match=r"x\.png: cannot be read .*; expected a folder of pictures"):
        FOLDER.class_names(path)


def test_no_folder_is_an_error_that_names_the_setting():
    with pytest.raises(DataError, match="give it with data_dir=DIR"):
        FOLDER.class_names()


def test_labels_that_a_checkpoint_cannot_hold_are_refused(tmp_path):
    assert len(FOLDER.class_names(files(tmp_path / "fits", "\N{LATIN SMALL LETTER U WITH DIAERESIS}" * 120 + "/a.png"))) == 1
    with pytest.raises(DataError, match="with a name of 400 letters, expected at most 255"):
        FOLDER.class_names(files(tmp_path / "long", "\x01" * 100 + "/a.png"))
    with pytest.raises(DataError, match="found 10,001 sub-folders, each a label, expected at most 10,000"):
        FOLDER.class_names(files(tmp_path / "many", *(f"{number}/a.png" for number in range(10_001))))
    with pytest.raises(DataError, match=r"found 900 sub-folders.* and 524,288 letters"):
        FOLDER.class_names(files(tmp_path / "wide", *("\N{FOX FACE}" * 60 + f"{number}/a.png" for number in range(900))))


def always(name):
    return True


def test_one_in_ten_is_in_the_test_set_and_a_new_picture_moves_no_other():
    names = [f"folder/{number}.png" for number in range(3000)]
    parts = split_pictures(names, always)
    assert sorted(parts.train + parts.test) == sorted(names)
    assert 250 < len(parts.test) < 350
    fewer = split_pictures(names[:2000], always)
    assert set(fewer.test) == set(parts.test) & set(names[:2000])
    assert set(fewer.train) == set(parts.train) & set(names[:2000])


def test_the_hash_is_the_same_everywhere():
    assert path_hash("a/b.png") == 0x88F7EC7982E1B5DB  # printf a/b.png | sha256sum
    assert path_hash("\N{LATIN SMALL LETTER E WITH ACUTE}.png") == path_hash(unicodedata.normalize("NFD", "\u00e9.png"))
    assert path_hash("\udcff.png") != path_hash("\udcfe.png")


def by_hash(names):
    return sorted(names, key=path_hash)


TRAINING = by_hash(name for number in range(60) if path_hash(name := f"{number}.png") >= TENTH)
TESTING = by_hash(name for number in range(60) if path_hash(name := f"{number}.png") < TENTH)


def test_of_few_pictures_a_fifth_or_twenty_are_the_test_set():
    five = TRAINING[:5]
    assert split_pictures(five, always) == (five[1:], five[:1])
    assert split_pictures(reversed(five), always).test == five[:1]
    some = TESTING[:3]
    assert split_pictures(some, always) == (some[2:], some[:2])
    for count, tested in (2, 1), (31, 6), (60, 12), (99, 19), (110, 20):
        parts = split_pictures([f"{number}.png" for number in range(count)], always)
        assert len(parts.test) == tested
        assert len(parts.train) == count - tested


def test_one_picture_alone_is_in_both():
    for name in TRAINING[0], TESTING[0]:
        assert split_pictures([name], always) == ([name], [name])


def test_a_split_gets_a_picture_that_can_be_read():
    """Ones that cannot be are still listed, each in one split, so that reading says so once."""
    names = [TESTING[0], *TRAINING[:4]]
    parts = split_pictures(names, lambda name: name in TRAINING[1:3])
    assert parts.test == [TESTING[0], *TRAINING[:2]]
    assert parts.train == TRAINING[2:4]
    assert split_pictures(names, lambda name: False) == (names, names)
