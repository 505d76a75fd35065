"""Pictures that were prepared once: the bytes of a split in a file that every process maps, beside what became of its files.

A picture takes about a millisecond to unpack, scale and cut; its bytes are read back some hundred times as fast. What is kept
is checked against the folder whenever it is used, by the size and times of every picture: pictures that changed are prepared
again, the others are taken over.
"""

import hashlib
import json
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from vaecli.data.crop import Cropped
from vaecli.data.download import cache
from vaecli.data.tree import Tree
from vaecli.errors import DataError, VaecliError, printable, reason
from vaecli.files import CACHE, write_file
from vaecli.image_shape import ImageShape
from vaecli.memory import machine_memory
from vaecli.reading import Stamp, read_file

NONE = "none"

SHARE = 0.5
"""The most that prepared pictures take of what is free on the disk or theirs; those unused for longest make room."""

VERSION = 2
"""Of how pictures are prepared: with another one all are prepared again."""

PATIENCE = 3600.0
"""Seconds that a process waits for another one that prepares the same pictures."""

_BLOCK = 1 << 20
_PIXELS, _MANIFEST, _LOCK = ".pixels", ".json", "lock"

INDEX = ".index"
"""The ending of the list of what is in shards, which is kept in the same place."""

Range = tuple[float, float]


class Counts(NamedTuple):
    """What became of some pictures, as in `vaecli.data.images.Reading`.

    Attributes:
        cut: how many were cut.
        scaled: how many were made smaller or larger.
        pages: further pages.
        outside: how many have values outside the range.
        ranged: for how many the range counts.
        flat: paths of those that it leaves few shades.
    """

    cut: int
    scaled: int
    pages: int
    outside: int
    ranged: int
    flat: list[str]

    @staticmethod
    def of(kept: Sequence[str], cropped: Sequence[Cropped]) -> "Counts":
        """Those of pictures with these paths."""
        return Counts(
            sum(one.cut for one in cropped),
            sum(one.scaled for one in cropped),
            sum(one.pages for one in cropped),
            sum(one.outside > 0 for one in cropped),
            sum(one.ranged for one in cropped),
            [name for name, one in zip(kept, cropped, strict=True) if one.flat],
        )


class Pictures(NamedTuple):
    """Pictures of a split in their order.

    Attributes:
        pixels: uint8, shape (N, D); mapped from a file, where they are kept.
        kept: their paths below the folder.
        counts: what became of them.
        failures: why others cannot be read.
        untrained: of a test set, the labels that no training picture has.
        pixel_range: the values that are black and white.
        digest: `Images.digest` of these pictures with their labels; empty if it is not known.
    """

    pixels: Tensor
    kept: list[str]
    counts: Counts
    failures: list[str]
    untrained: list[str]
    pixel_range: Range
    digest: str = ""


def cache_folder() -> Path | None:
    """Where prepared pictures are kept; None if nowhere.

    Raises:
        DataError: there is no home folder, and no other one is named.
    """
    chosen = os.environ.get(CACHE, "")
    if chosen == NONE:
        return None
    return Path(chosen).absolute() if chosen else cache("prepared pictures") / "prepared"


