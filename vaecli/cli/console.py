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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from vaecli import __version__, torchrun
from vaecli.display import animates
from vaecli.errors import printable


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, markup=False, highlight=False, soft_wrap=True, emoji=False)
    if console.width < 1:  # COLUMNS=0, with which rich prints nothing
        console.width = 80
    return console


stdout, stderr = _console(stderr=False), _console(stderr=True)


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


def result(text: str) -> None:
    """Prints one result on stdout, on one line."""
    stdout.print(printable(text))


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


def written(command: str, runs: Sequence[tuple[str, Path]], files: Sequence[Path], as_json: bool, **own: Any) -> None:
    """Prints the files that a command wrote: a path on each line, or one JSON object as `result_json`."""
    if as_json:
        result_json(command, runs, files, **own)
    else:
        print_paths(files)


def new_table(text: Iterable[str], numbers: Iterable[str]) -> Table:
    """A table without rows, with headings of columns of text, then of columns of numbers."""
    empty = Table(box=None, pad_edge=False, header_style="bold")
    for heading in text:
        empty.add_column(heading, overflow="fold")
    for heading in numbers:
        empty.add_column(heading, justify="right", no_wrap=True)
    return empty


def table(value: Table) -> None:
    """Prints a table on stdout at its full width: a narrow terminal wraps its lines, and no number is cut off."""
    console = Console(markup=False, highlight=False, emoji=False, width=400)
    console.width = max(console.measure(value).maximum, 1)
    console.print(value, soft_wrap=True)


def note(text: str) -> None:
    """Prints a note on stderr, on one line; nothing under ``--quiet``."""
    stderr.print(printable(text))


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
def bar(unit: str, total: int | None = None) -> Iterator["Bar"]:
    """A progress bar with the time that is left; hidden if stderr is quiet, no terminal, or a notebook's cell.

    Args:
        unit: of what it counts.
        total: how many there are; None if that is known only later.
    """
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit, markup=False),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
        disable=stderr.quiet or not animates(stderr),
    )
    with progress:
        yield Bar(progress, total)


class Bar:
    """A progress bar, to be called with the amount done and a description of the work."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total)

    def __call__(self, done: float, description: str | None = None, total: int | None = None) -> None:
        """Shows `done` of the total, which may be given now."""
        self._progress.update(self._task, completed=done, description=description, total=total)
