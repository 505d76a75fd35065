"""EMNIST's letters (Cohen, Afshar, Tapson & van Schaik 2017, arXiv:1702.05373), upright."""

import shutil
import string
import tempfile
import zipfile
from pathlib import Path

from vaecli.data.dataset import ReadListener
from vaecli.data.idx import read_images, read_labels
from vaecli.data.images import Images
from vaecli.data.picture import Drawing
from vaecli.data.published import Archives
from vaecli.data.torchvision_sets import TorchvisionDataset
from vaecli.errors import DataError
from vaecli.image_shape import GREY_28

NAMES = tuple(string.ascii_lowercase)

_ARCHIVE = "EMNIST/raw/gzip.zip"
_LARGEST = 256 << 20
"""Bytes; the largest of the packed files has a tenth of that."""


def read(archives: Archives, split: str, listen: ReadListener) -> Images:
    """A split from the archive of all EMNIST's files; torchvision's class would unpack 1.8 GB of them."""
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(archives[_ARCHIVE]) as packed:
        images, labels = (
            _unpacked(packed, f"emnist-letters-{split}-{kind}-ubyte.gz", Path(scratch)) for kind in ("images-idx3", "labels-idx1")
        )
        numbers = read_labels(labels)
        pixels, shape = read_images(images, labels.name, len(numbers))
    if shape != GREY_28 or not ((numbers >= 1) & (numbers <= len(NAMES))).all():
        raise DataError(
            f"{archives[_ARCHIVE]}: found images of {shape} and labels from {numbers.min()} to {numbers.max()}, "
            f"expected {GREY_28} and 1 to {len(NAMES)}"
        )
    return Images(pixels.view(-1, 28, 28).mT.flatten(1), numbers - 1, NAMES)


def _unpacked(packed: zipfile.ZipFile, name: str, folder: Path) -> Path:
    """A file of the archive, still packed by gzip, in a folder."""
    try:
        entry = packed.getinfo(f"gzip/{name}")
    except KeyError:
        raise DataError(f"{packed.filename}: found no gzip/{name} in it") from None
    if entry.file_size > _LARGEST:
        raise DataError(f"{packed.filename}: {name} has {entry.file_size:,} bytes, expected at most {_LARGEST:,}")
    with packed.open(entry) as source, (folder / name).open("wb") as target:
        shutil.copyfileobj(source, target)
    return folder / name


LETTERS = TorchvisionDataset("emnist-letters", "EMNIST", GREY_28, read, NAMES, Drawing(box=24, centred_by_mass=False))
