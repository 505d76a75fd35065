"""The two consoles: results go to stdout; notes, progress and errors go to stderr.

Text is printed unchanged: without markup, so that ``[bold]`` in a file name is printed as it stands, and without wrapping, so that
a path can be copied from a narrow terminal.
"""

import io
import json
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from vaecli import __version__, torchrun
from vaecli.display import animates
from vaecli.errors import printable


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, markup=False, highlight=False, soft_wrap=True, emoji=False)
    if console.width < 1:  # COLUMNS=0, with which rich prints nothing
        console.width = 80
    return console


stdout, stderr = _console(stderr=False), _console(stderr=True)

SELDOM = 30.0
"""Seconds without a line on stderr after which a pipe gets one while there is work."""

_said = [time.monotonic()]
"""When the last note was printed."""


def prepare() -> None:
    """Sets stdout up to spell out letters that its encoding lacks, instead of failing, and silences the logs of libraries.

    Of several processes that torchrun started all but the first are silent; an error is printed by the first of each host.
    """
    if not torchrun.rank().is_main:
        sys.stdout = io.StringIO()
        set_quiet(True)
    for library in ("PIL", "matplotlib", "sqlalchemy"):  # SQLAlchemy logs what Ctrl-C broke off
        logging.getLogger(library).addHandler(logging.NullHandler())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def libraries_silenced() -> Iterator[None]:
    """While entered, what libraries in C write to the process's stderr is discarded, such as libtiff's complaints; ours is not."""
    try:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # a shell closed it
        yield
        return
    ours = sys.stderr
    try:
        if ours is not None and _descriptor(ours) == 2:
            ours.flush()
            sys.stderr = open(kept, "w", buffering=1, encoding=ours.encoding, errors=ours.errors, closefd=False)  # noqa: SIM115
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        sys.stderr = ours
        os.close(kept)
        os.close(nowhere)


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # a stream in memory has none
        return None


def close_output(stream: TextIO | None) -> None:
    """Discards what is still to be written to a stream."""
    if stream is None:  # a shell closed it
        return
    with suppress(OSError, ValueError):  # a stream in memory has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def result(text: str, bold: bool = False) -> None:
    """Prints one result on stdout, on one line."""
    stdout.print(printable(text), style="bold" if bold else None)


def result_json(command: str, runs: Sequence[tuple[str, Path]], files: Sequence[Path], **own: Any) -> None:
    """Prints the results of a command as one JSON object on stdout; docs/json.md lists the fields.

    Args:
        command: the name of the command.
        runs: the name and the folder of each run that it read or trained.
        files: the paths that it wrote.
        own: the fields of this command alone. Numbers that are not finite become null.
    """
    shared = {
        "command": command,
        "version": __version__,
        "runs": [{"name": name, "path": str(path)} for name, path in runs],
        "files": [str(path) for path in files],
    }
    assert not shared.keys() & own.keys()
    stdout.print(json.dumps(_finite(shared | own), allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def written(
    command: str, runs: Sequence[tuple[str, Path]], files: Sequence[Path], as_json: bool, place: Path | None = None, **own: Any
) -> None:  # fmt: skip
    """Prints the files that a command wrote: a path on each line, that of their folder `place`, or one JSON object."""
    if as_json:
        result_json(command, runs, files, **own)
    else:
        print_paths(files if place is None else [place])


def note(text: str) -> None:
    """Prints a note on stderr, on one line; nothing under ``--quiet``."""
    stderr.print(printable(text))
    _said[0] = time.monotonic()


def error(text: str) -> None:
    """Prints the one line of an error on stderr, also under ``--quiet``."""
    if torchrun.rank().local_rank:
        return
    try:
        _console(stderr=True).print(f"vaecli: {printable(text)}")
    except OSError:  # stderr is closed too
        close_output(sys.stderr)


def set_quiet(quiet: bool) -> None:
    """Turns notes and progress off or on; errors are printed all the same."""
    stderr.quiet = quiet or not torchrun.rank().is_main


def print_paths(files: Sequence[Path]) -> None:
    """Prints each path on a line."""
    for path in files:
        result(str(path))


@contextmanager
def bar(unit: str, total: float | None = None, description: str = "") -> Iterator["Bar"]:
    """A progress bar with the time that is left; other than a terminal gets a line after `SELDOM` seconds of silence.

    Args:
        unit: of what it counts; ``%`` for the share alone.
        total: how many there are; None if that is known only later.
        description: of the work.
    """
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}", markup=False),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
        disable=stderr.quiet or not animates(stderr),
    )
    made, ended = Bar(progress, unit, total, description), threading.Event()
    speaker = threading.Thread(target=made.speak, args=(ended,), daemon=True)
    with progress:
        if progress.disable and not stderr.quiet:
            with suppress(RuntimeError):  # the system lets no more threads start
                speaker.start()
        try:
            yield made
        finally:
            ended.set()
            if speaker.ident is not None:
                speaker.join()


class Bar:
    """A progress bar, to be called with the amount done and a description of the work."""

    def __init__(self, progress: Progress, unit: str, total: float | None, description: str) -> None:
        self._progress, self._unit = progress, unit
        self._task = progress.add_task(description, total=total, count="")
        self._made = time.monotonic()
        self._first: tuple[float, float] | None = None

    def __call__(self, done: float, description: str | None = None, total: float | None = None) -> None:
        """Shows `done` of the total, which may be given now."""
        self._progress.update(self._task, completed=done, description=description, total=total)
        task = self._progress.tasks[0]
        if task.total is not None:
            share, amount = done / max(task.total, 1e-9), f"{done:,.0f} of {task.total:,.0f} {self._unit}"
            self._progress.update(self._task, count=f"{100 * share:.0f} %" if self._unit == "%" else amount)
        if self._first is None or done < self._first[1]:
            self._first = (time.monotonic(), done)

    def speak(self, ended: threading.Event) -> None:
        """Says how far the work is, seldom, until it has ended."""
        while not ended.wait(min(1.0, SELDOM)):
            if time.monotonic() - _said[0] >= SELDOM:
                note(self.line())

    def line(self) -> str:
        """How far the work is, in words: ``baseline ELBO: 35 %, about 2 min left``."""
        task, now = self._progress.tasks[0], time.monotonic()
        begun, first = self._first or (now, 0.0)
        left = (now - begun) * ((task.total or 0) - task.completed) / (task.completed - first) if task.completed > first else 0
        how = [task.fields["count"], f"about {duration(left)} left" if left else f"{duration(now - self._made)} so far"]
        return ": ".join(filter(None, [task.description, ", ".join(filter(None, how))]))


def duration(seconds: float) -> str:
    """Seconds in words: ``40 s``, ``5 min`` or ``1.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else "1 s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
