"""What a run says of a folder of pictures before it trains."""

import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.data.test_folder import SMALL, save
from tests.helpers import one_line
from vaecli.command_line import as_option
from vaecli.config import Config
from vaecli.data.dataset import ReadListener, Request
from vaecli.data.folder import FOLDER
from vaecli.data.load import Source
from vaecli.data.summary import summarise
from vaecli.files import CACHE


@pytest.fixture(autouse=True)
def _nothing_is_kept(monkeypatch):
    monkeypatch.setenv(CACHE, "none")


def summary_of(folder, **settings):
    source = Source(Config(dataset="folder", image_size=8, **settings), folder)
    return summarise(source.images("train"), source.images("test"), source.config)


def lines_of(folder, **settings):
    return [line.removeprefix(f"{folder}: ") for line in summary_of(folder, **settings).lines(as_option)]


def test_a_folder_without_splits(tmp_path):
    save(tmp_path, *(f"{number}.png" for number in range(31)))
    assert lines_of(tmp_path) == ["25 pictures to train on, 6 to test on, chosen by a hash of their paths"]


def test_splits_labels_and_what_became_of_the_pictures(tmp_path):
    save(tmp_path, "Train/cat/1.png", "Train/dog/2.png", "Train/dog/3.png", size=(20, 16))
    save(tmp_path, "TESTING/cat/4.png", "valid/cat/5.png")
    (tmp_path / "Train/cat/bad.png").write_text("text")
    lines = [
        "3 pictures to train on from Train/, 1 to test on from TESTING/",
        "labels, training + test pictures: cat 1 + 1, dog 2 + 0",
        "1 picture kept for validation, of which no use is made; --validation 1 measures on them, not on the test set",
        "of 5 pictures, left out, as they cannot be read: 1, scaled: 3, cut to their middle: 3",
    ]
    assert lines_of(tmp_path) == lines
    assert summary_of(tmp_path).to_json() == {
        "folder": str(tmp_path),
        "splits": {
            "train": {"place": "Train/", "pictures": 3, "labels": {"cat": 1, "dog": 2}, "unlabelled": 0, "left_out": 1, "cut": 3,
                      "scaled": 3, "pages": 0, "outside": 0, "flat": 0},
            "test": {"place": "TESTING/", "pictures": 1, "labels": {"cat": 1, "dog": 0}, "unlabelled": 0, "left_out": 0, "cut": 0,
                     "scaled": 0, "pages": 0, "outside": 0, "flat": 0},
        },
        "validation": 0,
        "unused": 1,
        "pixel_range": (0, 255),
        "duplicates": 0,
        "held_out_duplicates": 0,
        "untrained": {},
    }  # fmt: skip


def test_the_pictures_kept_for_validation_are_held_out(tmp_path):
    save(tmp_path, "train/1.png", "train/2.png", "test/3.png", "val/4.png", "val/5.png")
    source = Source(Config(dataset="folder", image_size=8, validation=2), tmp_path)
    assert {*source.images("train").names[-2:]} == {"val/4.png", "val/5.png"}
    assert lines_of(tmp_path, validation=2)[0] == (
        "2 pictures to train on from train/, 2 to choose by (validation), 1 to test on from test/"
    )


def test_more_to_hold_out_than_the_folder_keeps_for_it(vaecli, tmp_path):
    save(tmp_path, "train/1.png", "train/2.png", "test/3.png", "val/4.png")
    outcome = vaecli("train", "--dataset", "folder", "--data-dir", tmp_path, "--validation", "3", "-q")
    assert outcome.code == 2
    assert f"found 1 picture in {tmp_path}/val, expected as many or more; hold them all out with --validation 1" in outcome.err


def test_more_to_hold_out_than_there_is_says_nothing_of_a_split(vaecli, tmp_path):
    save(tmp_path, "1.png", "2.png", "3.png")
    line = one_line(vaecli("train", "--dataset", "folder", "--data-dir", tmp_path, "--validation", "3"), 2)
    assert "--validation 3: found 2 training images" in line


def test_pictures_held_out_that_equal_a_training_picture_are_said(tmp_path):
    save(tmp_path, "train/1.png", "train/2.png", "test/3.png")
    (tmp_path / "val").mkdir()
    shutil.copy(tmp_path / "train/1.png", tmp_path / "val/4.png")
    assert lines_of(tmp_path, validation=1)[1] == (
        "pictures held out that equal a training picture: 1, such as train/1.png and val/4.png; the numbers of the held-out "
        "pictures flatter the model; keep each picture in one split only"
    )


