"""The pictures below a folder: where they are, their labels, and which of them are the test set. None of them is opened here."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from unicodedata import category, normalize

from vaecli.data.idx import SPLITS
from vaecli.data.images import UNKNOWN
from vaecli.errors import DataError, reason

ENDINGS = frozenset([
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp", ".tif", ".tiff",
    ".pbm", ".pgm", ".ppm", ".pnm", ".pfm",
])  # fmt: skip
"""The endings of files that are taken for pictures."""

MAX_CLASSES, MAX_NAME = 10_000, 255
"""The most labels, and letters of a label's name, that a checkpoint holds."""

MAX_NAMES = 1 << 19
"""The most bytes of all labels' names in a checkpoint: half of what its header may have."""

TENTH = (1 << 64) // 10
"""A picture is in the test set if its hash, of 64 bits, is less than this."""


@dataclass(frozen=True)
class Tree:
    """The pictures below a folder.

    Attributes:
        folder: it.
        pictures: their paths below it, with ``/``, sorted.
        folders: the names of its own sub-folders, whatever they hold.
        others: how many other files there are, by their ending.
        links: how many symbolic links to folders there are; they are not followed.
        closed: a phrase for each sub-folder that cannot be read.
    """

    folder: Path
    pictures: tuple[str, ...]
    folders: frozenset[str]
    others: Counter[str]
    links: int
    closed: tuple[str, ...]

    @cached_property
    def is_split(self) -> bool:
        """Whether the training set and the test set are sub-folders, ``train`` and ``test``."""
        return self.folders.issuperset(SPLITS)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The names of the sub-folders with pictures, of both splits, sorted; none if there is no such sub-folder.

        Raises:
            DataError: a checkpoint does not hold them.
        """
        names = tuple(sorted({name for picture in self.inside if (name := self.class_name(picture)) is not None}))
        long = next((name for name in names if len(name) > MAX_NAME), None)
        if long is not None:
            raise DataError(
                f"{self.folder}: found a sub-folder, a label, with a name of {len(long)} letters, expected at most {MAX_NAME}"
            )
        if len(names) > MAX_CLASSES or len(json.dumps(names)) > MAX_NAMES:
            raise DataError(
                f"{self.folder}: found {len(names):,} sub-folders, each a label, expected at most {MAX_CLASSES:,}, "
                f"and {MAX_NAMES:,} letters of names; put the pictures into fewer sub-folders, or all into one folder"
            )
        return names

    @property
    def inside(self) -> tuple[str, ...]:
        """The pictures that are in a split."""
        return tuple(picture for split in SPLITS for picture in self.of(split)) if self.is_split else self.pictures

    def class_name(self, picture: str) -> str | None:
        """The name of the label of a picture; None if it has no label."""
        first, *rest = picture.split("/")[self.is_split :]
        return spelt(normalize("NFC", first)) if rest else None

    def labels(self, pictures: Iterable[str]) -> list[int]:
        """The label of each picture, an index into `class_names`, or UNKNOWN."""
        indices = {name: index for index, name in enumerate(self.class_names)}
        return [UNKNOWN if (name := self.class_name(picture)) is None else indices[name] for picture in pictures]

    def of(self, split: str) -> tuple[str, ...]:
        """The pictures in the sub-folder of a split."""
        return tuple(picture for picture in self.pictures if picture.startswith(f"{split}/"))


def find_pictures(folder: Path | None) -> Tree:
    """The pictures below a folder, without hidden ones.

    Files count as pictures by their ending. Symbolic links to files are followed, those to folders are not.

    Raises:
        DataError: there is no such folder, or it cannot be read.
    """
    if folder is None:
        raise DataError("found no folder of pictures, expected a person's own; give it with {data_dir=DIR}")
    pictures: list[str] = []
    others: Counter[str] = Counter()
    closed, links, waiting, folders = [], 0, [""], frozenset[str]()
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(folder / below) as entries:
                for entry in entries:
                    name, ending = below + entry.name, Path(entry.name).suffix.lower()
                    if entry.name.startswith(".") or entry.name == "__MACOSX":
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{name}/")
                    elif entry.is_symlink() and _is_folder(folder / name):
                        links += 1
                    elif ending in ENDINGS:
                        pictures.append(name)
                    else:
                        others[ending] += 1
        except OSError as error:
            if not below:
                raise DataError(f"{folder}: cannot be read ({reason(error)}); expected a folder of pictures") from None
            closed.append(f"{below}: this sub-folder cannot be read ({reason(error)})")
        if not below:
            folders = frozenset(name.removesuffix("/") for name in waiting)
    return Tree(folder, tuple(sorted(pictures, key=_order)), folders, others, links, tuple(sorted(closed)))


class Parts(NamedTuple):
    """The pictures of a folder, parted into the splits.

    Attributes:
        train: the paths of the training set.
        test: those of the test set.
        unusual: a sentence about that, if there are too few pictures for it; else empty.
    """

    train: list[str]
    test: list[str]
    unusual: str


def part(pictures: Iterable[str], readable: Callable[[str], bool]) -> Parts:
    """The pictures of each split: one in ten is in the test set, by a hash of its path, so that adding a picture moves no other.

    Where that leaves a split with no picture that can be read, the one with the smallest hash is the test set, or the one with the
    largest the training set. A single one is in both. If none can be read, all are in both.

    Args:
        pictures: their paths, with ``/``.
        readable: whether a picture can be read; asked for as few as possible.
    """
    hashes = {picture: path_hash(picture) for picture in pictures}
    by_hash = sorted(hashes, key=lambda picture: (hashes[picture], picture))
    first = next(filter(readable, by_hash), None)
    last = next(filter(readable, reversed(by_hash)), None)
    if first is None or last is None:
        return Parts(list(hashes), list(hashes), "")
    test = {picture for picture in hashes if picture == first or (hashes[picture] < TENTH and picture != last)}
    if hashes[first] < TENTH <= hashes[last]:
        unusual = ""
    elif first == last:
        unusual = "there is one picture: it is the training set and the test set"
    elif hashes[first] >= TENTH:
        unusual = f"there are few pictures: one of them, {first}, is the test set"
    else:
        unusual = f"there are few pictures: one of them, {last}, is the training set"
    train = [picture for picture in hashes if picture == last or picture not in test]
    return Parts(train, [picture for picture in hashes if picture in test], unusual)


def path_hash(path: str) -> int:
    """A hash of a path, of 64 bits, the same on every system."""
    return int.from_bytes(hashlib.sha256(normalize("NFC", path).encode("utf-8", "surrogatepass")).digest()[:8])


def spelt(name: str) -> str:
    """A file's name as text that any file can hold: control characters, line breaks and invalid letters spelt out."""
    return "".join(ascii(letter)[1:-1] if category(letter) in ("Cc", "Cs", "Zl", "Zp") else letter for letter in name)


def _order(path: str) -> tuple[str, str]:
    return normalize("NFC", path), path


def _is_folder(path: Path) -> bool:
    """Whether a symbolic link leads to a folder; False too if that cannot be seen."""
    try:
        return path.is_dir()
    except OSError:
        return False
