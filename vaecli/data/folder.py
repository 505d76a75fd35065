"""A person's own pictures: every one below a folder, of any size, with the names of its sub-folders as labels."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from vaecli.data.crop import Cropped, read_cropped
from vaecli.data.dataset import ReadListener
from vaecli.data.images import Images
from vaecli.data.picture import FORMATS, without_warnings
from vaecli.data.tree import Tree, find_pictures, part, path_hash, spelt
from vaecli.errors import DataError, printable
from vaecli.image_shape import ImageShape
from vaecli.threads import processors

MOST_NOTES = 10
"""How many pictures that cannot be read have a note of their own."""

MEMORY_SHARE = 0.5
"""The most that the pictures may take of the machine's memory; training and other programs need some too."""

_USUAL_MEMORY = 8 << 30
_WORKERS = 8
"""The most pictures that are unpacked at a time: a large one may take some hundred megabytes meanwhile."""

_INTERVAL = 32
_KINDS = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]} files"
_T = TypeVar("_T")


@dataclass(frozen=True)
class PictureFolder:
    """The data set of a person's own pictures.

    Its sub-folders ``train`` and ``test`` are the splits if both are there; otherwise one picture in ten is in the test set. Other
    sub-folders are labels: the first below the folder or below ``train`` and ``test``. Pictures beside those have no label.
    """

    digests: Mapping[str, str] = field(default_factory=dict)

    def class_names(self, folder: Path | None = None) -> tuple[str, ...]:
        """As `Dataset.class_names`; no picture is opened for it."""
        return find_pictures(folder).class_names

    def read(self, split: str, shape: ImageShape, folder: Path | None, listen: ReadListener) -> Images:
        """As `Dataset.read`; the pictures are in the order of a hash of their paths, so that the first few are of all labels.

        What is unusual about the folder as a whole is noted when its training set is read.
        """
        tree = find_pictures(folder)
        if not tree.pictures:
            raise DataError(
                f"{tree.folder}: found {_others(tree)}, expected {_KINDS}; give the folder of pictures with {{data_dir=DIR}}"
            )
        _check_memory(tree, shape)
        class_names = tree.class_names
        with without_warnings():
            chosen, unusual = _choose(tree, split, shape)
            read = _read(tree.folder, chosen, shape, listen)
        if not read.kept:
            raise DataError(f"{tree.folder}: {_nothing(split, read.failures)}")
        for text in read.failures[:MOST_NOTES]:
            listen.note(text)
        for text in [*read.remarks(split, shape), *(_remarks(tree, unusual) if split == "train" else ())]:
            listen.note(printable(f"{tree.folder}: {text}"))
        return Images(
            read.pixels, torch.tensor(tree.labels(read.kept), dtype=torch.int64), class_names, shape, tuple(map(spelt, read.kept))
        )

    def picture(self, path: Path, shape: ImageShape) -> Tensor:
        """As `Dataset.picture`."""
        with without_warnings():
            return read_cropped(path, shape).tensor


FOLDER = PictureFolder()


class _Read(NamedTuple):
    """Pictures that were read: their pixels, shape (N, D), and paths; why others could not be; how many were cut."""

    pixels: Tensor
    kept: list[str]
    failures: list[str]
    cut: int

    def remarks(self, split: str, shape: ImageShape) -> Iterator[str]:
        """What is to be said about them as a whole."""
        count = len(self.kept) + len(self.failures)
        of_all = f"of the {count:,} picture{'s' if count > 1 else ''} of the {split} split"
        if self.failures:
            yield f"left out, as they cannot be read: {len(self.failures):,} {of_all}"
        if self.cut:
            form = "square" if shape.height == shape.width else f"of the proportions {shape}"
            yield f"not {form}, so only their middle is taken: {self.cut:,} {of_all}"


