"""Reading untrusted files and parts of files: regular files only, opened without blocking, with a limit on their bytes."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from vaecli.errors import VaecliError

_KINDS = {
    stat.S_IFIFO: "a FIFO", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder",
}  # fmt: skip

_BLOCK = 1 << 20

Stamp = tuple[int, ...]
"""What changes with a file: its size in bytes, and when its contents and its status changed, in nanoseconds."""


def stamp_of(status: os.stat_result) -> Stamp:
    """The stamp of a file."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


@dataclass(frozen=True)
class Slice:
    """Some bytes of a file, as a member of a tar has them.

    Attributes:
        file: the file.
        stamp: of the file, when these bytes were found.
        start: of the first byte.
        size: how many bytes.
        path: for messages: the file and the name within it.
    """

    file: Path
    stamp: Stamp
    start: int
    size: int
    path: str

    def __str__(self) -> str:
        return self.path

    @property
    def name(self) -> str:
        """The last part of the name."""
        return self.path.rpartition("/")[2]


@contextmanager
def open_place(place: Path | Slice) -> Iterator[tuple[BufferedReader, int]]:
    """A regular file or a part of one, open where it begins, and how many bytes it has.

    Raises:
        OSError: as `open_file`, of a whole file.
        VaecliError: the file of a part changed since the part was found.
    """
    if isinstance(place, Path):
        with open_file(place) as file:
            yield file, os.fstat(file.fileno()).st_size
        return
    try:
        whole = open_file(place.file)
    except OSError:
        raise _changed(place) from None
    with whole:
        if stamp_of(os.fstat(whole.fileno())) != place.stamp:
            raise _changed(place)
        whole.seek(place.start)
        yield whole, place.size


def _changed(place: Slice) -> VaecliError:
    return VaecliError(f"{place.file}: the file changed while its pictures were read; give the same command again")


def open_file(path: Path) -> BufferedReader:
    """A regular file, open for reading.

    Raises:
        OSError: it cannot be opened, or it is a FIFO, a device, a socket or a folder; `strerror` says which.
    """
    _check_regular(path.stat().st_mode, path)  # before opening: opening a device may have an effect
    return open(path, "rb", opener=_open)


def read_file(path: Path, most: int) -> bytes:
    """All bytes that a regular file has when it is opened.

    Raises:
        OSError: as `open_file`, or it has more than `most` bytes.
    """
    with open_file(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > most:
            raise OSError(errno.EFBIG, f"found more than the {most:,} bytes that it may have", str(path))
        return file.read(size)  # as much memory is taken as is asked for


def bytes_on_disk(file: os.stat_result) -> int:
    """The bytes that a file takes on the disk: fewer than its length if it has holes."""
    return min(file.st_size, 512 * getattr(file, "st_blocks", 0) or file.st_size)


def holds(path: Path, data: Iterable[bytes | memoryview]) -> bool:
    """Whether a regular file has exactly the bytes of these parts."""
    try:
        with open_file(path) as file:
            blocks = (part[start : start + _BLOCK] for part in data for start in range(0, len(part), _BLOCK))
            return all(file.read(len(block)) == block for block in blocks) and not file.read(1)
    except OSError:
        return False


def digest_of(path: Path) -> str:
    """SHA-256 of a regular file, in hexadecimal.

    Raises:
        OSError: as `open_file`.
    """
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_folder(path: Path) -> bool:
    """Whether there is a folder at this path; False too where the system does not let it be seen."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _open(path: str, flags: int) -> int:
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    try:
        status = os.fstat(handle)
        _check_regular(status.st_mode, Path(path))  # again: another file may have replaced it since
    except OSError:
        os.close(handle)
        raise
    if not status.st_size:  # also /proc/kmsg and the like, which block a reader
        os.close(handle)
        handle = os.open(os.devnull, flags)
    return handle


def _check_regular(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"found {_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a regular file", str(path))
