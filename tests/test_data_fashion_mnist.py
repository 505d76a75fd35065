import shutil
from pathlib import Path

import pytest
import torch

from vaecli.data import fashion_mnist, load_images
from vaecli.errors import DataError

REAL = Path(__file__).parent / "data" / "fashion-mnist"


@pytest.fixture(autouse=True)
def nothing_there(monkeypatch, tmp_path):
    monkeypatch.delenv("VAECLI_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")


def no_network(root, download):
    raise OSError("no network")


@pytest.mark.parametrize("place", ["own/fashion-mnist", "debian", "cache/vaecli/FashionMNIST/raw"])
def test_each_place_is_found(monkeypatch, tmp_path, place):
    monkeypatch.setattr("torchvision.datasets.FashionMNIST", no_network)
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


def test_otherwise_it_is_downloaded_into_the_cache(monkeypatch, tmp_path):
    def download(root, download):
        assert download
        shutil.copytree(REAL, Path(root) / "FashionMNIST" / "raw")

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", download)
    assert len(load_images("fashion-mnist", "test")) == 150
    assert (tmp_path / "cache" / "vaecli" / "FashionMNIST" / "raw").is_dir()


def test_when_nothing_works_one_error_names_every_place(monkeypatch, tmp_path):
    monkeypatch.setattr("torchvision.datasets.FashionMNIST", no_network)
    with pytest.raises(DataError) as caught:
        load_images("fashion-mnist", "train")
    text = str(caught.value)
    for word in (
        "--data-dir",
        "VAECLI_DATA_DIR",
        "dataset-fashion-mnist",
        str(tmp_path / "debian"),
        str(tmp_path / "cache"),
        "network",
    ):
        assert word in text
    assert "\n" not in text
