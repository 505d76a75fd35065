"""The progress of a training that Python called, where it asks to see it: in a terminal, a notebook or a pipe."""

import html
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vaecli.data.dataset import ReadListener
from vaecli.display import animates
from vaecli.errors import printable
from vaecli.runs.start import Listener
from vaecli.training.loop import EpochRecord

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

SELDOM = 30.0
"""Seconds without a line after which a pipe gets one."""

_OFTEN = 0.1
"""Seconds between two changes of a notebook's bar, each of which is a message to the browser."""


def epoch_line(record: EpochRecord, elbo: float, split: str) -> str:
    """An epoch in words: ``Epoch 1: loss 193.01, test -ELBO 177.14, 2.0 s``.

    Args:
        record: of the epoch.
        elbo: of the images that were measured after it, in nats per image.
        split: which these are, ``test`` or ``validation``.
    """
    return f"Epoch {record.epoch}: loss {record.loss:.2f}, {split} -ELBO {-elbo:.2f}, {record.seconds:.1f} s"


@contextmanager
def shown(split: str, progress: bool = True) -> Iterator[tuple[Listener, ReadListener]]:
    """Callbacks of training and of reading that show notes, a line for each epoch and a bar; a pipe gets lines now and then.

    In a notebook the bar is one line, which also has the last bound that was measured; there are no lines for epochs.

    Args:
        split: the images that are measured, ``test`` or ``validation``.
        progress: False for callbacks that do nothing.
    """
    if not progress:
        yield Listener(), ReadListener()
        return
    state = random.getstate()
    from rich.console import Console

    random.setstate(state)  # a caller's: rich draws from it when it is imported
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True, emoji=False)
    surface = _notebook if console.is_jupyter else _terminal if animates(console) else _pipe
    with surface(console) as (write, move, measured):

        def note(text: str) -> None:
            write(printable(text))

        def epoch(record: EpochRecord, elbo: float) -> None:
            measured(epoch_line(record, elbo, split), f"{split} -ELBO {-elbo:.2f}")

        def batch(epoch: int, done: int, total: int, loss: float) -> None:
            move(f"Epoch {epoch}", done, total, f"steps, loss {loss:.2f}")

        def read(done: int, total: int) -> None:
            move("Reading", done, total, "pictures")

        yield Listener(note, epoch, batch=batch), ReadListener(note, read)


_Surface = tuple[Callable[[str], None], Callable[[str, int, int, str], None], Callable[[str, str], None]]
"""What writes a line; what moves the bar: with what is done, how much of it, of how much, and in which unit; and what shows a
measurement: with its line, and the bound alone."""


@contextmanager
def _terminal(console: "Console") -> Iterator[_Surface]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    progress = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}", markup=False), TimeRemainingColumn(), console=console, transient=True,
    )  # fmt: skip
    with progress:
        tasks: dict[str, TaskID] = {}

        def move(what: str, done: int, total: int, unit: str) -> None:
            kind = unit.partition(",")[0]
            if kind not in tasks:
                for task in tasks.values():
                    progress.remove_task(task)
                tasks.clear()
                tasks[kind] = progress.add_task(what, total=total, unit=unit)
            progress.update(tasks[kind], completed=done, total=total, description=what, unit=unit)

        yield console.print, move, lambda line, bound: console.print(line)


@contextmanager
def _pipe(console: "Console") -> Iterator[_Surface]:
    last = time.monotonic()

    def write(text: str) -> None:
        nonlocal last
        last = time.monotonic()
        console.print(text)

    def move(what: str, done: int, total: int, unit: str) -> None:
        if time.monotonic() - last > SELDOM:
            write(f"{what}: {done:,} of {total:,} {unit}")

    yield write, move, lambda line, bound: write(line)


@contextmanager
def _notebook(console: "Console") -> Iterator[_Surface]:
    """Lines on stdout, since notebooks show stderr as errors, and a bar of HTML.

    Rich's own bar needs ipywidgets there, and shows nothing without.
    """
    from IPython.display import display

    last, bar, shown, known = 0.0, None, ("", ""), ""
    kind, first, begin = "", 0, 0.0

    def show() -> None:
        nonlocal bar
        text = ", ".join(filter(None, (shown[1], known)))
        data = {"text/plain": text, "text/html": f"{shown[0]} {html.escape(text)}"}
        if bar is None:
            bar = display(data, raw=True, display_id=True)
        else:
            bar.update(data, raw=True)

    def move(what: str, done: int, total: int, unit: str) -> None:
        nonlocal last, shown, kind, first, begin
        now = time.monotonic()
        if kind != unit.partition(",")[0]:
            kind, first, begin = unit.partition(",")[0], done, now
        if now - last < _OFTEN and done < total:
            return
        last = now
        left = f", {_clock((now - begin) * (total - done) / (done - first))} left" if first < done < total else ""
        shown = f'<progress value="{done}" max="{total}"></progress>', f"{what}: {done:,} of {total:,} {unit}{left}"
        show()

    def measured(line: str, bound: str) -> None:
        nonlocal known
        known = bound
        show()

    yield print, move, measured


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
