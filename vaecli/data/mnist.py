"""MNIST (LeCun, Cortes & Burges), from files inside the package: no network, no cache."""

from pathlib import Path

from vaecli.data.dataset import IdxDataset
from vaecli.data.images import Images
from vaecli.data.picture import Drawing
from vaecli.errors import DataError

FOLDER = Path(__file__).parent / "mnist_idx"


def read(split: str, folder: Path = FOLDER) -> Images:
    """A split of the package's own files, which lie in `folder`.

    Raises:
        DataError: one of them is missing or damaged.
    """
    images = MNIST.published(folder, split)
    if images is None:
        raise DataError(
            f"{folder}: a file of the {split} split is missing or damaged, though it came with vaecli; install vaecli again"
        )
    return images


MNIST = IdxDataset(
    names=tuple("0123456789"),
    digests={
        "train": "16d4db30f8b8fd2767fcc73cd64bbb263e29a44395aef09dbf0ea27086ed7da4",
        "test": "5a8be49da49b33bc2d6a0e195891ccd3901a8a383d19a73c9915bf4c7c1aeba1",
    },
    own=read,
    drawing=Drawing(box=20, centred_by_mass=True),
)
