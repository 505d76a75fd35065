"""The progress of a training that Python called, where it asks to see it: in a terminal, a notebook or a pipe."""

import html
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vaecli.errors import printable
from vaecli.runs.start import Listener
from vaecli.training.loop import EpochRecord

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
def shown(split: str, progress: bool = True) -> Iterator[Listener]:
    """Callbacks of training that show notes, a line for each epoch and a bar; a pipe gets a line now and then instead of a bar.

    Args:
        split: the images that are measured, ``test`` or ``validation``.
        progress: False for callbacks that do nothing.
    """
    if not progress:
        yield Listener()
        return
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True, emoji=False)
    surface = _notebook if console.is_jupyter else _terminal if console.is_terminal else _pipe
    with surface(console) as (write, move):

        def epoch(record: EpochRecord, elbo: float) -> None:
            write(epoch_line(record, elbo, split))

        yield Listener(lambda text: write(printable(text)), epoch, batch=move)


_Surface = tuple[Callable[[str], None], Callable[[int, int, int, float], None]]
"""What writes a line, and what moves the bar: with the epoch, the steps done, all steps, and the loss."""


@contextmanager
def _terminal(console: Console) -> Iterator[_Surface]:
    progress = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TextColumn("steps"),
        TimeRemainingColumn(), console=console, transient=True,
    )  # fmt: skip
    with progress:
        task = progress.add_task("", total=None)
        yield (
            console.print,
            lambda epoch, done, total, loss: progress.update(task, completed=done, total=total, description=f"Epoch {epoch}"),
        )


@contextmanager
def _pipe(console: Console) -> Iterator[_Surface]:
    last = time.monotonic()

    def write(text: str) -> None:
        nonlocal last
        last = time.monotonic()
        console.print(text)

    def move(epoch: int, done: int, total: int, loss: float) -> None:
        if time.monotonic() - last > SELDOM:
            write(f"Epoch {epoch}: {done:,} of {total:,} steps, loss {loss:.2f}")

    yield write, move


@contextmanager
def _notebook(console: Console) -> Iterator[_Surface]:
    """Lines on stdout, since notebooks show stderr as errors, and a bar of HTML.

    Rich's own bar needs ipywidgets there, and shows nothing without.
    """
    from IPython.display import display  # noqa: PLC0415 - only a notebook has it

    begin, last = time.monotonic(), 0.0
    bar: Any = None

    def move(epoch: int, done: int, total: int, loss: float) -> None:
        nonlocal bar, last
        now = time.monotonic()
        if now - last < _OFTEN and done < total:
            return
        last, left = now, (now - begin) * (total - done) / done
        text = f"Epoch {epoch}: {done:,} of {total:,} steps, loss {loss:.2f}, {_clock(left)} left"
        shown = {"text/plain": text, "text/html": f'<progress value="{done}" max="{total}"></progress> {html.escape(text)}'}
        if bar is None:
            bar = display(shown, raw=True, display_id=True)
        else:
            bar.update(shown, raw=True)

    yield print, move


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