class Store:
    """What was prepared of one folder's pictures in one shape.

    Args:
        place: the folder in which this is kept, from `place_of`.
        tree: the pictures.
        shape: of the images.
    """

    def __init__(self, place: Path, tree: Tree, shape: ImageShape) -> None:
        self.place, self.source, self.stamps, self.shape = place, tree.folder.resolve(), tree.stamps, shape

    @cached_property
    def listing(self) -> str:
        """SHA-256 of the names and stamps of all pictures."""
        digest = hashlib.sha256("\0".join(self.stamps).encode("utf-8", "surrogatepass"))
        digest.update(array("q", chain.from_iterable(self.stamps.values())))
        return digest.hexdigest()

    def find(self, key: str) -> Pictures | None:
        """What was prepared under a key, if the folder has not changed since; None otherwise."""
        manifest = self._manifest(self.place / f"{key}{_MANIFEST}")
        if manifest is None or manifest.listing != self.listing:
            return None
        with suppress(OSError):
            os.utime(self.place / f"{key}{_MANIFEST}")  # it was used
        return manifest.prepared

    def unchanged(self, pixel_range: Range) -> dict[str, Callable[[], Cropped]]:
        """What gives each picture that was prepared with this range, under any key, and has not changed since, with its bytes."""
        known: dict[str, Callable[[], Cropped]] = {}
        for file in self.place.glob(f"*{_MANIFEST}"):
            manifest = self._manifest(file)
            if manifest is None or manifest.prepared.pixel_range != pixel_range:
                continue
            with suppress(ValueError, TypeError, LookupError, RecursionError):  # what is kept of single pictures is damaged
                details = [_detail(entry) for entry in json.loads(manifest.details)]
                for name, (stamp, cropped), pixels in zip(manifest.prepared.kept, details, manifest.prepared.pixels, strict=True):
                    if self.stamps.get(name) == stamp:
                        known[name] = partial(_with_bytes, cropped, pixels)
        return known

    def write(self, keys: Sequence[str], rows: "Rows", prepared: Pictures, cropped: Sequence[Cropped]) -> None:
        """Keeps what was prepared, whose pixels are in a file of `rows`, under each key, and removes what it replaces.

        Args:
            keys: one or more.
            rows: has the pixels.
            prepared: the pictures.
            cropped: what became of each.

        Raises:
            OSError: it cannot be written.
        """
        details = [[*self.stamps.get(name, ()), *one[1:]] for name, one in zip(prepared.kept, cropped, strict=True)]
        columns = {
            "version": VERSION,
            "source": str(self.source),
            "shape": [self.shape.channels, self.shape.height, self.shape.width],
            "pixels": rows.path.name,
            "listing": self.listing,
            "pixel_range": prepared.pixel_range,
            "failures": prepared.failures,
            "untrained": prepared.untrained,
            "digest": prepared.digest,
            "pictures": prepared.kept,
            "counts": prepared.counts,
            "details": json.dumps(details),  # text, of which commands that find all pictures unchanged make nothing
        }
        try:
            for key in set(keys):
                write_file(self.place / f"{key}{_MANIFEST}", json.dumps(columns).encode())
        except VaecliError as error:
            raise OSError(str(error)) from None
        self._remove_unused()

    def _remove_unused(self) -> None:
        """Removes files of pixels that no manifest names; this process alone writes here."""
        named = {str(values.get("pixels")) for file in self.place.glob(f"*{_MANIFEST}") if (values := _values(file))}
        for file in self.place.glob(f"*{_PIXELS}"):
            if file.name not in named:
                with suppress(OSError):
                    file.unlink()

    def _manifest(self, file: Path) -> "_Manifest | None":
        """What a manifest says, if it is whole and of this shape, and its pixels are there."""
        values = _values(file)
        if values is None:
            return None
        try:
            shape = [self.shape.channels, self.shape.height, self.shape.width]
            if values["version"] != VERSION or values["shape"] != shape or values["source"] != str(self.source):
                return None
            kept, failures, untrained = (_texts(values[column]) for column in ("pictures", "failures", "untrained"))
            cut, scaled, pages, outside, ranged, flat = values["counts"]
            counts = Counts(int(cut), int(scaled), int(pages), int(outside), int(ranged), _texts(flat))
            name = str(values["pixels"])
            if name != Path(name).name or not _is_ours(self.place / name):
                return None
            pixels = mapped(self.place / name, len(kept), self.shape.size)
            low, high = map(float, values["pixel_range"])
            prepared = Pictures(pixels, kept, counts, failures, untrained, (low, high), str(values["digest"]))
            return _Manifest(str(values["listing"]), str(values["details"]), prepared)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


def _with_bytes(cropped: Cropped, pixels: Tensor) -> Cropped:
    return cropped._replace(pixels=pixels.numpy().tobytes())


