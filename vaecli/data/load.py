"""Data sets by name."""

from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path

from vaecli import registry
from vaecli.data.idx import SPLITS, read_folder
from vaecli.data.images import Images
from vaecli.device import configure_torch
from vaecli.errors import DataError, UsageError
from vaecli.provenance import DataRecord


def load_images(dataset: str, split: str, data_dir: str | Path | None = None, limit: int | None = None) -> Images:
    """One split of a registered data set.

    Args:
        dataset: its name in the registry.
        split: ``train`` or ``test``.
        data_dir: a folder of IDX files to read instead of the data set's own.
        limit: keep only the first `limit` images.

    Raises:
        UsageError: there is no such data set or split.
        DataError: it cannot be found or read, or holds no image.

    Example:
        >>> digits = vaecli.load_images("mnist", "test", limit=1000)
        >>> digits.pixels.shape, digits.labels[:5].tolist()
        (torch.Size([1000, 784]), [7, 2, 1, 0, 4])
    """
    configure_torch()
    if split not in SPLITS:
        raise UsageError(f"{{split}}: expected {' or '.join(SPLITS)}", split=split)
    if limit is not None and limit < 1:
        raise UsageError("{limit}: expected a whole number from 1", limit=limit)
    registered = registry.load("dataset", dataset)
    images = registered.read(split) if data_dir is None else read_folder(Path(data_dir), split, registered.class_names)
    if not len(images):
        raise DataError(f"{data_dir or dataset}: the {split} split holds no image; expected at least one")
    return images if limit is None else images[:limit]


Read = Callable[[str, str, Path | None], Images]
"""Gives a split, by the data set's name, its own, and the folder of IDX files to read instead of the data set's own place."""


def read_once() -> Read:
    """A `load_images` that reads a split once from each place, and keeps its images and their digest."""
    return cache(load_images)


class Source:
    """The images of one data set from one place, each split read once.

    Args:
        dataset: its name in the registry.
        folder: a folder of IDX files to read instead of the data set's own.
        read: reads a split; one that other work shares has read it once for all.
    """

    def __init__(self, dataset: str, folder: Path | None = None, read: Read | None = None) -> None:
        self.dataset, self.folder = dataset, folder
        self._read = read or read_once()

    def images(self, split: str) -> Images:
        """One split.

        Raises:
            DataError: it cannot be read.
        """
        return self._read(self.dataset, split, self.folder)

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
        return self.folder is not None and (self.record.train, self.record.test) != (digests["train"], digests["test"])


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
