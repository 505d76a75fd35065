"""The pictures below a folder: where they are, their labels, and their splits. None of them is opened here."""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from unicodedata import category, normalize

from vaecli.data.images import UNKNOWN
from vaecli.errors import DataError, printable, reason
from vaecli.reading import Slice, Stamp, is_folder, stamp_of

ENDINGS = frozenset([
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp", ".tif", ".tiff",
    ".pbm", ".pgm", ".ppm", ".pnm", ".pfm", ".avif", ".heic", ".heif", ".hif",
])  # fmt: skip
"""The endings of files that are taken for pictures."""

MAX_CLASSES, MAX_NAME = 10_000, 255
"""The most labels, and letters of a label's name, that a checkpoint holds."""

MAX_NAMES = 1 << 19
"""The most bytes of all labels' names in a checkpoint: half of what its header may have."""

TENTH = (1 << 64) // 10
"""A picture is in the test set if its hash, of 64 bits, is less than this."""


FEW = 20
"""Pictures of a test set that is chosen by hash: at least these, or a fifth of all where that is fewer."""

TRAIN, TEST, VALIDATION = "train", "test", "validation"

_SPLIT = re.compile(r"(?:(train|training)|(test|testing)|(val|valid|validation|dev|eval))(?:[ _-]?(?:set|split|data|images))?")

_WITHIN = re.compile(rf"(?<![^\W\d_]){_SPLIT.pattern}(?![^\W\d_]{{2}})")
"""The name of a split as a word within another name: ``train2017``, ``seg_train``, ``trainA``."""


@dataclass(frozen=True)
class Layout:
    """How the sub-folders of a folder name the splits.

    Attributes:
        splits: the split that a sub-folder holds, by its name.
        depth: where these sub-folders are: 0 in the folder itself, 1 in those of the labels (``cat/train/1.png``).
    """

    splits: Mapping[str, str]
    depth: int = 0

    def names(self, split: str) -> tuple[str, ...]:
        """The names of the sub-folders that hold a split."""
        return tuple(sorted(name for name, held in self.splits.items() if held == split))


class Member(NamedTuple):
    """Where a picture lies in a shard: the shard's number, its first byte there, and its bytes."""

    shard: int
    start: int
    size: int


