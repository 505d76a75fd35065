"""Data sets by name."""

from pathlib import Path

from vaecli import registry
from vaecli.data.dataset import Dataset
from vaecli.data.idx import read_folder
from vaecli.data.images import Images
from vaecli.errors import DataError


def load_images(dataset: str, split: str, data_dir: Path | None = None, limit: int | None = None) -> Images:
    """One split of a registered data set.

    Args:
        dataset: its name in the registry.
        split: ``train`` or ``test``.
        data_dir: a folder of IDX files that takes the place of the data set's own.
        limit: keep only the first `limit` images.

    Raises:
        DataError: it cannot be found or read, or holds no image.
    """
    known: Dataset = registry.load("dataset", dataset)
    images = read_folder(data_dir or known.find(), split, known.class_names)
    if not len(images):
        raise DataError(f"{data_dir or dataset}: the {split} split holds no image; expected at least one")
    return images if limit is None else images[:limit]
