"""Commands that need a few pictures of a run open these alone, and compare them with the run's."""

import shutil
import tarfile

import pytest
import torch
from PIL import Image

from tests.helpers import DATA, one_line
from vaecli.data import load_images, read_once
from vaecli.data.images import first, sampled
from vaecli.data.prepared import Store
from vaecli.data.tree import path_hash
from vaecli.files import CACHE
from vaecli.runs.find import PICTURES
from vaecli.runs.run import load

TRAIN = ["train", "--dataset", "folder", "--image-size", "8", "--hidden", "4", "--epochs", "1", "--batch-size", "5", "-q"]
ONLY = "of the test split only the pictures that are needed are read, and compared with the run's"


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder of real pictures with both splits."""
    monkeypatch.setenv(CACHE, "none")
    files = sorted((DATA / "emoji" / "pictures").rglob("*.png"))
    for number, file in enumerate(files):
        place = tmp_path / "pictures" / ("train", "test")[number % 2] / file.parent.name
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    return tmp_path / "pictures"


@pytest.fixture(params=[[], ["--labels", "full"], ["--validation", "4"]], ids=["plain", "conditional", "validation"])
def run(vaecli, pictures, unpacked, request):
    path = vaecli(*TRAIN, "--data-dir", pictures, "--name", "run", *request.param).path
    unpacked.clear()
    return load(path)


def same(some, whole, positions):
    assert torch.equal(some.pixels, whole.pixels[positions]) and torch.equal(some.labels, whole.labels[positions])
    assert some.names == tuple(whole.names[position] for position in positions) and some.class_names == whole.class_names


@pytest.mark.parametrize(
    "take", [first(3), lambda labels: sampled(len(labels), 3), lambda labels: (labels == 1).nonzero().flatten()]
)
def test_some_pictures_are_those_of_the_whole_split(run, unpacked, take):
    for split in ("train", "test", *(["validation"] if run.config.validation else [])):
        unpacked.clear()
        some = run.images(split, take=take)
        assert sorted(unpacked) == sorted(name.rpartition("/")[2] for name in some.names)
        whole = run.images(split)
        same(some, whole, take(whole.labels).tolist())


def test_pictures_held_out_are_opened_alone(vaecli, pictures, unpacked):
    held = load(vaecli(*TRAIN, "--data-dir", pictures, "--name", "held", "--validation", "4").path)
    unpacked.clear()
    images = held.images("validation")
    assert len(images) == len(unpacked) == 4
    assert torch.equal(images.pixels, held.images("train").pixels[-4:])


@pytest.mark.parametrize(
    ("command", "count"),
    [
        (["sample"], 0),
        (["sample", "--between", "0", "5"], 2),
        (["reconstruct", "--n", "3"], 3),
        (["reconstruct", "--n", "2", "--label", "flags"], 2),
        (["encode", "--n", "3", "--out", "x.npz"], 3),
        (["latent-plot", "--n", "3"], 3),
        (["explore", "--n", "3", "--out", "x.html"], 3),
        (["compare", "--k", "0", "--limit", "3", "--table-only"], 3),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_a_command_opens_what_it_shows_and_says_so(vaecli, pictures, unpacked, command, count):
    vaecli(*TRAIN, "--data-dir", pictures, "--name", "run", "--labels", "full")
    unpacked.clear()
    outcome = vaecli(command[0], "run", *command[1:])
    assert outcome.code == 0, outcome.err
    assert len(unpacked) == count
    assert outcome.err.count(ONLY) == (count > 0)


def test_where_all_are_prepared_none_is_opened(vaecli, pictures, unpacked, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "kept"))
    run = load(vaecli(*TRAIN, "--data-dir", pictures, "--name", "run").path)
    unpacked.clear()
    outcome = vaecli("reconstruct", "run", "--n", "3")
    assert outcome.code == 0 and ONLY not in outcome.err
    same(run.images("test", take=first(3)), run.images("test"), range(3))
    assert unpacked == []


def test_in_a_folder_that_changed_a_little_all_pictures_are_compared(vaecli, pictures, unpacked, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "kept"))
    vaecli(*TRAIN, "--data-dir", pictures, "--name", "run")
    shutil.copy(next((pictures / "train").rglob("*.png")), pictures / "train" / "flags" / "new.png")
    unpacked.clear()
    outcome = vaecli("reconstruct", "run", "--n", "3")
    assert outcome.code == 0 and ONLY not in outcome.err
    assert unpacked == []
    *_, last = sorted((pictures / "test").rglob("*.png"), key=lambda file: path_hash(file.relative_to(pictures).as_posix()))
    Image.new("RGB", (9, 9)).save(last)
    line = one_line(vaecli("reconstruct", "run", "--n", "3", "-q"), 1)
    assert "of its 12 test pictures, 1 with other pixels" in line
    assert unpacked == [last.name]


def test_a_prepared_split_is_looked_up_once(vaecli, pictures, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "kept"))
    run = load(vaecli(*TRAIN, "--data-dir", pictures, "--name", "run").path)
    keys, find = [], Store.find
    monkeypatch.setattr(Store, "find", lambda store, key: keys.append(key) or find(store, key))
    read = read_once()
    assert len(run.images("test", read=read, take=first(3))) == 3
    assert len(run.images("test", read=read)) == 12
    assert len(keys) == 1


def test_a_few_pictures_are_not_kept_as_the_whole_split(vaecli, pictures, unpacked, tmp_path, monkeypatch):
    run = load(vaecli(*TRAIN, "--data-dir", pictures, "--name", "run").path)
    monkeypatch.setenv(CACHE, str(tmp_path / "kept"))
    unpacked.clear()
    assert len(run.images("test", take=first(3))) == len(unpacked) == 3
    assert len(run.images("test")) == 12


@pytest.mark.parametrize("change", ["pixels", "label", "gone", "unreadable", "new label"])
def test_pictures_that_are_not_the_runs_are_refused_as_where_all_are_read(vaecli, run, pictures, change):
    shown = run.images("test", take=first(3))
    file = pictures / "test" / shown.names[1].removeprefix("test/")
    file = file if file.exists() else pictures / shown.names[1]
    if change == "pixels":
        Image.new("RGB", (8, 8), "red").save(file)
    elif change == "label":
        other = next(place for place in file.parent.parent.iterdir() if place != file.parent)
        file.rename(other / file.name)
    elif change == "gone":
        file.unlink()
    elif change == "unreadable":
        file.write_bytes(b"no picture")
    else:
        (pictures / "train" / "a").mkdir()
        Image.new("RGB", (8, 8)).save(pictures / "train" / "a" / "a.png")
    line = one_line(vaecli("reconstruct", "run", "--n", "3", "-q"), 1)
    assert "test images are not those of the run run" in line


@pytest.mark.parametrize("damage", ["gone", "cut short", "another digest", "another label", "of another folder"])
def test_without_a_list_that_fits_all_are_read(run, unpacked, damage):
    file = run.path / PICTURES
    text = file.read_text()
    if damage == "gone":
        file.unlink()
    elif damage == "cut short":
        file.write_bytes(text.encode()[:-30])
    else:
        lines = text.splitlines()
        changes = {
            "another digest": (",", ",0"),
            "another label": ("flags,", "flag,"),
            "of another folder": ("test,test/", "test,no/"),
        }
        head, *rest = lines
        old, new = changes[damage]
        file.write_text("\n".join([head, *(line[::-1].replace(old[::-1], new[::-1], 1)[::-1] for line in rest)]) + "\n")
    some, whole = run.images("test", take=first(3)), run.images("test")
    same(some, whole, range(3))


def test_a_limited_test_set_is_not_taken_for_the_whole(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "kept"))
    assert len(load_images("folder", "test", pictures, limit=3)) == 3
    whole = load_images("folder", "test", pictures)
    assert len(whole) == 12
    assert whole.names == tuple(sorted(whole.names, key=path_hash))


def test_of_tar_shards_no_more_are_opened(vaecli, pictures, unpacked, tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as shard:
        shard.add(pictures, ".")
    vaecli(*TRAIN, "--data-dir", tmp_path / "x.tar", "--name", "run")
    unpacked.clear()
    outcome = vaecli("reconstruct", "run", "--n", "3")
    assert outcome.code == 0, outcome.err
    assert len(unpacked) == 3 and ONLY in outcome.err
