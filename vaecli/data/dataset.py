"""What a registered data set can do, and the kind that is kept in IDX files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from vaecli.data.idx import read_folder
from vaecli.data.images import Images
from vaecli.data.picture import Drawing
from vaecli.errors import DataError
from vaecli.image_shape import ImageShape


@dataclass(frozen=True)
class ReadListener:
    """Callbacks of reading a data set; by default they do nothing.

    Attributes:
        note: called with a sentence about the images.
        progress: called with how many pictures are read, and how many there are, now and then.
    """

    note: Callable[[str], None] = lambda text: None
    progress: Callable[[int, int], None] = lambda done, total: None


class Dataset(Protocol):
    """A registered data set."""

    @property
    def digests(self) -> Mapping[str, str]:
        """`Images.digest` of its splits, ``train`` and ``test``, as published; empty if they are not known."""
        ...

    def class_names(self, folder: Path | None = None) -> tuple[str, ...]:
        """The names of the labels 0, 1, ...; of pictures in `folder`, where they decide them.

        Raises:
            DataError: they are in the folder, and it cannot be read.
        """
        ...

    def read(self, split: str, shape: ImageShape, folder: Path | None, listen: ReadListener) -> Images:
        """The images of a split, in this shape.

        Args:
            split: ``train`` or ``test``.
            shape: of the images that are wanted.
            folder: to read instead of the data set's own place.
            listen: callbacks.

        Raises:
            DataError: they cannot be read, or cannot have this shape.
        """
        ...

    def picture(self, path: Path, shape: ImageShape) -> Tensor:
        """The pixels of a person's own picture, made to look like the set's images: uint8, shape (shape.size,).

        Raises:
            DataError: it cannot be read as a picture.
        """
        ...


@dataclass(frozen=True)
class IdxDataset:
    """A data set of grey drawings in IDX files.

    Attributes:
        names: of the labels 0, 1, ...
        digests: `Images.digest` of its splits, ``train`` and ``test``, as published.
        own: gives a split, by name, from the data set's own place; raises DataError if it cannot.
        drawing: how a person's own drawing is prepared.
    """

    names: tuple[str, ...]
    digests: Mapping[str, str]
    own: Callable[[str], Images]
    drawing: Drawing

    def class_names(self, folder: Path | None = None) -> tuple[str, ...]:
        """The names of the labels, wherever the images are."""
        return self.names

    def read(self, split: str, shape: ImageShape, folder: Path | None, listen: ReadListener) -> Images:
        """As `Dataset.read`; smaller images get a black border."""
        if folder is None:
            images = self.own(split)
            if shape.height < images.shape.height:
                raise DataError(
                    f"found images of {images.shape} pixels, expected {shape}: a size from {{image_size={images.shape.height}}}"
                )
        else:
            images = read_folder(folder, split, self.names, shape)
        return images.padded(shape)

    def picture(self, path: Path, shape: ImageShape) -> Tensor:
        """As `Dataset.picture`."""
        return self.drawing.read(path, shape)

    def published(self, folder: Path, split: str) -> Images | None:
        """The images of a split in a folder of IDX files if they are the published ones; None if a file is missing or damaged."""
        try:
            images = read_folder(folder, split, self.names)
        except DataError:
            return None
        return images if images.digest == self.digests[split] else None
