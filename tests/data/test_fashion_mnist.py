"""Where Fashion-MNIST comes from, and what happens where a copy of it is damaged or the network is not there."""

import functools
import hashlib
import http.server
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torchvision.datasets as torchvision

from tests.helpers import DATA, damage
from vaecli.data import fashion_mnist, load_images
from vaecli.data.idx import SPLITS, read_folder
from vaecli.errors import DataError

REAL = DATA / "fashion-mnist"
CACHE = "cache/vaecli/fashion-mnist/FashionMNIST/raw"
EARLIER = "cache/vaecli/FashionMNIST/raw"
NAMES = [f"{split}-{kind}-ubyte.gz" for split in SPLITS.values() for kind in ("images-idx3", "labels-idx1")]
DATASET = fashion_mnist.FASHION_MNIST


@pytest.fixture(autouse=True)
def nothing_there(monkeypatch, tmp_path):
    """No copy anywhere, a mirror that refuses, and the tests' few images for the published ones."""
    monkeypatch.delenv("VAECLI_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setattr(torchvision.FashionMNIST, "mirrors", [f"http://127.0.0.1:{closed.getsockname()[1]}/"])
    md5s = [(name, hashlib.md5((REAL / name).read_bytes()).hexdigest()) for name in NAMES]
    monkeypatch.setattr(torchvision.FashionMNIST, "resources", md5s)
    for split in SPLITS:
        monkeypatch.setitem(DATASET.digests, split, read_folder(REAL, split, DATASET.names).digest)


class Mirror(http.server.SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, *_):
        self.asked.append(self.path)


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """A folder that is served as the mirror, and the names that were asked for."""
    folder = tmp_path / "mirror"
    shutil.copytree(REAL, folder)
    handler = type("Handler", (Mirror,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        monkeypatch.setattr(torchvision.FashionMNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        yield folder, handler.asked
        server.shutdown()


def cached(tmp_path):
    return {file.name for file in (tmp_path / CACHE).iterdir()}


@pytest.mark.parametrize("place", ["own/fashion-mnist", "debian", CACHE, EARLIER])
def test_each_place_is_found(monkeypatch, tmp_path, place):
    shutil.copytree(REAL, tmp_path / place)
    if place.startswith("own"):
        monkeypatch.setenv("VAECLI_DATA_DIR", str(tmp_path / "own"))
    images = load_images("fashion-mnist", "train")
    assert images.pixels.shape == (300, 784)
    assert [images.class_names[label] for label in images.labels[:3]] == ["Ankle boot", "T-shirt/top", "T-shirt/top"]


def test_a_folder_given_comes_first():
    assert len(load_images("fashion-mnist", "test", REAL)) == 150
    assert torch.equal(
        load_images("fashion-mnist", "test", REAL, limit=9).pixels, load_images("fashion-mnist", "test", REAL).pixels[:9]
    )


def test_otherwise_all_of_it_is_downloaded_into_the_cache(tmp_path, mirror):
    assert len(load_images("fashion-mnist", "test")) == 150
    assert cached(tmp_path) == set(NAMES)
    assert len(load_images("fashion-mnist", "train")) == 300
    assert len(mirror[1]) == 4


@pytest.mark.parametrize("kind", ["cut short", "a byte off", "empty", "missing"])
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_cache_is_fetched_again(tmp_path, mirror, kind, name):
    load_images("fashion-mnist", "test")
    expected = {file: (tmp_path / CACHE / file).read_bytes() for file in NAMES}
    damage(kind, tmp_path / CACHE / name)
    mirror[1].clear()
    for split in SPLITS:
        load_images("fashion-mnist", split)
    assert {file: (tmp_path / CACHE / file).read_bytes() for file in NAMES} == expected
    assert cached(tmp_path) == set(NAMES)
    assert len(mirror[1]) == 1


@pytest.mark.parametrize("kind", ["cut short", "a byte off", "empty", "missing"])
def test_a_mirror_that_sends_something_else_changes_nothing(tmp_path, mirror, kind):
    damage(kind, mirror[0] / "t10k-images-idx3-ubyte.gz")
    with pytest.raises(DataError, match="the server says 404" if kind == "missing" else "not the published"):
        load_images("fashion-mnist", "test")
    assert cached(tmp_path) == set(NAMES[:2])
    shutil.copytree(REAL, mirror[0], dirs_exist_ok=True)
    assert len(load_images("fashion-mnist", "test")) == 150


def test_a_damaged_copy_of_debians_is_passed_over(tmp_path, mirror):
    shutil.copytree(REAL, tmp_path / "debian")
    damage("a byte off", tmp_path / "debian" / "t10k-images-idx3-ubyte.gz")
    assert torch.equal(load_images("fashion-mnist", "test").pixels, load_images("fashion-mnist", "test", REAL).pixels)


def test_downloads_at_the_same_time_do_not_disturb_each_other(tmp_path, mirror):
    with ThreadPoolExecutor(4) as pool:
        splits = list(pool.map(functools.partial(load_images, "fashion-mnist"), ["train", "test"] * 4))
    assert [len(images) for images in splits] == [300, 150] * 4
    assert cached(tmp_path) == set(NAMES)


def failure():
    with pytest.raises(DataError) as caught:
        load_images("fashion-mnist", "train")
    return str(caught.value)


def test_without_a_network_the_error_is_one_short_line(tmp_path):
    assert failure() == (
        "fashion-mnist: found no whole copy on this machine, and cannot download one (connection refused); "
        f"put {', '.join(NAMES)} from {torchvision.FashionMNIST.mirrors[0][:-1]} into {tmp_path}/cache/vaecli/fashion-mnist, "
        "or into fashion-mnist/ of a folder that VAECLI_DATA_DIR names; or install Debian's package dataset-fashion-mnist"
    )
    assert cached(tmp_path) == set()


def test_without_a_home_the_line_says_what_to_set(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda _: {}[0])  # raises KeyError, as for a user without an entry
    assert "set XDG_CACHE_HOME" in failure()
