"""Omniglot: 1,623 characters of 50 alphabets, each drawn by 20 people (Lake, Salakhutdinov & Tenenbaum 2015, Science 350)."""

import io
import zipfile
from pathlib import PurePosixPath

import torch
from PIL import Image, ImageChops

from vaecli.data.crop import crop
from vaecli.data.dataset import ReadListener
from vaecli.data.images import Images
from vaecli.data.picture import Drawing
from vaecli.data.published import Archives
from vaecli.data.torchvision_sets import TorchvisionDataset
from vaecli.errors import DataError
from vaecli.image_shape import GREY_28

SIDE = 105
"""Pixels; of a drawing as it is published."""

_SETS = {"train": "background", "test": "evaluation"}
"""What the splits are called there; they have no alphabet in common."""

_MOST_DRAWINGS = 100_000
_LARGEST = 1 << 16
"""Bytes; of a drawing's PNG file."""

_INTERVAL = 500


def class_names(archives: Archives) -> tuple[str, ...]:
    """The names of the alphabets of both splits, in the order of their letters."""
    found = set()
    for split in _SETS:
        with zipfile.ZipFile(_archive(archives, split)) as packed:
            found |= {_alphabet(entry) for entry in _drawings(packed)}
    return tuple(name.replace("_", " ") for name in sorted(found))


def read(archives: Archives, split: str, listen: ReadListener) -> Images:
    """A split from its archive: white on black as MNIST's digits are, in the order of the paths.

    torchvision's class has the order of the disk, other ones on other machines.
    """
    names = class_names(archives)
    with zipfile.ZipFile(_archive(archives, split)) as packed:
        drawings = _drawings(packed)
        pixels = torch.empty(len(drawings), GREY_28.size, dtype=torch.uint8)
        for index, entry in enumerate(drawings):
            if entry.file_size > _LARGEST:
                raise DataError(f"{packed.filename}: {entry.filename} has {entry.file_size:,} bytes, expected at most {_LARGEST:,}")
            with Image.open(io.BytesIO(packed.read(entry)), formats=("PNG",)) as picture:
                if picture.size != (SIDE, SIDE):
                    size = f"{picture.width} x {picture.height}"
                    raise DataError(f"{packed.filename}: {entry.filename} has {size} pixels, expected {SIDE} x {SIDE}")
                pixels[index] = crop(ImageChops.invert(picture.convert("L")), GREY_28).tensor
            if index % _INTERVAL == 0:
                listen.progress(index, len(drawings))
    listen.progress(len(drawings), len(drawings))
    labels = torch.tensor([names.index(_alphabet(entry).replace("_", " ")) for entry in drawings], dtype=torch.int64)
    return Images(pixels, labels, names)


def _archive(archives: Archives, split: str) -> str:
    return str(archives[f"omniglot-py/images_{_SETS[split]}.zip"])


def _drawings(packed: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The drawings of an archive: images_background/ALPHABET/character01/0709_01.png and so on."""
    found = [entry for entry in packed.infolist() if entry.filename.endswith(".png") and entry.filename.count("/") == 3]
    if not 0 < len(found) <= _MOST_DRAWINGS:
        raise DataError(f"{packed.filename}: found {len(found):,} drawings, expected 1 to {_MOST_DRAWINGS:,}")
    return sorted(found, key=lambda entry: entry.filename)


def _alphabet(entry: zipfile.ZipInfo) -> str:
    return PurePosixPath(entry.filename).parts[1]


OMNIGLOT = TorchvisionDataset("omniglot", "Omniglot", GREY_28, read, class_names, Drawing(box=20, centred_by_mass=False))
