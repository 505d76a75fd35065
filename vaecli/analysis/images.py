"""The images that a run is shown with: those of a split, or a person's own pictures."""

from collections.abc import Sequence
from pathlib import Path

import torch

from vaecli import registry
from vaecli.data import Images, Read, load_images
from vaecli.data.images import UNKNOWN
from vaecli.data.picture import read_picture
from vaecli.errors import UsageError
from vaecli.runs.run import Run


def class_names(dataset: str) -> tuple[str, ...]:
    """The names of the labels of a registered data set."""
    return registry.load("dataset", dataset).class_names


def check_label(label: int, dataset: str) -> None:
    """Refuses a label that a registered data set does not have.

    Raises:
        UsageError: `label` is none of its labels.
    """
    labels = len(class_names(dataset))
    if not 0 <= label < labels:
        raise UsageError(f"{{label}}: expected 0 to {labels - 1}, one of {dataset}'s labels", label=label)


def choose_images(
    run: Run,
    split: str = "test",
    n: int | None = None,
    *,
    label: int | None = None,
    pictures: Sequence[Path] = (),
    data_dir: Path | None = None,
    read: Read = load_images,
) -> Images:
    """The first `n` images of a split that a run was trained or tested on, or a person's own pictures.

    Args:
        run: the run whose data set they come from; pictures are made to look like its images.
        split: ``train`` or ``test``.
        n: how many; all if not given.
        label: only images with this label; of pictures, the label that all of them have.
        pictures: files to read instead of a split.
        data_dir: the folder of IDX files that holds the run's images now.
        read: reads a split, as in `Run.images`.

    Raises:
        UsageError: there is no such label, or no image has it.
        DataError: the images or a picture cannot be read.
    """
    dataset = run.config.dataset
    if label is not None:
        check_label(label, dataset)
    if pictures:
        registered = registry.load("dataset", dataset)
        pixels = torch.stack([read_picture(file, registered) for file in pictures])
        return Images(pixels, torch.full((len(pixels),), UNKNOWN if label is None else label), registered.class_names)
    images = run.images(split, data_dir, read)
    if label is not None:
        images = images[images.labels == label]
        if not len(images):
            raise UsageError(f"{{label}}: the {split} images have none of it; expected a label that occurs there", label=label)
    return images[:n]