@dataclass(frozen=True)
class Tree:
    """The pictures below a folder, or in shards as they would lie below one.

    Attributes:
        folder: the folder's path, or the shards' as it was given.
        pictures: their paths below it, with ``/``, sorted.
        folders: the names of its own sub-folders, whatever they hold.
        others: how many other files there are, by their ending.
        links: how many symbolic links to folders there are; they are not followed.
        closed: a phrase for each sub-folder that cannot be read, and for what is left out of shards.
        shards: their files, each with its stamp when its members were listed; none for a folder.
        members: where each picture of shards lies.
        given: the labels that stand beside pictures in shards; of these the folders in a path do not count.
    """

    folder: Path
    pictures: tuple[str, ...]
    folders: frozenset[str]
    others: Counter[str]
    links: int
    closed: tuple[str, ...]
    shards: tuple[tuple[Path, Stamp], ...] = ()
    members: Mapping[str, Member] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)

    def place(self, picture: str) -> Path | Slice:
        """Where the bytes of a picture are."""
        if not self.shards:
            return self.folder / picture
        shard, start, size = self.members[picture]
        file, stamp = self.shards[shard]
        return Slice(file, stamp, start, size, f"{file}/{picture}")

    @cached_property
    def stamps(self) -> dict[str, Stamp]:
        """What changes with each picture: the stamp of its file, or of its shard and where it begins there.

        Of a file that cannot be looked at there is none.
        """
        if self.shards:
            return {picture: (*self.shards[shard][1], start) for picture, (shard, start, _) in self.members.items()}
        stamps, folder = {}, str(self.folder.resolve())
        for picture in self.pictures:
            try:
                stamps[picture] = stamp_of(os.stat(f"{folder}/{picture}"))  # noqa: PTH116 - in a third of the time of a Path's
            except OSError:
                continue
        return stamps

    @cached_property
    def layout(self) -> Layout | None:
        """How sub-folders name the splits, ``train``, ``test`` or ``val`` in any case and usual spelling; None if none does.

        They do so where there is one for training and another, or where one for training holds every picture.

        Raises:
            DataError: two sub-folders name one split.
        """
        named = {name: split for name in self.folders if (split := _split_of(name))}
        found = set(named.values())
        if TRAIN not in found and (affixed := self._affixed()):
            return Layout(affixed)
        if TRAIN in found and (len(found) > 1 or (self.folders == named.keys() and not any("/" not in it for it in self.pictures))):
            layout = Layout(named)
            for split in found:
                if len(several := layout.names(split)) > 1:
                    raise DataError(
                        f"{self.folder}: found the sub-folders {' and '.join(map(printable, several))}, which both name the "
                        f"{split} split; expected one of them: put their pictures together, or rename one"
                    )
            return layout
        inner = {parts[1] for picture in self.pictures if len(parts := picture.split("/")) > 2}
        named = {name: split for name in inner if (split := _split_of(name))}
        found = set(named.values())
        every = all(len(parts := picture.split("/")) > 2 and parts[1] in named for picture in self.pictures)
        return Layout(named, 1) if every and TRAIN in found and len(found) > 1 else None

    def _affixed(self) -> dict[str, str]:
        """The splits of sub-folders whose names hold that of a split and otherwise agree, as ``train2017`` and ``val2017`` do.

        Empty if these do not hold every picture. A number in front may differ: ``01_train`` and ``02_test``.
        """
        splits, rests = dict[str, str](), set[str]()
        for name in {picture.partition("/")[0] if "/" in picture else "" for picture in self.pictures}:
            if not (match := _WITHIN.search(name.casefold())):
                return {}
            splits[name] = _split_named(match)
            rests.add(re.sub(r"^\d+|[\W_]", "", match.string[: match.start()] + match.string[match.end() :]))
        return splits if len(rests) == 1 and len(splits) == len(set(splits.values())) > 1 and TRAIN in splits.values() else {}

    @property
    def has_test(self) -> bool:
        """Whether a sub-folder holds the test set; where one for validation stands alone beside training, that does."""
        return self.layout is not None and len(set(self.layout.splits.values())) > 1

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The names of the sub-folders with pictures, of all splits, sorted; none if there is no such sub-folder.

        Labels that are given in shards, and all whole numbers, are sorted as numbers.

        Raises:
            DataError: a checkpoint does not hold them.
        """
        found = {name for picture in self.inside if (name := self.class_name(picture)) is not None}
        numbers = bool(self.given) and all(name.isascii() and name.isdecimal() for name in found)
        names = tuple(sorted(found, key=lambda name: (int(name) if numbers else 0, name)))
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
        return tuple(picture for picture in self.pictures if self.layout is None or self._named_split(picture))

    def class_name(self, picture: str) -> str | None:
        """The name of the label of a picture; None if it has no label, or -1 is given."""
        if (given := self.given.get(picture)) is not None:
            return None if given == "-1" else given
        folder = picture.rpartition("/")[0]
        if folder not in self._class_names:
            self._class_names[folder] = self._class_name(picture)
        return self._class_names[folder]

    @cached_property
    def _class_names(self) -> dict[str, str | None]:
        """The labels of folders that were asked for."""
        return {}

    def _class_name(self, picture: str) -> str | None:
        parts = picture.split("/")
        if self.layout is not None:
            del parts[self.layout.depth]
        first, *rest = parts
        return escape_controls(normalize("NFC", first)) if rest else None

    def labels(self, pictures: Iterable[str]) -> list[int]:
        """The label of each picture, an index into `class_names`, or UNKNOWN."""
        indices = {name: index for index, name in enumerate(self.class_names)}
        return [UNKNOWN if (name := self.class_name(picture)) is None else indices[name] for picture in pictures]

    def of(self, split: str) -> tuple[str, ...]:
        """The pictures that sub-folders put into a split, ``train``, ``test`` or ``validation``.

        The only sub-folder beside that for training holds the test set, also where its name says validation.
        """
        if self.layout is None:
            return ()
        held = set(self.layout.splits.values())
        wanted = VALIDATION if split == TEST and TEST not in held else None if split == VALIDATION and TEST not in held else split
        return tuple(picture for picture in self.pictures if self._named_split(picture) == wanted) if wanted else ()

    def named_like_splits(self) -> tuple[str, ...]:
        """The sub-folders, at any depth, that are called like a split though they are none."""
        folders = {
            name for folder in {picture.rpartition("/")[0] for picture in self.pictures} for name in folder.split("/") if name
        }
        words = {folder: _split_named(match) for folder in folders if (match := _WITHIN.search(folder.casefold()))}
        several = TRAIN in words.values() and len(set(words.values())) > 1  # a label may be a bullet train
        return tuple(sorted(words if several else filter(_split_of, words)))

    def _named_split(self, picture: str) -> str | None:
        """The split that a sub-folder names for a picture."""
        assert self.layout is not None
        *folders, _ = picture.split("/")
        return self.layout.splits.get(folders[self.layout.depth]) if len(folders) > self.layout.depth else None


def _split_of(name: str) -> str | None:
    """The split that a sub-folder of this name holds; None for any other name."""
    match = _SPLIT.fullmatch(name.strip().casefold())
    return _split_named(match) if match else None


def split_within(name: str) -> str | None:
    """The split that is a word of a name, as of ``train-000`` and ``val2017``; None for any other name."""
    match = _WITHIN.search(name.casefold())
    return _split_named(match) if match else None


def _split_named(match: re.Match[str]) -> str:
    return (TRAIN, TEST, VALIDATION)[(match.lastindex or 1) - 1]


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
                    name = below + entry.name
                    if entry.name.startswith(".") or entry.name == "__MACOSX":
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{name}/")
                    elif entry.is_symlink() and is_folder(folder / name):
                        links += 1
                    elif (ending := ending_of(entry.name)) in ENDINGS:
                        pictures.append(name)
                    else:
                        others[ending] += 1
        except OSError as error:
            if not below:
                raise DataError(f"{folder}: cannot be read ({reason(error)}); expected a folder of pictures") from None
            closed.append(f"{below}: this sub-folder cannot be read ({reason(error)})")
        if not below:
            folders = frozenset(name.removesuffix("/") for name in waiting)
    tree = Tree(folder, tuple(sorted(pictures, key=order)), folders, others, links, tuple(sorted(closed)))
    return inner_tree(tree) or tree


def inner_tree(tree: Tree) -> Tree | None:
    """The tree of the only sub-folder with pictures, or of that one's, if it holds the splits, as an archive's does; or None."""
    while True:
        first, *others = {picture.partition("/")[0] for picture in tree.pictures} or {""}
        if others or first not in tree.folders:
            return None
        pictures = tuple(picture.removeprefix(f"{first}/") for picture in tree.pictures)
        folders = frozenset(picture.partition("/")[0] for picture in pictures if "/" in picture)
        tree = replace(tree, folder=tree.folder / first, pictures=pictures, folders=folders)
        if tree.has_test and tree.layout is not None and not tree.layout.depth:
            return tree


class Parts(NamedTuple):
    """The pictures of a folder, parted into the splits.

    Attributes:
        train: the paths of the training set.
        test: the paths of the test set.
    """

    train: list[str]
    test: list[str]


def split_pictures(pictures: Iterable[str], readable: Callable[[str], bool]) -> Parts:
    """The pictures of each split: one in ten is in the test set, by a hash of its path, so that adding a picture moves no other.

    Of few pictures, those with the smallest hashes are the test set: FEW of them, or a fifth of all. A split has a picture that can
    be read where there are two; a single one is in both. If none can be read, all are in both.

    Args:
        pictures: their paths, with ``/``.
        readable: whether a picture can be read; asked for as few as possible.
    """
    hashes = {picture: path_hash(picture) for picture in pictures}
    by_hash = sorted(hashes, key=lambda picture: (hashes[picture], picture))
    first = next(filter(readable, by_hash), None)
    last = next(filter(readable, reversed(by_hash)), None)
    if first is None or last is None:
        return Parts(list(hashes), list(hashes))
    few = max(by_hash.index(first) + 1, min(FEW, len(hashes) // 5))
    test = {picture for rank, picture in enumerate(by_hash) if (rank < few or hashes[picture] < TENTH) and picture != last}
    train = [picture for picture in hashes if picture not in test]
    alone = [last] if first == last else []
    return Parts(train, [picture for picture in hashes if picture in test] + alone)


def path_hash(path: str) -> int:
    """A hash of a path, of 64 bits, the same on every system."""
    return int.from_bytes(hashlib.sha256(normalize("NFC", path).encode("utf-8", "surrogatepass")).digest()[:8])


def escape_controls(name: str) -> str:
    """A file's name as text that any file can hold: control characters, line breaks and invalid letters spelt out."""
    if name.isprintable():
        return name
    return "".join(ascii(letter)[1:-1] if category(letter) in ("Cc", "Cs", "Zl", "Zp") else letter for letter in name)


def ending_of(name: str) -> str:
    """The ending of a file's name, in small letters, with its dot; empty if there is none."""
    stem, _, ending = name.rpartition(".")
    return f".{ending}".lower() if stem and ending else ""


def order(path: str) -> tuple[str, str]:
    """The key by which paths are sorted."""
    return normalize("NFC", path), path
