"""The images that a command shows: some of a split, or a person's own."""

from pathlib import Path

import torch

from vaecli import registry
from vaecli.config import Config
from vaecli.data import Images
from vaecli.data.dataset import Dataset
from vaecli.data.images import UNKNOWN
from vaecli.data.picture import read_picture
from vaecli.errors import UsageError
from vaecli.runs.checkpoint import Checkpoint


def class_names(config: Config) -> tuple[str, ...]:
    """What the labels of a run's data set stand for."""
    dataset: Dataset = registry.load("dataset", config.dataset)
    return dataset.class_names


def check_digit(digit: int, config: Config) -> None:
    """Refuses what is no label.

    Raises:
        UsageError: `digit` is none of the data set's labels.
    """
    names = class_names(config)
    if digit >= len(names):
        raise UsageError(f"--digit {digit}: expected 0 to {len(names) - 1}, one of {config.dataset}'s labels")


def choose_images(
    checkpoint: Checkpoint, split: str, n: int, digit: int | None, files: list[Path] | None, data_dir: Path | None
) -> Images:
    """The first `n` images of a split, those labelled `digit` if it is given, or the pictures in `files`.

    Raises:
        UsageError: no image has that label.
        DataError: the data set or a picture cannot be read.
    """
    config = checkpoint.config
    if digit is not None:
        check_digit(digit, config)
    if files:
        dataset: Dataset = registry.load("dataset", config.dataset)
        pixels = torch.stack([read_picture(file, dataset) for file in files])
        return Images(pixels, torch.full((len(files),), UNKNOWN if digit is None else digit), dataset.class_names)
    images = checkpoint.images(split, data_dir)
    if digit is not None:
        images = images[images.labels == digit]
        if not len(images):
            raise UsageError(f"--digit {digit}: the {split} images have none of it; expected a label that occurs there")
    return images[:n]
