"""The pictures in tar shards, as webdataset writes them: where each lies, and its label. Nothing is unpacked to the disk.

A sample is the files whose paths agree up to the first dot after the last slash: a picture, with its label in ``KEY.cls`` (a number
or a word) or in ``KEY.json`` ({"label": ...}). Only headers and labels are read here, and once: the list of a shard is kept until
the shard changes.
"""

import json
import os
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from glob import glob, has_magic
from io import BufferedReader
from itertools import pairwise
from pathlib import Path
from unicodedata import normalize

from vaecli.data.prepared import INDEX, alone, most_bytes, not_kept
from vaecli.data.tree import ENDINGS, MAX_NAME, TRAIN, Member, Tree, ending_of, escape_controls, inner_tree, order, split_within
from vaecli.errors import DataError, VaecliError, printable, reason
from vaecli.files import write_file
from vaecli.reading import Stamp, open_file, read_file, stamp_of
from vaecli.threads import processors

VERSION = 1
"""Of what is listed of a shard: with another one all are listed again."""

_WORKERS = 8
_MOST_HEADER = 1 << 18
"""Bytes of a member's headers; tarfile reads as many as they say."""

_MOST_LABEL = 1 << 16
_MOST_BRACES = 100
_RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})(?:\.\.(-?\d{1,18}))?")
_PACKED = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}
_TAR = re.compile(r".*\.(?:tar(?:\.\w+)?|tgz|tbz2?|txz|tzst)", re.IGNORECASE)


def expand(path: Path) -> list[Path]:
    """The shards that a path names, with braces and wildcards expanded as bash does; none if it is no path of tars.

    The search ends at the first that is missing, so that no range is too long.

    Raises:
        DataError: one is missing, or named twice.

    Example:
        >>> expand(Path("shards/{000..127}.tar"))[-1]
        PosixPath('shards/127.tar')
    """
    text = str(path)
    if _exists(path):
        return [path] if _TAR.fullmatch(path.name) else []
    if (braces := text.count("{")) > _MOST_BRACES:
        raise DataError(f"{path}: found {braces:,} braces, expected at most {_MOST_BRACES}")
    if next(_words(text)) == text and not has_magic(text):
        return []
    found = dict[str, None]()
    for word in _words(text):
        named = sorted(glob(word), key=order) if has_magic(word) else [word]  # noqa: PTH207 - the pattern may be absolute
        if not named or not _exists(Path(named[0])):
            raise DataError(f"{path}: found no {word} on this machine, expected every shard that the path names")
        for name in named:
            if name in found:
                raise DataError(f"{path}: names {name} twice, expected each shard once")
            found[name] = None
    return list(map(Path, found))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # of a name that no file can have
        return False


def _words(text: str) -> Iterator[str]:
    """The words that a text with braces stands for, one after the other."""
    start = text.find("{")
    while start >= 0:
        if found := _alternatives(text, start):
            parts, end = found
            for part in parts:
                for word in _words(part):
                    for rest in _words(text[end:]):
                        yield f"{text[:start]}{word}{rest}"
            return
        start = text.find("{", start + 1)
    yield text


def _alternatives(text: str, start: int) -> tuple[Iterable[str], int] | None:
    """What braces that open at `start` stand for, and where they end: ``{000..127}``, ``{0..10..2}``, ``{train,val}``.

    None for another text in braces, or braces that are not closed.
    """
    depth, cuts = 0, [start]
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if not depth or (depth == 1 and text[place] == ","):
            cuts.append(place)
        if not depth:
            if match := _RANGE.fullmatch(text[start + 1 : place]):
                return _numbers(match), place + 1
            return ([text[cut + 1 : end] for cut, end in pairwise(cuts)], place + 1) if len(cuts) > 2 else None
    return None


def _numbers(match: re.Match[str]) -> Iterator[str]:
    ends = match[1], match[2]
    first, last, step = int(match[1]), int(match[2]), abs(int(match[3] or 1)) or 1
    padded = any(re.match("-?0[0-9]", end) for end in ends)
    width = max(map(len, ends)) if padded else 0
    return (f"{number:0{width}}" for number in (range(first, last + 1, step) if first <= last else range(first, last - 1, -step)))


def tars_below(folder: Path) -> list[Path]:
    """The tars at any depth below a folder, but for hidden ones."""
    found = [path for path in folder.rglob("*") if _TAR.fullmatch(path.name) and path.is_file()]
    seen = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return sorted(seen, key=lambda path: order(str(path)))


@dataclass(frozen=True)
class _Shard:
    """What is in a shard.

    Attributes:
        stamp: of the file.
        names: of the pictures, one for each sample.
        starts: the first byte of each.
        sizes: the bytes of each.
        labels: the label that is given beside each; empty for none.
        left_out: how many members of a kind are not used.
        others: how many other files there are, by their ending.
    """

    stamp: Stamp
    names: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)


