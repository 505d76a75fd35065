"""What a registered data set tells of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Dataset:
    """A data set of 28 x 28 images in IDX files.

    Attributes:
        class_names: what the labels 0, 1, ... stand for.
        digests: `Images.digest` of its splits, ``train`` and ``test``.
        find: gives the folder of its files; raises DataError where there is none.
        box: the side of the square, in pixels, that the drawing in each image fits.
        centred_by_mass: whether a drawing's centre of mass is the middle of its image; else the middle of its outline is.
    """

    class_names: tuple[str, ...]
    digests: Mapping[str, str]
    find: Callable[[], Path]
    box: int
    centred_by_mass: bool
