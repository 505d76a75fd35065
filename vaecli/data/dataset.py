"""What a registered data set can do, and the kind that is kept in IDX files."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from vaecli import registry
from vaecli.config import NAMES, Config
from vaecli.data.idx import read_folder
from vaecli.data.images import Images
from vaecli.data.picture import Drawing, Prepared
from vaecli.errors import DataError
from vaecli.image_shape import COLOURS, ImageShape


@dataclass(frozen=True)
class ReadListener:
    """Callbacks of reading a data set; by default they do nothing.

    Attributes:
        note: called with a sentence about the images.
        progress: called with how many pictures are read, and how many there are, now and then.
        silence: a context entered while pictures are unpacked, by libraries that write to the process's stderr.
    """

    note: Callable[[str], None] = lambda text: None
    progress: Callable[[int, int], None] = lambda done, total: None
    silence: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True)
class Request:
    """Which images are wanted, and in which form.

    Attributes:
        dataset: the data set's name in the registry.
        split: ``train`` or ``test``.
        folder: to read instead of the data set's own place.
        known_shape: of the images; None if those of an array decide.
        pixel_range: the values that are black and white in a person's pictures; None if all of them together decide.
        limit: of a person's pictures, read the first so many; other data sets are read whole.
        validation: of a person's pictures, those of the training set that are held out; they stand at its end, and do not count
            for `limit`. They are the first of those that the folder keeps for validation, if it does.
        conditional: whether a model sees the labels; then those that no training picture has are unknown.
        only: of a person's pictures, `Images.names` of those of the split that are needed: these are given, in this order, or all
            that the request asks for otherwise, where they are prepared already.
        options: the values of the options that only this data set has, by name.
        image_size: height and width, where they are stated.
        colour: likewise.
    """

    dataset: str
    split: str
    folder: Path | None
    known_shape: ImageShape | None
    pixel_range: tuple[float, float] | None = None
    limit: int | None = None
    validation: int | None = None
    conditional: bool = False
    only: tuple[str, ...] | None = None
    options: tuple[tuple[str, Any], ...] = ()
    image_size: int | None = None
    colour: str | None = None

    @property
    def shape(self) -> ImageShape:
        """The shape of the images, of a data set that has one by default."""
        assert self.known_shape is not None
        return self.known_shape

    @staticmethod
    def of(config: Config, split: str, folder: Path | None) -> "Request":
        """What a run of these settings reads for a split."""
        options = tuple((name, value) for name, value in config.options("dataset").items() if name not in NAMES)
        shape = config.image_shape if config.has_shape else None
        plain = Request(
            config.dataset, split, folder, shape, config.pixel_range, options=options, image_size=config.image_size,
            colour=config.colour,
        )  # fmt: skip
        if not registry.find("dataset", config.dataset).own_labels:
            return plain
        own = replace(plain, conditional=config.labels != "none")
        return replace(own, limit=config.limit, validation=config.validation) if split == "train" else own

    def settled(self, shape: ImageShape, pixel_range: tuple[float, float]) -> "Request":
        """The same request, with what the images decided where it did not say."""
        colour = next(name for name, channels in COLOURS.items() if channels == shape.channels)
        return replace(self, known_shape=shape, pixel_range=pixel_range, image_size=shape.height, colour=colour)


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

    def read(self, request: Request, listen: ReadListener) -> Images:
        """The images of a split.

        Raises:
            DataError: they cannot be read, or cannot have the shape that is wanted.
        """
        ...

    def picture(self, path: Path, shape: ImageShape, pixel_range: tuple[float, float] | None) -> Prepared:
        """A person's own picture, made to look like the set's images.

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

    def read(self, request: Request, listen: ReadListener) -> Images:
        """As `Dataset.read`; smaller images get a black border."""
        split, shape = request.split, request.shape
        if request.folder is None:
            images = self.own(split)
            if shape.height < images.shape.height:
                raise DataError(
                    f"found images of {images.shape} pixels, expected {shape}: a size from {{image_size={images.shape.height}}}"
                )
        else:
            images = read_folder(request.folder, split, self.names, shape)
        return images.padded(shape)

    def picture(self, path: Path, shape: ImageShape, pixel_range: tuple[float, float] | None) -> Prepared:
        """As `Dataset.picture`."""
        return Prepared(self.drawing.read(path, shape))

    def published(self, folder: Path, split: str) -> Images | None:
        """The images of a split in a folder of IDX files if they are the published ones; None if a file is missing or damaged."""
        try:
            images = read_folder(folder, split, self.names)
        except DataError:
            return None
        return images if images.digest == self.digests[split] else None