def most_bytes() -> int:
    """Bytes of a manifest or a list of shards that are read: an eighth of the memory, or 1 GiB where that is more."""
    return max(1 << 30, machine_memory() // 8)


def _values(manifest: Path) -> dict[str, Any] | None:
    """The JSON object in a manifest; None if there is no such file, or another thing in it."""
    try:
        values = json.loads(read_file(manifest, most_bytes()))
    except (OSError, ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


class _Manifest(NamedTuple):
    """What stands beside the pixels: the listing of the folder, JSON about single pictures, and what was prepared."""

    listing: str
    details: str
    prepared: Pictures


def _texts(values: Any) -> list[str]:
    """A list of texts.

    Raises:
        TypeError: it is another thing.
    """
    if not isinstance(values, list) or set(map(type, values)) - {str}:
        raise TypeError(values)
    return values


def _detail(entry: Any) -> tuple[Stamp, Cropped]:
    """The stamp of a picture and what became of it, from JSON values.

    Raises:
        ValueError, TypeError: they are of another kind.
    """
    *stamp, size, cut, scaled, pages, outside, ranged, pixel_range, flat = entry
    width, height = map(int, size)
    low, high = map(float, pixel_range)
    if not all(isinstance(one, bool) for one in (cut, scaled, ranged)):
        raise TypeError(entry)
    shades = None if flat is None else (float(flat[0]), float(flat[1]), int(flat[2]))
    cropped = Cropped(b"", (width, height), cut, scaled, int(pages), int(outside), ranged, (low, high), shades)
    return tuple(map(int, stamp)), cropped


class Rows:
    """Images that are written one by one into a file, from which they are then mapped.

    Args:
        path: of the file, which is new.
        size: bytes of each image.
        most: images that there may be; the disk must have room for them.

    Raises:
        OSError: by all methods too: it cannot be written.
    """

    def __init__(self, path: Path, size: int, most: int) -> None:
        self.path, self.size, self.count = path, size, 0
        self._file = path.open("xb", buffering=_BLOCK)
        try:
            if hasattr(os, "posix_fallocate") and most:
                os.posix_fallocate(self._file.fileno(), 0, most * size)
        except OSError:
            self.drop()
            raise

    def append(self, pixels: bytes) -> None:
        """Adds an image."""
        self._file.write(pixels)
        self.count += 1

    def finish(self) -> Tensor:
        """All images, shape (count, size)."""
        self._file.flush()
        self._file.truncate(self.count * self.size)
        os.fsync(self._file.fileno())
        self._file.close()
        return mapped(self.path, self.count, self.size)

    def drop(self) -> None:
        """Removes the file."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self.path.unlink()


def mapped(path: Path, count: int, size: int) -> Tensor:
    """Images in a file of bytes, shape (count, size): read from it, and kept in the system's memory, as they are needed.

    Raises:
        OSError: the file has another length.
    """
    if (found := path.stat().st_size) != count * size:
        raise OSError(f"{path}: found {found:,} bytes, expected {count * size:,}")
    if not found:
        return torch.empty(count, size, dtype=torch.uint8)
    try:
        return torch.from_file(str(path), shared=False, size=found, dtype=torch.uint8).view(count, size)
    except RuntimeError as error:
        raise OSError(f"{path}: cannot be mapped ({error})") from None


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """A context in which no other process prepares the same pictures; waits for one that does.

    Raises:
        OSError: the place cannot be written to.
    """
    try:
        with FileLock(place / _LOCK, timeout=PATIENCE):
            yield
    except Timeout:
        raise OSError(f"another process holds {place / _LOCK}") from None


def place_of(source: Path, shape: ImageShape, note: Callable[[str], None]) -> Path | None:
    """The folder in which prepared pictures are kept; None where nothing can be kept.

    Args:
        source: the folder of the pictures.
        shape: of the images.
        note: called with the reason if nothing can be kept although it should be.
    """
    try:
        root = cache_folder()
    except DataError:
        return None
    if root is None:
        return None
    words = repr((VERSION, str(source.resolve()), shape)).encode("utf-8", "backslashreplace")
    place = root / hashlib.sha256(words).hexdigest()[:20]
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(place):
            raise OSError("it is another user's, or others may write to it")
    except OSError as error:
        note(not_kept(root, error))
        return None
    return place


def not_kept(place: Path, error: OSError) -> str:
    """The note that nothing is kept."""
    why = reason(error) if error.strerror else str(error)
    return printable(f"{place}: prepared pictures cannot be kept there ({why}); they are read anew each time")


def _is_ours(path: Path) -> bool:
    """Whether this user owns a file or folder, and no other may write to it."""
    status = path.lstat()
    return not hasattr(os, "geteuid") or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)


def key_of(**words: Any) -> str:
    """A key from what decides which pictures are prepared, and how."""
    return hashlib.sha256(repr(sorted(words.items())).encode()).hexdigest()[:20]


def new_rows(store: Store, most: int) -> Rows:
    """A file for so many images in a store, for which others make room.

    Raises:
        OSError: there is no room, or it cannot be written.
    """
    root = store.place.parent
    need = most * store.shape.size
    status = os.statvfs(root) if hasattr(os, "statvfs") else None
    entries = sorted(entries_of(root), key=lambda it: it.used)
    kept = sum(entry.bytes for entry in entries)
    if status is not None:
        room = SHARE * (status.f_bavail * status.f_frsize + kept)
        if need > room:
            raise OSError(f"they take {need / 1e9:,.1f} GB, and half of what is free is {room / 1e9:,.1f}")
        for entry in entries:
            if kept + need <= room:
                break
            if entry.place != store.place:
                entry.remove()
                kept -= entry.bytes
    return Rows(store.place / f"{token_hex(8)}{_PIXELS}", store.shape.size, most)


@dataclass(frozen=True)
class Kept:
    """What is kept of one folder in one shape.

    Attributes:
        place: the folder in the cache.
        source: the folder of pictures.
        shape: channels, height and width.
        pictures: how many are kept; a picture in several splits or selections counts for each.
        bytes: on the disk.
        used: when it was used last, in seconds since 1970.
    """

    place: Path
    source: str
    shape: tuple[int, ...]
    pictures: int
    bytes: int
    used: float

    def remove(self) -> None:
        """Removes it, but for its lock; processes that have mapped it go on."""
        for file in self.place.iterdir():
            if file.suffix in (_PIXELS, _MANIFEST, INDEX):
                with suppress(OSError):
                    file.unlink()


def entries_of(root: Path) -> list[Kept]:
    """All that is kept in a cache; nothing if there is none."""
    found = []
    with suppress(OSError):
        for place in sorted(root.iterdir()):
            manifests = [file for file in place.glob(f"*{_MANIFEST}") if file.is_file()] if place.is_dir() else []
            total = sum(file.stat().st_size for file in place.glob("*.*") if file.is_file()) if place.is_dir() else 0
            source, counts = "", dict[str, int]()
            shape: tuple[int, ...] = ()
            for values in filter(None, map(_values, manifests)):
                with suppress(ValueError, TypeError, KeyError):
                    source, shape = str(values["source"]), tuple(map(int, values["shape"]))
                    counts[str(values["pixels"])] = len(values["pictures"])
            if total:
                used = max((file.stat().st_mtime for file in manifests), default=0.0)
                found.append(Kept(place, source, shape, sum(counts.values()), total, used))
    return found
