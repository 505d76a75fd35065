"""A registered data set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vaecli.data.idx import read_folder
from vaecli.data.images import Images
from vaecli.errors import DataError


@dataclass(frozen=True)
class Dataset:
    """A data set of 28 x 28 images in IDX files.

    Attributes:
        class_names: the names of the labels 0, 1, ...
        digests: `Images.digest` of its splits, ``train`` and ``test``.
        read: gives a split, by name, from the data set's own place; raises DataError if it cannot.
        box: the side of the square, in pixels, that the drawing in each image fits.
        centred_by_mass: whether a drawing's centre of mass is the middle of its image; else the middle of its outline is.
    """

    class_names: tuple[str, ...]
    digests: Mapping[str, str]
    read: Callable[[str], Images]
    box: int
    centred_by_mass: bool

    def published(self, folder: Path, split: str) -> Images | None:
        """The images of a split in a folder of IDX files if they are the published ones; None if a file is missing or damaged."""
        try:
            images = read_folder(folder, split, self.class_names)
        except DataError:
            return None
        return images if images.digest == self.digests[split] else None
