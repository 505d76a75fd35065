"""The images that a run is shown with: those of a split, or a person's own pictures."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Tensor

from vaecli import registry
from vaecli.data import Images, Read, read_split
from vaecli.data.dataset import ReadListener
from vaecli.data.images import UNKNOWN
from vaecli.errors import DataError, UsageError, printable
from vaecli.reading import is_folder
from vaecli.runs.run import Run

MOST_NOTES = 10
"""How many pictures that cannot be read have a note of their own."""


def label_number(label: int | str, class_names: Sequence[str]) -> int:
    """The number of a label that is given by its name or its number.

    A name goes first: of the labels ``5`` and ``7``, whose numbers are 0 and 1, ``"5"`` is the first.

    Raises:
        UsageError: there is no such label.
    """
    if not class_names:
        raise UsageError("{label}: found images without labels; leave {label=} out", label=label)
    word, last = str(label), len(class_names) - 1
    if isinstance(label, str) and word in class_names:
        return class_names.index(word)
    if word.isascii() and word.isdecimal() and len(word) < 10 and int(word) <= last:
        return int(word)
    if list(class_names) == [str(number) for number in range(len(class_names))]:
        raise UsageError(f"{{label}}: expected 0 to {last}, the number of a label", label=label)
    near = get_close_matches(word.casefold(), {name.casefold(): name for name in class_names}, n=1, cutoff=0.5)
    likely = next((name for name in class_names if [name.casefold()] == near), class_names[0])
    hint = f"did you mean {printable(likely)}?" if near else f"such as {printable(likely)}"
    raise UsageError(f"{{label}}: expected the name of a label, or its number, 0 to {last}; {hint}", label=label)


def choose_images(
    run: Run,
    split: str = "test",
    n: int | None = None,
    *,
    label: int | str | None = None,
    pictures: Sequence[Path] = (),
    data_dir: Path | None = None,
    read: Read = read_split,
    listen: ReadListener | None = None,
) -> Images:
    """The first `n` images of a split that a run was trained or tested on, or a person's own pictures.

    Args:
        run: the run whose data set they come from; pictures are made to look like its images.
        split: ``train`` or ``test``.
        n: how many; all if not given.
        label: only images with this label, given by its name or its number; of pictures, the label that all of them have.
        pictures: files to read instead of a split, and folders, of which every picture below them that can be read is taken.
        data_dir: the folder of IDX files that holds the run's images now.
        read: reads a split, as in `Run.images`.
        listen: callbacks of reading pictures.

    Raises:
        UsageError: there is no such label, or no image has it.
        DataError: the images or a picture cannot be read.
    """
    number = None if label is None else label_number(label, run.class_names)
    if pictures:
        return _read_pictures(run, pictures, n, UNKNOWN if number is None else number, listen or ReadListener())
    images = run.images(split, data_dir, read)
    if number is not None:
        images = images[images.labels == number]
        if not len(images):
            raise UsageError(f"{{label}}: the {split} images have none of it; expected a label that occurs there", label=label)
    return images[:n]


def _read_pictures(run: Run, places: Sequence[Path], n: int | None, label: int, listen: ReadListener) -> Images:
    """The first `n` pictures of files and folders; a file has to be readable, what is unreadable in a folder has a note."""
    dataset, shape = registry.load("dataset", run.config.dataset), run.config.image_shape
    files: list[tuple[Path, bool]] = []
    for place in places:
        inside = is_folder(place)
        files += [(file, inside) for file in (_below(place) if inside else [place])]
    total = len(files) if n is None else min(n, len(files))
    pixels, names, failures = list[Tensor](), list[str](), list[str]()
    for file, in_folder in files:
        if len(pixels) == total:
            break
        try:
            pixels.append(dataset.picture(file, shape))
            names.append(str(file))
        except DataError as error:
            if not in_folder:
                raise
            failures.append(str(error))
        listen.progress(len(pixels), total)
    listen.progress(total, total)
    for text in failures[:MOST_NOTES]:
        listen.note(text)
    if not pixels:
        first = (
            f", none of which can be read; the first: {failures[0]}"
            if failures
            else "; expected pictures, such as PNG or JPEG files"
        )
        raise DataError(f"{', '.join(map(str, places))}: found {len(failures):,} files named like pictures{first}")
    if failures:
        listen.note(f"Left out of the pictures, since they cannot be read: {len(failures):,}")
    if len(pixels) + len(failures) < len(files):
        listen.note(f"Found {len(files):,} pictures: the first {len(pixels):,} are taken")
    return Images(torch.stack(pixels), torch.full((len(pixels),), label), run.class_names, shape, tuple(names))


def _below(folder: Path) -> list[Path]:
    endings = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in endings)
