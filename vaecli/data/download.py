"""Files from the network, with a short time limit."""

import threading
from concurrent.futures import Future
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from vaecli.errors import DataError

PATIENCE = 3.0
"""Seconds until a server begins its answer."""

STALLED = 20.0
"""Seconds between two pieces of an answer that has begun."""


def download(url: str, limit: int, patience: float = PATIENCE) -> bytes:
    """The first `limit` bytes of a file on the network, whose server begins its answer within `patience` seconds.

    Raises:
        DataError: it cannot be had; the message is the reason alone.
    """
    try:
        with _answer(url, patience) as answer:
            data: bytes = answer.read(limit)
            return data
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
            answer.set_result(urlopen(url, timeout=STALLED))
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
