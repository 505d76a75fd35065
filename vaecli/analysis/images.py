"""The images that a run is shown with: those of a split, or a person's own pictures."""

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

import torch
from torch import Tensor

from vaecli import registry
from vaecli.arguments import Limit, PathLike, checked
from vaecli.data import Images, Read, read_split
from vaecli.data.dataset import ReadListener
from vaecli.data.folder import MOST_NOTES
from vaecli.data.images import UNKNOWN
from vaecli.data.tree import escape_controls, find_pictures
from vaecli.errors import DataError, UsageError, printable
from vaecli.reading import is_folder
from vaecli.runs.run import Run


@checked
def label_number(label: int | str, class_names: Sequence[str]) -> int:
    """The number of a label that is given by its name or its number.

    A name goes first: of the labels ``5`` and ``7``, whose numbers are 0 and 1, ``"5"`` is the first. It may be spelt as the
    sub-folder's is, whichever way that composes its letters.

    Raises:
        UsageError: there is no such label.
    """
    if not class_names:
        raise UsageError("{label}: found images without labels; leave {label=} out", label=label)
    word, last = str(label), len(class_names) - 1
    for name in (word, escape_controls(normalize("NFC", word))) if isinstance(label, str) else ():
        if name in class_names:
            return class_names.index(name)
    if word.isascii() and word.isdecimal() and len(word) < 10 and int(word) <= last:
        return int(word)
    if list(class_names) == [str(number) for number in range(len(class_names))]:
        raise UsageError(f"{{label}}: expected 0 to {last}, the number of a label", label=label)
    near = get_close_matches(word.casefold(), {name.casefold(): name for name in class_names}, n=1, cutoff=0.5)
    likely = next((name for name in class_names if [name.casefold()] == near), class_names[0])
    hint = f"did you mean {printable(likely)}?" if near else f"such as {printable(likely)}"
    raise UsageError(f"{{label}}: expected the name of a label, or its number, 0 to {last}; {hint}", label=label)


@checked
def choose_images(
    run: Run,
    split: str = "test",
    n: Limit | None = None,
    *,
    label: int | str | None = None,
    pictures: Sequence[Path] = (),
    data_dir: PathLike | None = None,
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
            Without `label`, those in a sub-folder called like one of the run's labels have that one; others have none.
        data_dir: the folder of IDX files that holds the run's images now.
        read: reads a split, as in `Run.images`.
        listen: callbacks of reading pictures.

    Raises:
        UsageError: there is no such label, or no image has it.
        DataError: the images or a picture cannot be read.
    """
    number = None if label is None else label_number(label, run.class_names)
    if pictures:
        return _read_pictures(run, pictures, n, number, listen or ReadListener())

    def take(labels: Tensor) -> Tensor:
        positions = torch.arange(len(labels)) if number is None else (labels == number).nonzero().flatten()
        if number is not None and not len(positions):
            raise UsageError(f"{{label}}: the {split} images have none of it; expected a label that occurs there", label=label)
        return positions[:n]

    return run.images(split, data_dir, read, take)


def _read_pictures(run: Run, places: Sequence[Path], n: int | None, label: int | None, listen: ReadListener) -> Images:
    """The first `n` pictures of files and folders; a file has to be readable, what is unreadable in a folder has a note."""
    dataset, shape = registry.load("dataset", run.config.dataset), run.config.image_shape
    found = [picture for path in places for picture in _found(path, run, listen)]
    total = len(found) if n is None else min(n, len(found))
    taken, pixels, failures, changed = list[_Picture](), list[Tensor](), list[str](), Counter[str]()
    with listen.silence():
        for picture in found:
            if len(taken) == total:
                break
            try:
                prepared = dataset.picture(picture.file, shape, run.config.pixel_range)
                pixels.append(prepared.pixels)
                taken.append(picture)
                changed += Counter(f"{picture.file}: {remark}" if not picture.in_folder else remark for remark in prepared.remarks)
            except DataError as error:
                if not picture.in_folder:
                    raise
                failures.append(str(error))
            listen.progress(len(taken), total)
    listen.progress(total, total)
    for text in failures[:MOST_NOTES]:
        listen.note(text)
    if not taken:
        first = (
            f", none of which can be read; the first: {failures[0]}"
            if failures
            else "; expected pictures, such as PNG or JPEG files"
        )
        raise DataError(f"{', '.join(map(str, places))}: found {len(failures):,} files named like pictures{first}")
    for text, count in changed.most_common(MOST_NOTES):
        listen.note(printable(text if count == 1 else f"{text}: {count:,} pictures"))
    if failures:
        listen.note(f"Left out of the pictures, since they cannot be read: {len(failures):,}")
    if len(taken) + len(failures) < len(found):
        listen.note(f"Found {len(found):,} pictures: the first {len(taken):,} are taken")
    labels = torch.tensor([picture.label if label is None else label for picture in taken])
    names = tuple(escape_controls(str(picture.file)) for picture in taken)
    return Images(torch.stack(pixels), labels, run.class_names, shape, names)


class _Picture(NamedTuple):
    """A picture file, whether it was found in a folder, and its label: UNKNOWN unless the folder's sub-folder says."""

    file: Path
    in_folder: bool
    label: int


def _found(path: Path, run: Run, listen: ReadListener) -> list[_Picture]:
    """The picture at a place, or those of a folder; a sub-folder called like a label of the run gives its pictures that label."""
    if not is_folder(path):
        return [_Picture(path, False, UNKNOWN)]
    tree = find_pictures(path)
    for text in tree.closed:
        listen.note(f"{path}: {text}")
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(run.class_names)}
    return [_Picture(path / name, True, numbers.get(tree.class_name(name), UNKNOWN)) for name in tree.pictures]
