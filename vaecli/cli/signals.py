"""Ctrl-C and SIGTERM: the first one ends the work in good order, later ones are ignored.

Imports next to nothing, so that Ctrl-C is handled from the start.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_AGAIN = 0.05
"""Seconds after which a signal that came where no exception can be raised is sent again."""


def leave(number: int, _frame: object = None) -> None:
    """Ends a process that has not begun to work, with one line and the exit code of the signal `number`; a handler of signals.

    Of the processes that torchrun started on a host only the first one says the line.
    """
    try:
        if "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("LOCAL_RANK") == "0":
            os.write(2, b"vaecli: interrupted\n")
    finally:  # also if stderr is closed
        os._exit(128 + number)


class Interruption:
    """A context in which the first of these signals raises KeyboardInterrupt; within `held` it does so at the end of that.

    Code that is imported can swallow an exception, so a signal that comes during an import waits for its end; so does one in a
    finaliser or a weak reference's callback, where Python ignores exceptions. Interruptions can be nested; a signal counts for all
    of them.

    Args:
        while_importing: called instead during an import, if no other Interruption is entered within this one; ends the process.

    Attributes:
        signal: the first one, or None.
    """

    def __init__(self, while_importing: Callable[[int], None] | None = None) -> None:
        self.signal: int | None = None
        self.while_importing = while_importing
        self.is_held = False
        self.is_over = False
        self.caller: FrameType | None = None
        self._before: dict[int, Any] = {}
        self._unraisable: Callable[[sys.UnraisableHookArgs], Any] = sys.unraisablehook

    def __enter__(self) -> Self:
        # signals can be handled in the main thread only, where a program that uses vaecli may not be
        if threading.current_thread() is threading.main_thread():
            self.signal = _entered[-1].signal if _entered else None
            self.caller = sys._getframe(1)
            _entered.append(self)
            self._before = {number: signal.signal(number, _on_signal) for number in SIGNALS}
            self._unraisable, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self in _entered:
            sys.unraisablehook = self._unraisable
            _entered.remove(self)
        self.caller = None

    def _on_unraisable(self, ignored: "sys.UnraisableHookArgs") -> None:
        if issubclass(ignored.exc_type, KeyboardInterrupt) and self.signal is not None:
            number = self.signal
            for entered in _entered:
                entered.signal = None
            _send_later(number)
        else:
            self._unraisable(ignored)

    def end(self) -> None:
        """Ignores signals from now on: the work has ended by itself, and only its last words are left to say."""
        for entered in _entered:
            entered.is_over = True

    @contextmanager
    def held(self) -> Iterator[None]:
        """A context that a signal does not interrupt: KeyboardInterrupt is raised at its end."""
        self.is_held = True
        try:
            yield
        finally:
            self.is_held = False
        if self.signal is not None:
            raise KeyboardInterrupt


_entered: list[Interruption] = []


def _on_signal(number: int, frame: FrameType | None) -> None:
    if any(entered.signal or entered.is_over for entered in _entered):
        return
    held = any(entered.is_held for entered in _entered)
    innermost = _entered[-1]
    if not held and _imports(frame, innermost.caller):
        if innermost.while_importing:
            innermost.while_importing(number)
        _send_later(number)
        return
    for entered in _entered:
        entered.signal = number
    if not held:
        raise KeyboardInterrupt


def _send_later(number: int) -> None:
    later = threading.Timer(_AGAIN, os.kill, (os.getpid(), number))
    later.daemon = True
    later.start()


def _imports(frame: FrameType | None, outermost: FrameType | None) -> bool:
    """Whether a module is imported in `frame` or in one that called it, up to `outermost`."""
    while frame is not None and frame is not outermost:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
