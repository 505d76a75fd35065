"""Data sets that torchvision knows: read from stand-ins in the formats of the published files, and downloaded from a server."""

import functools
import http.server
import pickle
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data import stand_ins
from tests.data.stand_ins import COUNTS, WRITERS, numbers, pixels, publish
from tests.helpers import damage, put, refused
from vaecli import registry
from vaecli.config import Config
from vaecli.data import Source, download, load_images
from vaecli.data.published import files_of
from vaecli.errors import DataError, UsageError
from vaecli.image_shape import ImageShape
from vaecli.registry import IMAGE_SIZE, Member

SETS = ["kmnist", "emnist-letters", "omniglot", "cifar10", "svhn"]
COLOURED = ["cifar10", "svhn"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
NAMES = {
    "kmnist": ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
    "emnist-letters": list(LETTERS),
    "omniglot": ["Anglo-Saxon Futhorc", "Greek", "Tengwar"],
    "cifar10": ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    "svhn": list("0123456789"),
    "usps": list("0123456789"),
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stand-ins")
    for name, write in WRITERS.items():
        write(folder / name)
    return folder


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path, originals):
    """The stand-ins are what is published, no copy is on this machine, and the server refuses."""
    monkeypatch.delenv("VAECLI_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for name in WRITERS:
        publish(monkeypatch, name, originals / name, address)


@pytest.fixture
def server(monkeypatch, tmp_path, originals):
    """A folder that is served as the place of the published files, and the names that were asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    shutil.copytree(originals, tmp_path / "server")
    handler = functools.partial(Handler, directory=tmp_path / "server")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.01,)).start()
        for name in WRITERS:
            publish(monkeypatch, name, originals / name, f"http://127.0.0.1:{serving.server_port}/{name}")
        yield tmp_path / "server", asked
        serving.shutdown()


def expected(dataset, split):
    """The pixels, shape (N, D), and the labels that a stand-in holds."""
    if dataset == "omniglot":
        alphabets = sorted(stand_ins.ALPHABETS[split])
        count = COUNTS[split] // len(alphabets)
        labels = [NAMES[dataset].index(name.replace("_", " ")) for name in alphabets for _ in range(count)]
        drawn = [255 - np.asarray(stand_ins.drawing(number % count).convert("L")) for number in range(COUNTS[split])]
        small = [Image.fromarray(page).resize((28, 28), Image.Resampling.LANCZOS) for page in drawn]
        return np.stack([np.asarray(page).ravel() for page in small]), np.array(labels)
    shape = {"cifar10": (3072,), "svhn": (3, 32, 32), "usps": (16, 16)}.get(dataset, (28, 28))
    return pixels(shape, split).reshape(COUNTS[split], -1), numbers(COUNTS[split], len(NAMES[dataset]))


def cached(tmp_path, dataset):
    folder = tmp_path / "cache" / "vaecli" / dataset
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def failure(dataset, folder=None):
    with pytest.raises(DataError) as caught:
        load_images(dataset, "train", folder)
    line = str(caught.value)
    assert line.isprintable()
    return line


@pytest.mark.parametrize("split", COUNTS)
@pytest.mark.parametrize("dataset", SETS)
def test_the_images_are_those_of_the_files(originals, dataset, split):
    images = load_images(dataset, split, originals / dataset)
    values, labels = expected(dataset, split)
    assert np.array_equal(images.pixels, values)
    assert np.array_equal(images.labels, labels)
    assert list(images.class_names) == NAMES[dataset]
    assert images.shape == Config(dataset=dataset).image_shape
    assert registry.load("dataset", dataset).class_names(originals / dataset) == images.class_names


def test_omniglot_is_white_on_black_and_in_the_order_of_its_paths(originals):
    images = load_images("omniglot", "train", originals / "omniglot")
    assert images.pixels[:, 0].max() == 0  # a corner
    middle = images.pixels.view(-1, 28, 28).argmax(1)[:15, 14]
    assert middle.tolist() == sorted(middle.tolist())
    assert middle[0] < middle[-1]


@pytest.mark.parametrize("dataset", COLOURED)
def test_grey_is_pillows(originals, dataset):
    colour, grey = (load_images(dataset, "test", originals / dataset, colour=colour) for colour in (None, "grey"))
    assert grey.shape == ImageShape(1, 32, 32)
    for image, one in zip(colour.pixels, grey.pixels, strict=True):
        picture = Image.fromarray(image.view(3, 32, 32).permute(1, 2, 0).contiguous().numpy()).convert("L")
        assert picture.tobytes() == one.numpy().tobytes()


def test_grey_drawings_have_no_colour():
    with pytest.raises(UsageError, match="kmnist has no such option"):
        load_images("kmnist", "test", colour="rgb")


@pytest.mark.parametrize("dataset", SETS)
def test_larger_images_get_a_border_and_smaller_ones_are_refused(originals, dataset):
    own, large = (load_images(dataset, "test", originals / dataset, image_size=size) for size in (None, 40))
    border = (40 - own.shape.height) // 2
    inside = large.pixels.view(20, -1, 40, 40)[:, :, border : 40 - border, border : 40 - border]
    assert torch.equal(inside.flatten(1), own.pixels)
    assert large.pixels.int().sum() == own.pixels.int().sum()
    with pytest.raises(DataError, match=rf"expected 20 x 20.*: a size from image_size={own.shape.height}"):
        load_images(dataset, "test", originals / dataset, image_size=20)


@pytest.mark.parametrize("place", ["own", "flat", "cache"])
@pytest.mark.parametrize("dataset", SETS)
def test_each_place_is_found(monkeypatch, tmp_path, originals, dataset, place):
    target = tmp_path / ("cache/vaecli" if place == "cache" else "data") / dataset
    if place == "flat":
        target.mkdir(parents=True)
        for path in (originals / dataset).rglob("*.*"):
            shutil.copy(path, target)
    else:
        shutil.copytree(originals / dataset, target)
    if place == "own":
        monkeypatch.setenv("VAECLI_DATA_DIR", str(tmp_path / "data"))
    assert len(load_images(dataset, "test", target if place == "flat" else None)) == 20


@pytest.mark.parametrize("dataset", SETS)
def test_otherwise_it_is_downloaded_once_and_quietly(tmp_path, originals, server, capfd, dataset):
    for split, count in COUNTS.items():
        assert len(load_images(dataset, split)) == count
    files = {file.path for file in files_of(registry.load("dataset", dataset).kind)}
    assert cached(tmp_path, dataset) == files
    assert len(server[1]) == len(files)
    assert capfd.readouterr() == ("", "")


def test_a_command_says_what_it_downloads(vaecli, server):
    outcome = vaecli("train", "--dataset", "svhn", "--limit", "10", "--epochs", "1", "--hidden", "8")
    assert outcome.code == 0, outcome.err
    assert "svhn: downloading train_32x32.mat (0.1 MB) from 127.0.0.1 into" in outcome.err
    assert outcome.path.name == "svhn-z2-elbo-h8-e1-l10" or outcome.path.name.startswith("svhn-z2-elbo")


@pytest.mark.parametrize("kind", ["cut short", "a byte off", "empty", "missing"])
@pytest.mark.parametrize("dataset", SETS)
def test_damage_is_downloaded_again_or_named(tmp_path, originals, server, dataset, kind):
    folder = tmp_path / "cache" / "vaecli" / dataset
    shutil.copytree(originals / dataset, folder)
    first = files_of(registry.load("dataset", dataset).kind)[0]
    damage(kind, folder / first.path)
    line = failure(dataset, folder)
    assert f"no {first.name} there" in line if kind == "missing" else f"{first.name}: found MD5 " in line
    assert first.urls[0].rpartition("/")[0] in line
    assert len(load_images(dataset, "train")) == 30
    assert (folder / first.path).read_bytes() == (originals / dataset / first.path).read_bytes()
    assert len(server[1]) == 1


@pytest.mark.parametrize("kind", ["cut short", "a byte off", "empty", "missing"])
@pytest.mark.parametrize("dataset", SETS)
def test_a_server_that_sends_something_else_leaves_nothing(tmp_path, server, dataset, kind):
    first = files_of(registry.load("dataset", dataset).kind)[0]
    damage(kind, server[0] / dataset / first.path)
    assert ("the server says 404" if kind == "missing" else "not the published") in failure(dataset)
    assert cached(tmp_path, dataset) == set()


@pytest.mark.parametrize("dataset", SETS)
def test_without_a_network_one_line_names_the_files_and_their_place(vaecli, tmp_path, dataset):
    start = time.monotonic()
    line = refused(vaecli("train", "--dataset", dataset))
    assert time.monotonic() - start < 5
    files = files_of(registry.load("dataset", dataset).kind)
    address = files[0].urls[0].rpartition("/")[0]
    assert line == (
        f"vaecli: {dataset}: found no whole copy on this machine, and cannot download one (connection refused); "
        f"put {', '.join(file.name for file in files)} from {address} into {tmp_path}/cache/vaecli/{dataset}, "
        "or name a folder that has them with --data-dir DIR"
    )
    assert cached(tmp_path, dataset) == set()


def test_a_server_that_never_answers_is_waited_for_briefly(monkeypatch, originals):
    monkeypatch.setattr(download, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        publish(monkeypatch, "svhn", originals / "svhn", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "cannot download one (no answer within 0.2 s)" in failure("svhn")


def test_an_answer_that_ends_early_leaves_nothing(monkeypatch, tmp_path, originals, server):
    def send_half(self, source, target):
        target.write(source.read()[:1000])

    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "copyfile", send_half)
    assert "cannot download one (" in failure("svhn")
    assert cached(tmp_path, "svhn") == set()


@pytest.mark.parametrize("kind", ["FIFO", "folder", "device"])
def test_something_else_than_a_file_is_named(tmp_path, originals, kind):
    shutil.copytree(originals / "svhn", tmp_path / "svhn")
    put(tmp_path / "svhn" / "train_32x32.mat", kind)
    assert "cannot be read (found a" in failure("svhn", tmp_path / "svhn")


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


def test_published_files_are_no_pictures_of_ones_own(originals, vaecli):
    assert not Source(Config(dataset="kmnist"), originals / "kmnist").own
    outcome = vaecli("train", "--dataset", "kmnist", "--data-dir", originals / "kmnist", "--epochs", "1", "--labels", "full", "-q")
    assert outcome.path.name.startswith("kmnist-z2")
    table = vaecli("compare", outcome.path, "--out", "compared", "-q")
    assert table.code == 0, table.err


def test_one_line_of_the_registry_adds_another(monkeypatch, originals, capfd):
    line = Member("vaecli.data.torchvision_sets:USPS", "9,298 digits of post codes", {IMAGE_SIZE: 16})
    monkeypatch.setitem(registry.REGISTRY["dataset"], "usps", line)
    for split in COUNTS:
        images = load_images("usps", split, originals / "usps")
        values, labels = expected("usps", split)
        assert np.abs(images.pixels.numpy().astype(int) - values).max() <= 1  # published with four digits, then rounded down
        assert np.array_equal(images.labels, labels)
        assert list(images.class_names) == NAMES["usps"]
    assert list(registry.load("dataset", "usps").class_names(originals / "usps")) == NAMES["usps"]
    assert "put usps.bz2, usps.t.bz2 from http://" in failure("usps")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("dataset", SETS)
def test_a_picture_of_ones_own_looks_like_the_sets(tmp_path, dataset):
    page = Image.new("RGB", (300, 200), "white")
    page.paste((200, 0, 0), (120, 60, 170, 150))
    page.save(tmp_path / "page.png")
    shape = Config(dataset=dataset, image_size=40).image_shape
    image = registry.load("dataset", dataset).picture(tmp_path / "page.png", shape).view(-1, 40, 40)
    assert image[:, 0].max() == 0  # the border
    assert image[:, 5, 20].min() == (255 if dataset in COLOURED else 0)  # the paper
    assert image[:, 20, 20].tolist() == ([200, 0, 0] if dataset in COLOURED else [255])


def test_torchvision_is_left_alone_by_other_sets():
    code = "import sys, vaecli; vaecli.load_images('mnist', 'test', limit=1); print('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout == "False\n"


def test_the_files_that_torchvision_lists():
    """Unpatched classes of each of the ways in which it lists them."""
    files = files_of("QMNIST")
    assert [file.path for file in files][:2] == [
        "QMNIST/raw/qmnist-train-images-idx3-ubyte.gz",
        "QMNIST/raw/qmnist-train-labels-idx2-int.gz",
    ]
    assert [file.path for file in files_of("CIFAR100")] == ["cifar-100-python.tar.gz"]
    assert [file.path for file in files_of("STL10")] == ["stl10_binary.tar.gz"]
    assert all(
        len(file.md5) == 32 and file.urls[0].startswith("http") for file in (*files, *files_of("CIFAR100"), *files_of("STL10"))
    )
    with pytest.raises(DataError, match="gives no checksums"):
        files_of("FakeData")
