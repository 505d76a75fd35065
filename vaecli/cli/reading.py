"""Reading images for commands: once, with notes and a bar on stderr."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from vaecli.cli import console

if TYPE_CHECKING:
    from vaecli.data import Read
    from vaecli.data.dataset import ReadListener


def reader() -> Read:
    """Reads each split once; shows a bar while a folder of pictures is read. Imports PyTorch."""
    from vaecli.data import read_once

    return read_once(listener())


def listener() -> ReadListener:
    """Shows notes, each once, and a bar while pictures are read. Imports PyTorch."""
    from vaecli.data.dataset import ReadListener

    until, bar = ExitStack(), None
    told = set[str]()

    def note(text: str) -> None:
        if text not in told:
            told.add(text)
            console.note(text)

    def progress(done: int, total: int) -> None:
        nonlocal bar
        bar = bar or until.enter_context(console.bar("pictures", total))
        bar(done)
        if done >= total:
            until.close()
            bar = None

    return ReadListener(note, progress, console.libraries_silenced)
