"""Files from the network, with a short time limit, and where they are kept."""

import hashlib
import os
import threading
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


def download(url: str, limit: int, patience: float = PATIENCE) -> bytes:
    """The first `limit` bytes of a file on the network, whose server begins its answer within `patience` seconds.

    Raises:
        DataError: it cannot be had; the message is the reason alone.
    """
    with _worded(), _answer(url, patience) as answer:
        data: bytes = answer.read(limit)
        return data


def download_to(path: Path, url: str, md5: str, begun: Callable[[int | None], None] = lambda size: None) -> None:
    """Puts a file of the network at `path`, if it has the published checksum; else nothing changes.

    Args:
        path: where it is put, whole.
        url: its address.
        md5: its checksum, in hexadecimal.
        begun: called with its size in bytes, if the server says that, when the answer begins.

    Raises:
        DataError: it cannot be had, or is another file; the message is the reason alone.
        VaecliError: it cannot be written.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with whole_file(path) as file:
        with _worded():
            answer = _answer(url, PATIENCE)
        with answer:
            begun(answer.length)
            while block := _next_block(answer):
                digest.update(block)
                file.write(block)
        if digest.hexdigest() != md5:
            raise DataError(f"what {url} sent has MD5 {digest.hexdigest()}, not the published {md5}")


def _next_block(answer: Any) -> bytes:
    with _worded():
        block: bytes = answer.read(_BLOCK)
        return block


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


def _answer(url: str, patience: float) -> Any:
    """The open answer; from a thread, since looking up a name has no time limit."""
    answer: Future[Any] = Future()

    def ask() -> None:
        try:
            answer.set_result(urlopen(Request(url, headers={"User-Agent": "vaecli"}), timeout=STALLED))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(patience)
    except TimeoutError:
        if answer.done():
            raise
        raise DataError(f"no answer within {patience:g} s") from None


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", error)
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__).lower()