def tree_of(path: Path, files: Sequence[Path], kept: Path | None, note: Callable[[str], None]) -> Tree:
    """The pictures in shards, with the paths that they would have below a folder; no picture is opened.

    Shards that are all called like splits, or lie in folders that are (``train-000.tar``, ``val/000.tar``), stand for the folders
    ``train``, ``test`` and ``validation``. So pictures have the order, splits and labels of the same pictures in folders, however
    they are put into shards.

    Args:
        path: the path that names the shards.
        files: the shards.
        kept: the folder that keeps the list of what is in them; None if nothing does.
        note: called if that takes some time, and if it cannot be kept.

    Raises:
        DataError: a shard cannot be read.
    """
    shards = _listed(path, files, kept, note)
    above = os.path.commonpath([file.parent for file in files])
    splits = [_split_of(file.relative_to(above)) for file in files]
    named = TRAIN in splits and len({*splits} - {None}) > 1
    others, left_out = Counter[str](), Counter[str]()
    members, given = dict[str, Member](), dict[str, str]()
    for number, (file, shard, split) in enumerate(zip(files, shards, splits, strict=True)):
        others.update(shard.others)
        left_out.update(shard.left_out)
        for name, start, size, label in zip(shard.names, shard.starts, shard.sizes, shard.labels, strict=True):
            picture = f"{split}/{name.removeprefix(f'{split}/')}" if named and split else name
            while picture in members:  # another shard has a sample of this name
                picture += f" in {file.name}"
            members[picture] = Member(number, start, size)
            if label:
                given[picture] = label
    closed = [f"left out of the shards: {', '.join(f'{what}: {count:,}' for what, count in left_out.items())}"] if left_out else []
    pictures = tuple(sorted(members, key=order))
    folders = frozenset(picture.partition("/")[0] for picture in pictures if "/" in picture)
    stamped = tuple((file, shard.stamp) for file, shard in zip(files, shards, strict=True))
    tree = Tree(path, pictures, folders, others, 0, tuple(closed), stamped, members, given)
    if not (inner := inner_tree(tree)):
        return tree
    top = f"{inner.folder.relative_to(path).as_posix()}/"
    return replace(
        inner, folder=path, members={name.removeprefix(top): member for name, member in members.items()},
        given={name.removeprefix(top): label for name, label in given.items()},
    )  # fmt: skip


def _split_of(shard: Path) -> str | None:
    """The split that a shard's name says, or that of the nearest folder that does."""
    words = (shard.stem, *reversed(shard.parts[:-1]))
    return next(filter(None, map(split_within, words)), None)


def _listed(path: Path, files: Sequence[Path], kept: Path | None, note: Callable[[str], None]) -> list[_Shard]:
    """What is in each shard: as it is kept, or read now and kept."""
    names = [str(file.absolute()) for file in files]

    def known() -> dict[str, _Shard]:
        """The shards that have not changed since they were listed."""
        return {name: shard for name, shard in (_kept(kept) if kept else {}).items() if name in wanted and _is(name, shard.stamp)}

    wanted = set(names)
    found = known()
    if len(found) == len(files):
        return [found[name] for name in names]
    note(printable(f"{path}: {len(files):,} shard{'s' * (len(files) != 1)}, whose members are listed once"))
    try:
        if kept is None:
            return _read_all(files)
        with alone(kept):
            found = known()  # another process may have listed them meanwhile
            missing = [name for name in names if name not in found]
            found |= zip(missing, _read_all(list(map(Path, missing))), strict=True)
            _keep(kept, found)
    except OSError as error:
        assert kept
        note(not_kept(kept.parent, error))
        return _read_all(files)
    return [found[name] for name in names]


def _is(name: str, stamp: Stamp) -> bool:
    try:
        return stamp_of(Path(name).stat()) == stamp
    except OSError:
        return False


def _keep(place: Path, shards: dict[str, _Shard]) -> None:
    """Writes what is in shards, by their paths.

    Raises:
        OSError: it cannot be written.
    """
    values = {"version": VERSION, "shards": {name: vars(shard) for name, shard in shards.items()}}
    try:
        write_file(place / f"shards{INDEX}", json.dumps(values).encode())
    except VaecliError as error:
        raise OSError(str(error)) from None


def _kept(place: Path) -> dict[str, _Shard]:
    """What was written about shards, by their paths; nothing if there is none, or it is damaged."""
    try:
        values = json.loads(read_file(place / f"shards{INDEX}", most_bytes()))
        if values["version"] != VERSION:
            return {}
        found = {}
        for name, columns in values["shards"].items():
            shard = _Shard(**columns | {"stamp": tuple(columns["stamp"])})
            counts = {len(it) for it in (shard.names, shard.labels, shard.starts, shard.sizes)}
            if len(counts) > 1 or {*map(type, shard.names), *map(type, shard.labels)} - {str}:
                return {}
            if {*map(type, shard.starts), *map(type, shard.sizes)} - {int} or min([*shard.starts, *shard.sizes], default=0) < 0:
                return {}
            found[name] = replace(shard, left_out=Counter(shard.left_out), others=Counter(shard.others))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    return found


