"""Where the files of torchvision's sets are found, what is downloaded, and the one line where neither can be."""

import http.server
import shutil
import socket
import time

import pytest
import torchvision.datasets as torchvision

from tests.data.stand_ins import COUNTS, SETS, failure, publish
from tests.helpers import damage, put, refused
from vaecli import registry
from vaecli.data import download, load_images, published
from vaecli.data.published import files_of
from vaecli.errors import DataError

pytestmark = pytest.mark.usefixtures("stand_ins_published")


def cached(tmp_path, dataset):
    folder = tmp_path / "cache" / "vaecli" / dataset
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


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
    assert outcome.path.name.startswith("svhn-z2-elbo")


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
        f"or into {dataset}/ of a folder that VAECLI_DATA_DIR names"
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


@pytest.mark.parametrize("kind", ["FIFO", "folder", "device"])
def test_something_else_than_a_file_is_named(tmp_path, originals, kind):
    shutil.copytree(originals / "svhn", tmp_path / "svhn")
    put(tmp_path / "svhn" / "train_32x32.mat", kind)
    assert "cannot be read (found a" in failure("svhn", tmp_path / "svhn")


def test_the_next_address_is_asked_where_one_refuses(monkeypatch, server):
    (working,) = torchvision.KMNIST.mirrors
    monkeypatch.setattr(torchvision.KMNIST, "mirrors", ["http://127.0.0.1:9/", working])  # the port "discard"
    assert len(load_images("kmnist", "train")) == 30


@pytest.mark.parametrize("error", [ImportError("no module"), RuntimeError("operator torchvision::nms does not exist")])
def test_a_torchvision_that_does_not_go_with_torch_is_one_line(monkeypatch, error):
    def fail(name):
        raise error

    monkeypatch.setattr(published, "import_module", fail)
    assert failure("svhn") == f"torchvision cannot be imported ({error}); install the one that goes with your PyTorch"


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
