"""Data sets by name."""

from collections.abc import Callable
from functools import cache, cached_property, partial
from pathlib import Path

from vaecli import registry
from vaecli.arguments import Limit, Place, checked
from vaecli.config import Config
from vaecli.data.dataset import ReadListener
from vaecli.data.idx import SPLITS
from vaecli.data.images import Images
from vaecli.errors import DataError, UsageError
from vaecli.image_shape import ImageShape
from vaecli.provenance import DataRecord


@checked
def load_images(
    dataset: str, split: str, data_dir: Place | None = None, limit: Limit | None = None, *, image_size: int | None = None,
    colour: str | None = None,
) -> Images:  # fmt: skip
    """One split of a registered data set.

    Args:
        dataset: its name in the registry.
        split: ``train`` or ``test``.
        data_dir: the folder of a person's own pictures, or of IDX files to read instead of the data set's own.
        limit: keep only the first `limit` images.
        image_size: height and width, in pixels; the data set's usual one if not given.
        colour: ``grey`` or ``rgb``; the data set's usual one if not given.

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
    shape = Config(dataset=dataset, image_size=image_size, colour=colour).image_shape
    images = read_split(dataset, split, None if data_dir is None else Path(data_dir), shape)
    return images if limit is None else images[:limit]


def read_split(dataset: str, split: str, folder: Path | None, shape: ImageShape, listen: ReadListener | None = None) -> Images:
    """One split of a registered data set, in a given shape.

    Args:
        dataset: its name in the registry.
        split: ``train`` or ``test``.
        folder: to read instead of the data set's own place.
        shape: of the images.
        listen: callbacks.

    Raises:
        DataError: it cannot be found or read, or holds no image.
    """
    images = registry.load("dataset", dataset).read(split, shape, folder, listen or ReadListener())
    if not len(images):
        raise DataError(f"{folder or dataset}: the {split} split holds no image; expected at least one")
    return images


Read = Callable[[str, str, Path | None, ImageShape], Images]
"""Gives a split, by the data set's name, its own, the folder to read instead of the data set's own place, and the images' shape."""


def read_once(listen: ReadListener | None = None) -> Read:
    """A `read_split` that reads a split once from each place, and keeps its images and their digest."""
    return cache(partial(read_split, listen=listen))


class Source:
    """The images of one data set from one place, each split read once.

    Args:
        config: names the data set and the shape of its images.
        folder: a folder to read instead of the data set's own place.
        read: reads a split; one that other work shares has read it once for all.
    """

    def __init__(self, config: Config, folder: Path | None = None, read: Read | None = None) -> None:
        self.dataset, self.shape, self.folder = config.dataset, config.image_shape, folder
        self._read = read or read_once()

    def images(self, split: str) -> Images:
        """One split.

        Raises:
            DataError: it cannot be read.
        """
        return self._read(self.dataset, split, self.folder, self.shape)

    @cached_property
    def record(self) -> DataRecord:
        """The record of these images that a run keeps.

        Raises:
            DataError: they cannot be read.
        """
        folder = None if self.folder is None else str(self.folder.absolute())
        return DataRecord(self.images("train").digest, self.images("test").digest, folder)

    @property
    def own(self) -> bool:
        """Whether `folder` holds other images than the data set's."""
        digests = registry.load("dataset", self.dataset).digests
        if self.folder is None:
            return False
        if not digests:  # those sets accept published files only
            return registry.find("dataset", self.dataset).own_labels
        return any(self._read(self.dataset, split, self.folder, self.shape).digest != digests.get(split) for split in SPLITS)


def expect(images: Images, split: str, digest: str, place: str, run: str) -> None:
    """Refuses images that are not those of a run.

    Args:
        images: one split.
        split: ``train`` or ``test``.
        digest: that of the run's images of this split.
        place: where `images` were read from.
        run: its name.

    Raises:
        DataError: they are others.
    """
    if images.digest != digest:
        raise DataError(
            f"{place}: its {split} images have SHA-256 {images.digest[:12]}..., those of the run {run} have {digest[:12]}...; "
            "give the folder that holds the run's with {data_dir=DIR}"
        )
