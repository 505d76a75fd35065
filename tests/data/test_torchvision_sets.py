"""Data sets that torchvision knows, read from stand-ins in the formats of the published files."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
import torchvision.datasets as torchvision
from PIL import Image

from tests.data import stand_ins
from tests.data.stand_ins import COUNTS, SETS, failure, numbers, pixels
from vaecli import registry
from vaecli.config import Config
from vaecli.data import Source, load_images
from vaecli.errors import DataError, UsageError
from vaecli.image_shape import ImageShape
from vaecli.registry import IMAGE_SIZE, Member

pytestmark = pytest.mark.usefixtures("stand_ins_published")
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


def test_what_torchvision_prints_is_not_seen(monkeypatch, originals, capfd):
    download_it = torchvision.KMNIST.download

    def talk(self):
        print("Files already downloaded and verified")
        print("100%", file=sys.stderr)
        warnings.warn("an old name", stacklevel=1)
        download_it(self)

    monkeypatch.setattr(torchvision.KMNIST, "download", talk)
    assert len(load_images("kmnist", "train", originals / "kmnist")) == 30
    assert capfd.readouterr() == ("", "")


def test_published_files_are_no_pictures_of_ones_own(originals, vaecli):
    assert not Source(Config(dataset="kmnist"), originals / "kmnist").is_own
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
    image = registry.load("dataset", dataset).picture(tmp_path / "page.png", shape, None).pixels.view(-1, 40, 40)
    assert image[:, 0].max() == 0  # the border
    assert image[:, 5, 20].min() == (255 if dataset in COLOURED else 0)  # the paper
    assert image[:, 20, 20].tolist() == ([200, 0, 0] if dataset in COLOURED else [255])


@pytest.mark.system
def test_torchvision_is_left_alone_by_other_sets():
    code = "import sys, vaecli; vaecli.load_images('mnist', 'test', limit=1); print('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout == "False\n"
