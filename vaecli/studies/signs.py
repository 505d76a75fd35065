"""Signs of life of workers: files that they lock, and heartbeats in the storage."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import lock_descriptor

SIGN = ".worker-"
"""What the names of the files begin with that workers lock as long as they live."""

_LAST_BEAT = 2
"""Seconds that the last heartbeat of a trial is waited for."""


@contextmanager
def alive(folder: Path, worker: str) -> Iterator[None]:
    """A context in which a file of `folder` is locked, by which others on this file system see that the worker lives."""
    path = folder / f"{SIGN}{worker}"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with suppress(OSError):  # a file system without locks: there is the heartbeat
            lock_descriptor(handle, blocking=False)
        yield
        path.unlink(missing_ok=True)
    finally:
        os.close(handle)  # after a failure the file stays, for others to see that this worker has ended


def ended_workers(folder: Path) -> dict[Path, str]:
    """The workers that ended without removing their file: by the file, the worker."""
    return {path: path.name.removeprefix(SIGN) for path in folder.glob(f"{SIGN}*") if _is_unlocked(path)}


@contextmanager
def repeated(call: Callable[[], None], seconds: float) -> Iterator[None]:
    """A context in which a thread makes the call every so many seconds; it must not raise."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            call()

    thread = threading.Thread(target=repeat, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_LAST_BEAT)


def _is_unlocked(path: Path) -> bool:
    """Whether the process that locked a file has ended; False where that cannot be seen."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDWR)
        try:
            return lock_descriptor(handle, blocking=False)
        finally:
            os.close(handle)
    return False
