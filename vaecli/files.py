"""Writing files: whole or not at all."""

import csv
import io
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

from vaecli.errors import VaecliError, printable, reason

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PART = ".part"

CACHE = "VAECLI_CACHE"
"""The environment variable that names the folder of pictures that were prepared; with ``none`` they are not kept."""


Parts = Iterable[bytes | memoryview]
"""The bytes of a file, one part after the other, so that they need not be in memory together."""


def write_file(path: Path, data: bytes | Parts) -> None:
    """Writes `data` to `path`, whole or not at all, as `whole_file` does.

    Raises:
        VaecliError: it cannot be written; an existing file is unchanged.
    """
    with whole_file(path) as file:
        file.writelines([data] if isinstance(data, bytes) else data)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which is put at `path` if the block ends without an error; an existing file keeps its permissions.

    The data are written to a temporary file in the same folder, flushed to the disk, then renamed, so that a reader or a crash
    sees the old file or the new one. Temporary files of `path` that killed processes left are removed.

    Raises:
        VaecliError: it cannot be written; an existing file is unchanged.
    """
    beside = None
    try:
        _remove_leftovers(path)
        beside, handle = _open_part(path)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if hasattr(os, "fchmod") and (mode := _mode(path)) is not None:
                os.fchmod(handle, mode)
            os.fsync(handle)
            if fcntl:
                beside.replace(path)  # while it is locked: other processes remove unlocked parts
        if not fcntl:
            beside.replace(path)  # Windows cannot rename an open file
        _sync_folder(path.parent)
    except BaseException as error:
        if beside is not None:
            with suppress(OSError):  # Windows removes no read-only file
                beside.unlink()
        if isinstance(error, OSError):
            raise VaecliError(f"{path}: cannot be written ({reason(error)}); what was there is untouched") from None
        raise


def append_to(path: Path, data: bytes) -> None:
    """Adds bytes to the end of an existing file, and flushes them to the disk.

    A process that is killed meanwhile may leave some of them.

    Raises:
        VaecliError: they cannot be written; the file is as long as before.
    """
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)), "ab", buffering=0) as file:
            length = os.fstat(file.fileno()).st_size
            try:
                left = memoryview(data)
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(length)
                raise
    except OSError as error:
        raise VaecliError(f"{path}: cannot be written ({reason(error)}); what was there is untouched") from None


def _open_part(path: Path) -> tuple[Path, int]:
    """A new file beside `path` and its open handle, locked if the file system has locks."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    while True:
        name = path.parent / f"{_part_prefix(path)}{token_hex(4)}{PART}"
        handle = os.open(name, flags, 0o666 if (mode := _mode(path)) is None else mode)  # the system takes the umask off
        if fcntl:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
            if not os.fstat(handle).st_nlink:  # removed by another process before it was locked
                os.close(handle)
                continue
        return name, handle


def _remove_leftovers(path: Path) -> None:
    """Removes the parts of `path` that no process has locked: their writers are dead."""
    if not fcntl:
        return
    pattern = re.compile(re.escape(_part_prefix(path)) + r"[a-z0-9_]{8}" + re.escape(PART))  # `_` in those of tempfile, before
    with suppress(OSError):
        for part in [file for file in path.parent.iterdir() if pattern.fullmatch(file.name)]:
            _remove_unlocked(part)


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


def _mode(path: Path) -> int | None:
    """The permissions of the file at `path`; None if there is none."""
    with suppress(OSError):
        if stat.S_ISREG(mode := path.stat().st_mode):
            return mode & 0o777
    return None


def csv_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as comma-separated values under a line of column names: those of all rows, in order of appearance.

    Text that a spreadsheet would read as a formula gets a single quote in front; unprintable characters are escaped.
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
    text = printable(value)
    return f"'{text}" if text.startswith(tuple("=+-@")) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def make_folder(path: Path) -> None:
    """Makes a folder and its parents, if they do not exist.

    Raises:
        VaecliError: it cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except (OSError, RecursionError) as error:
        why = reason(error) if isinstance(error, OSError) else "it has too many folders within each other"
        raise VaecliError(f"{path}: cannot be made a folder to write in ({why}); choose another with {{out=DIR}}") from None


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
