"""Data sets by name."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from vaecli import registry
from vaecli.arguments import Limit, PathLike, checked
from vaecli.config import Config
from vaecli.data.array import Arrays, images_of
from vaecli.data.array_files import looks_like_arrays
from vaecli.data.dataset import ReadListener, Request
from vaecli.data.idx import SPLITS
from vaecli.data.images import Images, Reading
from vaecli.errors import DataError, UsageError
from vaecli.image_shape import COLOURS
from vaecli.provenance import DataRecord


@checked
def load_images(
    dataset: str, split: str, data_dir: PathLike | None = None, limit: Limit | None = None, *, image_size: int | None = None,
    colour: str | None = None, pixel_range: tuple[float, float] | None = None,
) -> Images:  # fmt: skip
    """One split of a registered data set.

    Args:
        dataset: the data set's name in the registry.
        split: ``train`` or ``test``.
        data_dir: the folder of a person's own pictures, tar shards of them, a file of arrays, or a folder of IDX files to read
            instead of the data set's own.
        limit: keep only the first `limit` images.
        image_size: height and width, in pixels; the data set's usual one if not given.
        colour: ``grey`` or ``rgb``; the data set's usual one if not given.
        pixel_range: the values that are black and white in a person's own pictures; if not given, all of them together decide.

    Raises:
        UsageError: there is no such data set or split, or it has no such images.
        DataError: it cannot be found or read, or holds no image.

    Example:
        >>> digits = vaecli.load_images("mnist", "test", limit=1000)
        >>> digits.pixels.shape, digits.labels[:5].tolist()
        (torch.Size([1000, 784]), [7, 2, 1, 0, 4])
    """
    if split not in SPLITS:
        raise UsageError(f"{{split}}: expected {' or '.join(SPLITS)}", split=split)
    config = Config(dataset=dataset, image_size=image_size, colour=colour, pixel_range=pixel_range)
    request = Request.of(config, split, None if data_dir is None else Path(data_dir))
    images = read_split(replace(request, limit=limit))
    if pixel_range:
        _expect_use([images.reading])
    return images if limit is None else images[:limit]


def read_split(request: Request, listen: ReadListener | None = None) -> Images:
    """One split of a registered data set.

    Raises:
        DataError: it cannot be found or read, or holds no image.
    """
    try:
        images = registry.load("dataset", request.dataset).read(request, listen or ReadListener())
    except DataError as error:
        if request.folder and request.dataset != "array" and looks_like_arrays(request.folder):
            raise error.reworded(DataError, after="; {dataset=array} reads arrays") from None
        raise
    if not len(images):
        raise DataError(f"{request.folder or request.dataset}: the {request.split} split holds no image; expected at least one")
    return images


Read = Callable[[Request], Images]
"""Gives the images of a request."""


def read_once(listen: ReadListener | None = None, arrays: Arrays | None = None) -> Read:
    """A `read_split` that answers each request once, and keeps its images and their digest.

    Args:
        listen: callbacks of reading.
        arrays: what the images are taken from, wherever a request says that they are.
    """
    kept: dict[Request, Images] = {}

    def read(request: Request) -> Images:
        if request not in kept:
            images = images_of(arrays, request) if arrays else read_split(request, listen)
            kept[request] = images
            if request.only is not None and len(images) > len(request.only):  # the whole split was prepared
                kept[replace(request, only=None)] = images
            if images.reading and request.only is None:  # the same with what was settled
                kept[request.settled(images.shape, images.reading.pixel_range)] = images
        return kept[request]

    return read


class Source:
    """The images of one data set from one place, each split read once.

    Args:
        config: names the data set and the shape of its images.
        folder: a folder to read instead of the data set's own place.
        read: reads a split; one that other work shares has read it once for all.
    """

    def __init__(self, config: Config, folder: Path | None = None, read: Read | None = None) -> None:
        self.config, self.folder = config, folder
        self._read = read or read_once()

    @property
    def dataset(self) -> str:
        """The data set's name in the registry."""
        return self.config.dataset

    def request(self, split: str) -> Request:
        """What is read for a split."""
        return Request.of(self.config, split, self.folder)

    def images(self, split: str) -> Images:
        """One split.

        Raises:
            DataError: it cannot be read.
        """
        return self._read(self.request(split))

    @cached_property
    def record(self) -> DataRecord:
        """The record of these images that a run keeps.

        Raises:
            DataError: they cannot be read.
        """
        folder = None if self.folder is None else str(self.folder.absolute())
        return DataRecord(self.images("train").digest, self.images("test").digest, folder)

    def settled(self, config: Config | None = None) -> Config:
        """The settings with what a person's own images decide written down.

        That is the values that are black and white, and of arrays the size and the colours.

        Args:
            config: other settings of the same images; those of this source if not given.

        Raises:
            DataError: the images cannot be read, or no range suits them.
            UsageError: the settings have a range that none of them uses.
        """
        config, images = config or self.config, self.images("train")
        if not images.reading:
            return config
        if config.pixel_range:
            _expect_use(self.images(split).reading for split in SPLITS)
        colour = next(name for name, channels in COLOURS.items() if channels == images.shape.channels)
        return replace(config, image_size=images.shape.height, colour=colour, pixel_range=images.reading.pixel_range)

    @property
    def is_own(self) -> bool:
        """Whether `folder` holds other images than the data set's."""
        digests = registry.load("dataset", self.dataset).digests
        if self.folder is None:
            return False
        if not digests:  # those sets accept published files only
            return registry.find("dataset", self.dataset).own_labels
        return any(self.images(split).digest != digests.get(split) for split in SPLITS)


def _expect_use(readings: Iterable[Reading | None]) -> None:
    """Refuses values of black and white that no picture uses: those of bytes alone have none above 255.

    Raises:
        UsageError: it is so.
    """
    found = [reading for reading in readings if reading]
    if found and not any(reading.ranged for reading in found):
        first = found[0]
        what = "values" if first.array else "pictures"
        raise UsageError(
            f"{first.folder}: {{pixel_range}}: found {what} of 8 bits only, expected values from 0 to 255",
            pixel_range=first.pixel_range,
        )


def check_digest(images: Images, split: str, digest: str, source: str, run: str, difference: Callable[[], str] = str) -> None:
    """Refuses images that are not those of a run.

    Args:
        images: one split.
        split: ``train`` or ``test``.
        digest: the digest of the run's images of this split.
        source: where `images` were read from.
        run: the run's name.
        difference: says what is different, in words; empty where that is not known.

    Raises:
        DataError: they are others.
    """
    if images.digest != digest:
        digests = f"they have SHA-256 {images.digest[:12]}..., the run's {digest[:12]}..."
        give = "the folder of the run's images with {data_dir=DIR}"
        if images.reading and images.reading.array:
            source, give = str(images.reading.folder), "the run's own arrays, in a file with {data_dir=FILE.npz}"
        raise DataError(f"{source}: its {split} images are not those of the run {run}: {difference() or digests}; give {give}")
