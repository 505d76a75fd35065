"""Files that are either whole or not there."""

import csv
import io
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vaecli.errors import VaecliError, printable, reason

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_PART = ".part"


def write_file(path: Path, data: bytes) -> None:
    """Puts `data` at `path`, whole or not at all; the permissions of a file that was there stay.

    It is written beside its place, flushed to the disk, then renamed, so that a reader or a crash meets the old file or
    the new one and nothing between. What killed processes left beside `path` is removed.

    Raises:
        VaecliError: it cannot be written; what was at `path` is untouched.
    """
    beside = None
    try:
        _remove_leftovers(path)
        beside, handle = _open_part(path)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if hasattr(os, "fchmod"):
                os.fchmod(handle, _mode(path))
            os.fsync(handle)
            if fcntl:
                beside.replace(path)  # before the lock goes with the handle: an unlocked part is removed by whoever sees it
        if not fcntl:
            beside.replace(path)  # Windows renames no open file
        _sync_folder(path.parent)
    except BaseException as error:
        if beside is not None:
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise VaecliError(f"{path}: cannot be written ({reason(error)}); what was there is untouched") from None
        raise


def _open_part(path: Path) -> tuple[Path, int]:
    """A new file beside `path` and its open handle, locked where that can be."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_part_prefix(path), suffix=_PART)
        if fcntl:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
            if not os.fstat(handle).st_nlink:  # removed by another process before it was locked
                os.close(handle)
                continue
        return Path(name), handle


def _remove_leftovers(path: Path) -> None:
    """Removes the parts of `path` that nobody holds a lock on: their writers are dead."""
    if not fcntl:
        return
    pattern = re.compile(re.escape(_part_prefix(path)) + r"[a-z0-9_]{8}" + re.escape(_PART))  # as tempfile names them
    with suppress(OSError):
        for left in [each for each in path.parent.iterdir() if pattern.fullmatch(each.name)]:
            _remove_unlocked(left)


def _remove_unlocked(part: Path) -> None:
    with suppress(OSError):  # locked, or gone already
        handle = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()
        finally:
            os.close(handle)


def _part_prefix(path: Path) -> str:
    return f".{path.name[:40]}-"


def _mode(path: Path) -> int:
    """The permissions of the file at `path`; those of a new file where there is none."""
    with suppress(OSError):
        if stat.S_ISREG(mode := path.stat().st_mode):
            return mode & 0o777
    return 0o666 & ~_umask()


def csv_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as comma-separated values under a line of column names: those of all rows, in the order met.

    Text that a spreadsheet would take for a formula gets a single quote in front; what cannot be printed is spelt out.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if shown.startswith(tuple("=+-@")) and not _is_number(shown) else shown


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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
            raise VaecliError(f"{path}: cannot be opened ({reason(error)})") from None

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
    except (OSError, RecursionError) as error:
        why = reason(error) if isinstance(error, OSError) else "it has too many folders within each other"
        raise VaecliError(f"{path}: cannot be made a folder to write in ({why}); choose another with --out") from None


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