def _read(folder: Path, chosen: Sequence[str], shape: ImageShape, listen: ReadListener) -> _Read:
    """Reads pictures, several at a time: Pillow's decoders and filters leave Python's lock to other threads."""
    pixels = torch.empty(len(chosen), shape.size, dtype=torch.uint8)
    kept: list[str] = []
    failures: list[str] = []
    cut = 0
    with ThreadPoolExecutor(min(_WORKERS, processors())) as pool:
        results = _ahead(pool, lambda name: _attempt(folder / name, shape), chosen)
        for done, (name, result) in enumerate(zip(chosen, results, strict=True), 1):
            if isinstance(result, DataError):
                failures.append(str(result))
            else:
                pixels[len(kept)] = result.tensor
                kept.append(name)
                cut += result.cut
            if done % _INTERVAL == 0 or done == len(chosen):
                listen.progress(done, len(chosen))
    return _Read(pixels[: len(kept)], kept, failures, cut)


def _ahead(pool: ThreadPoolExecutor, work: Callable[[str], _T], items: Iterable[str]) -> Iterator[_T]:
    """The results for `items`, in their order; a few are worked on ahead."""
    waiting: deque[Future[_T]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > 4 * _WORKERS:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _attempt(path: Path, shape: ImageShape) -> Cropped | DataError:
    """A picture, or why it cannot be read."""
    try:
        return read_cropped(path, shape)
    except DataError as error:
        return error


def _choose(tree: Tree, split: str, shape: ImageShape) -> tuple[Sequence[str], str]:
    """The pictures of a split, and what is unusual about the splits."""
    if tree.is_split:
        chosen, unusual = list(tree.of(split)), ""
    else:
        parts = part(tree.pictures, lambda name: isinstance(_attempt(tree.folder / name, shape), Cropped))
        chosen, unusual = (parts.train if split == "train" else parts.test), parts.unusual
    return sorted(chosen, key=lambda name: (path_hash(name), name)), unusual


def _check_memory(tree: Tree, shape: ImageShape) -> None:
    """Refuses more pictures than this machine's memory holds, before any is read."""
    count, most = len(tree.pictures), int(MEMORY_SHARE * _memory())
    if count * shape.size > most:
        side = shape.height
        while side > 8 and count * shape.channels * side**2 > most:
            side //= 2
        raise DataError(
            f"{tree.folder}: {count:,} pictures of {shape} take {count * shape.size / 1e9:,.1f} GB of memory, expected at most "
            f"{most / 1e9:,.1f}, half of this machine's; take fewer of them, or smaller images with {{image_size={side}}}"
        )


def _memory() -> int:
    """The bytes of memory that this machine has."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return _USUAL_MEMORY


def _remarks(tree: Tree, unusual: str) -> Iterator[str]:
    """What is unusual about a folder as a whole."""
    yield from tree.closed
    if tree.others.total() or tree.links:
        yield f"{_others(tree)}, left out; pictures are {_KINDS}"
    inside = tree.inside
    if outside := len(tree.pictures) - len(inside):
        yield f"pictures outside train/ and test/, left out: {outside:,}"
    if tree.class_names and (unlabelled := sum(tree.class_name(picture) is None for picture in inside)):
        yield f"pictures beside the sub-folders, which are the labels, and so without one: {unlabelled:,}"
    for split, other in ("train", "test"), ("test", "train"):
        if split in tree.folders and other not in tree.folders:
            yield f"the sub-folder {split} counts as a label, not as the {split} split: there is no {other} beside it"
    if unusual:
        yield unusual


def _others(tree: Tree) -> str:
    """What there is beside pictures: ``other files: 12 (.txt, .heic), links to folders: 1``."""
    endings = ", ".join(ending or "no ending" for ending, _ in tree.others.most_common(4))
    files = f"other files: {tree.others.total():,} ({endings}{', ...' if len(tree.others) > 4 else ''})" if tree.others else ""
    return ", ".join(filter(None, (files, f"links to folders: {tree.links:,}" if tree.links else ""))) or "no file"


def _nothing(split: str, failures: Sequence[str]) -> str:
    """Why a split holds no picture that can be read."""
    if not failures:
        return f"found no picture in {split}/, expected {_KINDS} there for the {split} split"
    return f"found files named like pictures: {len(failures):,}, none of which can be read; the first: {failures[0]}"