def _read_all(files: Sequence[Path]) -> list[_Shard]:
    with ThreadPoolExecutor(min(_WORKERS, processors())) as pool:
        return list(pool.map(_read, files))


class _Headers(BufferedReader):
    """A file from which tarfile reads headers: no more bytes for one member than a header should have."""

    left = _MOST_HEADER

    def read(self, size: int | None = -1) -> bytes:
        self.left -= size if size is not None and size >= 0 else self.left + 1
        if self.left < 0:
            raise tarfile.ReadError(f"a header of more than {_MOST_HEADER:,} bytes")
        return super().read(size)


def _read(path: Path) -> _Shard:
    """What is in a shard, by the headers of its members.

    Raises:
        DataError: it cannot be read, or is no plain tar.
    """
    try:
        with _Headers(open_file(path).detach()) as file:
            if command := next((command for magic, command in _PACKED.items() if file.peek(4).startswith(magic)), None):
                raise DataError(f"{path}: found a compressed tar, expected a plain one; unpack it with {command} {path}")
            return _shard_of(file)
    except OSError as error:
        raise DataError(f"{path}: cannot be read as a shard ({reason(error)}); expected a tar of pictures") from None
    except (tarfile.TarError, ValueError, RecursionError) as error:
        why = printable(str(error))[:120] or type(error).__name__
        raise DataError(f"{path}: cannot be read as a shard ({why}); expected a whole tar of pictures") from None


def _shard_of(file: _Headers) -> _Shard:
    """The samples in a tar.

    Raises:
        tarfile.TarError, ValueError, RecursionError: it is damaged or no tar.
    """
    shard = _Shard(stamp_of(os.fstat(file.fileno())))
    samples, labels = dict[str, dict[str, tuple[int, int]]](), dict[str, str]()
    for name, start, size in _files(file, shard.left_out):
        folder, _, base = name.rpartition("/")
        stem, _, kind = base.partition(".")
        key, ending = f"{folder}/{stem}", ending_of(base)
        if ending in ENDINGS:
            pictures = samples.setdefault(key, {})
            shard.left_out["files of which another one of the same name stands further on"] += name in pictures
            pictures[name] = start, size
        elif (
            (kind := kind.lower()) in ("cls", "json") and size <= _MOST_LABEL and (label := _label(kind, _bytes(file, start, size)))
        ):
            labels[key] = labels.get(key, label) if kind == "json" else label
        else:
            shard.others[ending] += 1
    for key, pictures in samples.items():
        name = min(pictures, key=lambda it: it.rpartition("/")[2].count("."))
        shard.left_out["pictures after the first of a sample, whose name ends at the first dot"] += len(pictures) - 1
        shard.names.append(name)
        shard.starts.append(pictures[name][0])
        shard.sizes.append(pictures[name][1])
        shard.labels.append(labels.get(key, ""))
    return replace(shard, left_out=+shard.left_out)


def _files(file: _Headers, left_out: Counter[str]) -> Iterator[tuple[str, int, int]]:
    """The name of each regular file in a tar, its first byte and its bytes; hidden ones are not looked at.

    Raises:
        tarfile.TarError, ValueError, RecursionError: it is damaged or no tar.
    """
    length, before = os.fstat(file.fileno()).st_size, -1
    with tarfile.TarFile(fileobj=file) as tar:
        while (member := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # it keeps all otherwise
            file.left = _MOST_HEADER
            if member.offset <= before or member.size < 0:
                raise ValueError("its members overlap")
            before = member.offset
            parts = [part for part in member.name.split("/") if part not in ("", ".")]
            if member.isdir() or any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in parts):
                continue
            if member.name.startswith("/") or ".." in parts:
                left_out["names that are absolute or have .."] += 1
            elif not member.isreg() or member.issparse():
                left_out["links, devices and files with holes"] += 1
            elif member.offset_data + member.size > length:
                raise ValueError(f"it is cut short in {member.name}; copy it again")
            else:
                yield "/".join(parts), member.offset_data, member.size
        end = tar.offset
    rest = _bytes(file, end, _MOST_HEADER)
    if rest.strip(b"\0"):
        what = "damage" if rest[:512].strip(b"\0") else "another archive, or damage,"
        raise ValueError(f"{what} from byte {end:,} on")
    left_out["shards without an end, as if cut short"] += not rest


def _bytes(file: _Headers, start: int, size: int) -> bytes:
    file.seek(start)
    file.left = _MOST_HEADER
    return file.read(size)


def _label(kind: str, data: bytes) -> str:
    """The label in a file; empty for none."""
    try:
        value = data.decode() if kind == "cls" else json.loads(data)["label"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    word = escape_controls(normalize("NFC", str(value).strip()))
    return word if len(word) <= MAX_NAME else ""
