"""Files that are either whole or not there."""

import csv
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vaecli.errors import VaecliError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_PART = ".part"


def write_file(path: Path, data: bytes) -> None:
    """Puts `data` at `path`, whole or not at all.

    It is written beside its place, flushed to the disk, then renamed, so that a reader or a crash meets the old file or
    the new one and nothing between.

    Raises:
        VaecliError: it cannot be written; what was at `path` is untouched.
    """
    beside = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:40]}-", suffix=_PART, delete=False) as file:
            beside = Path(file.name)
            file.write(data)
            file.flush()
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        if beside is not None:
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise VaecliError(f"{path}: cannot be written ({_reason(error)}); what was there is untouched") from None
        raise


def csv_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as comma-separated values under a line of column names: those of all rows, in the order met."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


class RunFolder:
    """An open folder that files are written into, and into no other that takes its path later.

    Args:
        path: the folder.
        lock: whether to keep other processes from doing the same; the lock ends with the process, however that ends.

    Attributes:
        locked: whether the lock is held: some file systems have none.

    Raises:
        VaecliError: another process holds it, or it cannot be opened.
    """

    def __init__(self, path: Path, lock: bool = False) -> None:
        self.path = path
        self._handle: int | None = None
        self.locked = False
        try:
            if lock and fcntl:
                self._handle = os.open(path, os.O_RDONLY)
                self.locked = _lock(self._handle, path)
            self._identity = _identity(path if self._handle is None else self._handle)
        except OSError as error:
            raise VaecliError(f"{path}: cannot be opened ({_reason(error)})") from None

    def write(self, name: str, data: bytes) -> None:
        """Puts a file into the folder, whole or not at all.

        Raises:
            VaecliError: the folder was moved, removed or replaced, or the file cannot be written.
        """
        try:
            there = _identity(self.path) == self._identity
        except OSError:
            there = False
        if not there:
            raise VaecliError(
                f"{self.path}: the folder was moved, removed or replaced while this run trained, expected it to stay; "
                "nothing more is written; train again with --name NAME"
            )
        write_file(self.path / name, data)

    def close(self) -> None:
        """Gives the lock back."""
        if self._handle is not None:
            os.close(self._handle)


@contextmanager
def locked_folder(path: Path, names: Sequence[str]) -> Iterator[RunFolder]:
    """A folder that nobody else writes a run into, made where there is none.

    One that was made here is removed again if nothing came into it.

    Args:
        path: the folder.
        names: of the files that are written there; what a killed process left beside them is removed.

    Raises:
        VaecliError: another process holds it, or it cannot be made.
    """
    made = not path.exists()
    make_folder(path)
    folder = RunFolder(path, lock=True)
    try:
        for name in names:
            for left in path.glob(f".{name}-*{_PART}"):
                left.unlink(missing_ok=True)
        try:
            yield folder
        finally:
            if made:
                with suppress(OSError):
                    path.rmdir()  # which takes an empty one only
    finally:
        folder.close()


def _identity(path: Path | int) -> tuple[int, int]:
    found = os.fstat(path) if isinstance(path, int) else path.stat()
    return found.st_dev, found.st_ino


def _lock(handle: int, path: Path) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise VaecliError(
            f"{path}: another vaecli trains this run right now; wait for it, or train beside it with --name NAME"
        ) from None
    except OSError:  # a file system without locks
        return False
    return True


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, where they are not there yet.

    Raises:
        VaecliError: it cannot be made, or nothing can be written there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise VaecliError(f"{path}: cannot be made a folder to write in ({_reason(error)}); choose another with --out") from None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
