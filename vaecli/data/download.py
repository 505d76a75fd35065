"""Files from the network, within limits of time and size, and where they are kept."""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from vaecli.errors import DataError
from vaecli.files import whole_file

PATIENCE = 3.0
"""Seconds until a server begins its answer."""

STALLED = 20.0
"""Seconds between two pieces of an answer that has begun."""

SLOWEST = 10_000
"""Bytes per second below which an answer is given up, once it has had LENIENT seconds."""

LENIENT = 60.0

MOST = 4 << 30
"""Bytes of a file whose size is not known."""

_BLOCK = 1 << 20


def cache(dataset: str) -> Path:
    """The folder of downloaded files: below XDG_CACHE_HOME, or ~/.cache.

    Args:
        dataset: whose files, for the message.

    Raises:
        DataError: there is no home folder.
    """
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    except RuntimeError:
        raise DataError(f"{dataset}: found no home folder to keep the download in; set XDG_CACHE_HOME to a folder") from None
    return base / "vaecli"


def download(path: Path, url: str, md5: str, begun: Callable[[int | None], None] = lambda size: None, limit: int = MOST) -> None:
    """Puts a file of the network at `path`, if it has the published checksum; else nothing changes.

    Args:
        path: where it is put, whole.
        url: the file's address.
        md5: its checksum, in hexadecimal.
        begun: called with its size in bytes, if the server says that, when the answer begins.
        limit: bytes that it may have.

    Raises:
        DataError: it cannot be had, or is another file; the message is the reason alone.
        VaecliError: it cannot be written.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with whole_file(path) as file:
        with _opened(url) as answer:
            begun(answer.length)
            for block in _blocks(answer, limit):
                digest.update(block)
                file.write(block)
        if digest.hexdigest() != md5:
            raise DataError(f"what {url} sent has MD5 {digest.hexdigest()}, not the published {md5}")


def _blocks(answer: Any, limit: int) -> Iterator[bytes]:
    """The contents of an answer, as they come.

    Raises:
        DataError: there are more than `limit` bytes, or they come too slowly, or not at all.
    """
    begun, size = time.monotonic(), 0
    if answer.length is not None and answer.length > limit:
        raise DataError(f"the server announces {answer.length:,} bytes, expected at most {limit:,}")
    while True:
        with _worded():
            block = _within(STALLED, lambda: answer.read1(_BLOCK))  # what is there: a whole block may take any time to come
        if not block:
            break
        size += len(block)
        if size > limit:
            raise DataError(f"the server sends more than {limit:,} bytes")
        if (spent := time.monotonic() - begun) > LENIENT and size < SLOWEST * spent:
            raise DataError(f"the server sent {size:,} bytes in {spent:.0f} s, too slow")
        yield block
    if answer.length:
        raise DataError(f"the server ended {answer.length:,} bytes too early")


@contextmanager
def _worded() -> Iterator[None]:
    """Turns the network's errors into a DataError that gives the reason."""
    try:
        yield
    except HTTPError as error:
        error.close()
        raise DataError(f"the server says {error.code} {error.reason}".rstrip()) from None
    except (OSError, HTTPException) as error:
        raise DataError(_reason(error)) from None


@contextmanager
def _opened(url: str) -> Iterator[Any]:
    """The answer, open."""
    with _worded():
        answer = _within(PATIENCE, lambda: urlopen(Request(url, headers={"User-Agent": "vaecli"}), timeout=STALLED))
    try:
        yield answer
    finally:
        threading.Thread(target=answer.close, daemon=True).start()  # it waits for a thread that still reads


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """What a call gives; from a thread, since looking up a name has no time limit, and a server may send a line letter by letter.

    Raises:
        DataError: it takes longer.
    """
    answer: Future[Any] = Future()

    def ask() -> None:
        try:
            answer.set_result(call())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError:
        if answer.done():
            raise
        raise DataError(f"no answer within {seconds:g} s") from None


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", error)
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__).lower()
