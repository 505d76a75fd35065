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


@contextmanager
def locked_folder(path: Path, names: Sequence[str]) -> Iterator[None]:
    """A folder that nobody else writes a run into, made where it is not there, and removed again where nothing came into it.

    The lock is on the open folder itself and ends with the process, however that ends; a system without such locks has none.

    Args:
        path: the folder.
        names: of the files that are written there; what a killed process left beside them is removed.

    Raises:
        VaecliError: another process holds it, or it cannot be made.
    """
    make_folder(path)
    handle = os.open(path, os.O_RDONLY) if fcntl else None
    try:
        if handle is not None:
            _lock(handle, path)
        for name in names:
            for left in path.glob(f".{name}-*{_PART}"):
                left.unlink(missing_ok=True)
        try:
            yield
        finally:
            with suppress(OSError):
                path.rmdir()  # which takes an empty one only
    finally:
        if handle is not None:
            os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise VaecliError(
            f"{path}: another vaecli trains this run right now; wait for it, or train beside it with --name NAME"
        ) from None
    except OSError:  # a file system without locks
        pass


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
