"""Ctrl-C and SIGTERM, held back while something is written."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While it is entered, both signals raise KeyboardInterrupt, but within `held` only at its end.

    Attributes:
        signal: which one came, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._held = False

    def __enter__(self) -> "Interruption":
        # signals can be handled in the main thread only, where a program that uses vaecli may not be
        here = threading.current_thread() is threading.main_thread()
        self._before = {number: signal.signal(number, self._on_signal) for number in SIGNALS} if here else {}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is done in here is done to its end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.signal is not None:
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        if not self._held:
            raise KeyboardInterrupt
