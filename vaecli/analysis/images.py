"""The images that a run is shown with: those of a split, or a person's own pictures."""

from collections.abc import Sequence
from pathlib import Path

import torch

from vaecli import registry
from vaecli.data import Images, Read, read_split
from vaecli.data.images import UNKNOWN
from vaecli.errors import UsageError
from vaecli.runs.run import Run


def check_label(label: int, class_names: Sequence[str]) -> None:
    """Refuses a label that is none of the names' numbers.

    Raises:
        UsageError: it is none of them.
    """
    if not class_names:
        raise UsageError("{label}: found images without labels; leave {label=} out", label=label)
    if not 0 <= label < len(class_names):
        raise UsageError(f"{{label}}: expected 0 to {len(class_names) - 1}, the number of a label", label=label)


def choose_images(
    run: Run,
    split: str = "test",
    n: int | None = None,
    *,
    label: int | None = None,
    pictures: Sequence[Path] = (),
    data_dir: Path | None = None,
    read: Read = read_split,
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
    if label is not None:
        check_label(label, run.class_names)
    if pictures:
        dataset, shape = registry.load("dataset", run.config.dataset), run.config.image_shape
        pixels = torch.stack([dataset.picture(file, shape) for file in pictures])
        labels = torch.full((len(pixels),), UNKNOWN if label is None else label)
        return Images(pixels, labels, run.class_names, shape, tuple(map(str, pictures)))
    images = run.images(split, data_dir, read)
    if label is not None:
        images = images[images.labels == label]
        if not len(images):
            raise UsageError(f"{{label}}: the {split} images have none of it; expected a label that occurs there", label=label)
    return images[:n]
