"""The folder of a run, held open and locked while the run trains."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vaecli.errors import VaecliError, reason
from vaecli.files import PART, Parts, append_to, make_folder, write_file

_LOCK = ".lock"
"""On Windows, the file in a run's folder that its lock is on."""


class BusyError(VaecliError):
    """The folder of a run that another process trains."""


class Folder(Protocol):
    """The folder of a run, for the process that writes it and for those that share the run's work."""

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    @property
    def locked(self) -> bool:
        """Whether other processes are kept out; some file systems have no locks."""
        ...

    def write(self, name: str, data: bytes | Parts) -> None:
        """Puts a file into the folder, whole or not at all."""
        ...

    def append(self, name: str, data: bytes) -> None:
        """Adds bytes to the end of a file in the folder."""
        ...


@dataclass(frozen=True)
class Unwritten:
    """The folder of a run that another process writes, which need not be there.

    Attributes:
        path: where it is.
        locked: True; the other process sees to it.
    """

    path: Path
    locked: bool = True

    def write(self, name: str, data: bytes | Parts) -> None:
        """Does nothing."""

    def append(self, name: str, data: bytes) -> None:
        """Does nothing."""


class RunFolder:
    """An open folder to write files into; never into another folder that takes its path later.

    Args:
        path: the folder.
        lock: whether to keep other processes out; the lock ends with the process, even if that is killed.

    Attributes:
        locked: whether the lock is held; some file systems have no locks.

    Raises:
        VaecliError: another process holds it, or it cannot be opened.
    """

    def __init__(self, path: Path, lock: bool = False) -> None:
        self.path = path
        self._handle: int | None = None
        self.locked = False
        try:
            if lock:
                self._handle = _open(path)
                self.locked = _lock(self._handle, path)
            self._identity = _identity(path if self._handle is None or sys.platform == "win32" else self._handle)
        except OSError as error:
            raise VaecliError(f"{path}: cannot be opened ({reason(error)})") from None
        except VaecliError:
            self.close()
            raise

    def write(self, name: str, data: bytes | Parts) -> None:
        """Puts a file into the folder, whole or not at all.

        Raises:
            VaecliError: the folder was moved, removed or replaced, or the file cannot be written.
        """
        self._check_same()
        write_file(self.path / name, data)

    def append(self, name: str, data: bytes) -> None:
        """Adds bytes to the end of a file in the folder; a process that is killed meanwhile may leave some of them.

        Raises:
            VaecliError: as `write`.
        """
        self._check_same()
        append_to(self.path / name, data)

    def _check_same(self) -> None:
        try:
            same = _identity(self.path) == self._identity
        except OSError:
            same = False
        if not same:
            raise VaecliError(
                f"{self.path}: the folder was moved, removed or replaced while this run trained, expected it to stay; "
                "nothing more is written; train again under another name: {name=NAME}"
            )

    def close(self) -> None:
        """Releases the lock; a second call does nothing."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
            if self.locked and sys.platform == "win32":
                with suppress(OSError):  # another process has opened it since: Windows removes no open file
                    (self.path / _LOCK).unlink()


@contextmanager
def locked_folder(path: Path, names: Sequence[str]) -> Iterator[RunFolder]:
    """A locked folder to write a run into, made if there is none.

    A folder that was made here is removed again if it is still empty.

    Args:
        path: the folder.
        names: of the files that are written there; leftovers of killed processes beside them are removed.

    Raises:
        VaecliError: another process holds it, or it cannot be made.
    """
    new = not path.exists()
    make_folder(path)
    folder = RunFolder(path, lock=True)
    try:
        for name in names:
            for left in path.glob(f".{name}-*{PART}"):
                left.unlink(missing_ok=True)
        try:
            yield folder
        finally:
            if sys.platform == "win32":
                folder.close()  # its file goes before the folder
            if new:
                with suppress(OSError):
                    path.rmdir()  # removes an empty folder only
    finally:
        folder.close()


def _identity(folder: Path | int) -> tuple[int, int]:
    """The device and inode of a folder, by its path or its handle: no other folder has both."""
    status = os.fstat(folder) if isinstance(folder, int) else folder.stat()
    return status.st_dev, status.st_ino


def _open(path: Path) -> int:
    """A handle to lock: that of the folder; on Windows, which opens no folders, that of a file in it.

    The holder removes that file. O_TEMPORARY would remove it whenever anybody closes it, a process that was refused included.
    """
    if sys.platform == "win32":
        return os.open(path / _LOCK, os.O_RDWR | os.O_CREAT)
    return os.open(path, os.O_RDONLY)


def _lock(handle: int, path: Path) -> bool:
    from filelock import lock_descriptor  # noqa: PLC0415 - vaecli --help needs none of it

    try:
        free = lock_descriptor(handle, blocking=False)
    except OSError:  # a file system without locks
        return False
    if not free:
        raise BusyError(
            f"{path}: another vaecli trains this run right now; wait for it, or train under another name: {{name=NAME}}"
        )
    return True