def test_equal_pictures_in_both_splits_are_said(tmp_path):
    save(tmp_path, "train/1.png", "train/2.png", "test/3.png")
    shutil.copy(tmp_path / "train/1.png", tmp_path / "test/other-name.png")
    assert lines_of(tmp_path)[1] == (
        "test pictures that equal a training picture: 1, such as train/1.png and test/other-name.png; the numbers of the test set "
        "flatter the model; keep each picture in one split only"
    )


@pytest.mark.parametrize("labels", ["none", "full"])
def test_a_label_without_training_pictures(tmp_path, labels):
    save(tmp_path, "train/cat/1.png", "test/cat/2.png", "test/fox/3.png")
    line = lines_of(tmp_path, labels=labels)[2]
    assert line.startswith("labels without a training picture: fox (1 picture to test on)")
    assert ("measured as pictures of unknown label" in line) == (labels == "full")
    test = Source(Config(dataset="folder", image_size=8, labels=labels), tmp_path).images("test")
    assert sorted(test.labels.tolist()) == ([-1, 0] if labels == "full" else [0, 1])


def test_a_test_set_without_labels(tmp_path):
    save(tmp_path, "train/cat/1.png", "test/2.png")
    assert any("the test pictures have no label" in line for line in lines_of(tmp_path, labels="full"))
    assert not any("the test pictures have no label" in line for line in lines_of(tmp_path))


def test_dark_bytes_and_many_labels(tmp_path):
    for number in range(20):
        (tmp_path / f"l{number}").mkdir()
        Image.new("L", (8, 8), number % 4).save(tmp_path / f"l{number}/a.png")
    lines = lines_of(tmp_path)
    assert lines[1] == "labels, training + test pictures: 20 labels of 0 to 1 + 0 to 1"
    assert "no value of any picture is above 3 of 255; if that is white, give --pixel-range 0,3" in lines


def test_a_name_with_braces_or_a_line_break_stays_as_it_is(tmp_path):
    odd = tmp_path / "{k=5}\n"
    save(odd, "train/{k}/1.png", "test/{k}/2.png")
    assert all(line.isprintable() and "--k" not in line for line in summary_of(odd).lines(as_option))


@pytest.mark.parametrize(("limit", "validation"), [(3, None), (3, 2), (None, 2), (100, 5)])
def test_no_more_pictures_are_read_than_are_needed(tmp_path, monkeypatch, limit, validation):
    save(tmp_path, *(f"train/{number}.png" for number in range(300)), "test/a.png")
    opened = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda file, **more: opened.append(1) or real(file, **more))
    request = Request("folder", "train", tmp_path, SMALL, (0, 255), limit, validation)
    everything = Source(Config(dataset="folder", image_size=8), tmp_path).images("train")
    opened.clear()

    images = FOLDER.read(request, ReadListener())
    kept = everything.names[: 300 - (validation or 0)][:limit] + everything.names[300 - (validation or 0) :][: validation or 0]
    assert images.names == kept
    assert len(opened) <= len(kept) + 2 * 33


def test_pictures_of_few_shades_are_named_beside_the_range(tmp_path):
    values = np.random.default_rng(0).random((5, 8, 8)).astype("float32")
    values[0] *= 255
    for number, picture in enumerate(values):
        tifffile.imwrite(tmp_path / f"{number}.tif", picture)
    lines = lines_of(tmp_path)
    assert lines[1] == "values from 0 to 255 are black to white; --pixel-range LOW,HIGH sets others"
    assert lines[2].startswith("pictures whose many values become fewer than 32 of 256 shades: 4, such as ")


def test_one_picture_is_told_from_two_equal_ones(tmp_path):
    save(tmp_path / "one", "a.png")
    assert lines_of(tmp_path / "one") == ["there is one picture: it is the training set and the test set"]
    save(tmp_path / "two", "train/a.png")
    (tmp_path / "two/test").mkdir()
    shutil.copy(tmp_path / "two/train/a.png", tmp_path / "two/test/b.png")
    assert lines_of(tmp_path / "two")[0] == "1 picture to train on from train/, 1 to test on from test/"


def test_a_bright_test_picture_is_no_dark_folder(tmp_path):
    for split, value in ("train", 1), ("test", 200):
        (tmp_path / split).mkdir()
        Image.new("L", (8, 8), value).save(tmp_path / split / "a.png")
    assert not any("no value of any picture" in line for line in lines_of(tmp_path))


def test_what_is_kept_for_later_commands_is_said_once(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "kept"))
    save(tmp_path / "one", "a.png", "b.png")
    assert lines_of(tmp_path / "one")[-1] == f"prepared once, and kept for later commands: 0.0 MB in {tmp_path / 'kept'}"
    assert not any("kept for later" in line for line in lines_of(tmp_path / "one"))
