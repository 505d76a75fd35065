"""Training for commands: with notes on stderr, a progress bar, and Ctrl-C at any moment."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaecli import torchrun
from vaecli.cli import console
from vaecli.cli.runs import resolve_device
from vaecli.cli.signals import Interruption
from vaecli.command_line import as_option, torchrun_line
from vaecli.errors import Interrupted, ProcessError
from vaecli.runs.find import CONFIG, MODEL, RUNS, TRAINING, has_epochs, read_config, standing
from vaecli.settings import AUTO

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from vaecli.data.summary import DataSummary
    from vaecli.runs.start import Start
    from vaecli.training.loop import EpochRecord

    Show = Callable[[int, str | None, int | None], None]


def train_run(
    folder: Path,
    start: Start,
    given: dict[str, Any] | None,
    device: str,
    bar: Callable[[], AbstractContextManager[Show]] | None = None,
    on_data: Callable[[DataSummary], None] | None = None,
) -> dict[str, float]:
    """Trains a run, writes it into its folder, and gives the results of its last epoch.

    Args:
        folder: the run's.
        start: the state in which a new run begins.
        given: the settings that a run in the folder must have to be continued; None to start anew.
        device: the name of the device.
        bar: gives a function that shows the steps done, the epoch and all steps; a progress bar if not given.
        on_data: called with what was understood of a person's own pictures, after it is shown.

    Raises:
        Interrupted: by Ctrl-C or SIGTERM; the message says where the run stands.
        ProcessError: another process ended or cannot be reached; likewise.
        VaecliError: as `vaecli.runs.train.train_in`.
    """
    from vaecli.processes import joined
    from vaecli.runs.progress import epoch_line
    from vaecli.runs.start import Listener, held_folder
    from vaecli.runs.train import train_in

    processes = joined(resolve_device(device))
    with Interruption() as interruption, (bar or _bar)() as show:

        def on_epoch(record: EpochRecord, elbo: float) -> None:
            split = "test" if start.config.validation is None else "validation"
            console.note(epoch_line(record, elbo, split))

        def on_batch(epoch: int, done: int, total: int, loss: float) -> None:
            show(done, f"Epoch {epoch}", total)

        def show_data(summary: DataSummary) -> None:
            for line in summary.lines(as_option):
                console.note(line)
            if on_data:
                on_data(summary)

        listen = Listener(console.note, on_epoch, batch=on_batch, writing=interruption.held, data=show_data)
        replaced = _written(folder) if given is None else None
        try:
            with held_folder(folder, start, given, processes, listen) as (held, begun):
                if not held.locked:
                    console.note(f"{folder}: this file system has no locks, so nothing keeps a second vaecli from writing into it")
                return train_in(held, begun, device, listen, processes)
        except (KeyboardInterrupt, ProcessError) as error:
            if not processes.is_main:
                raise
            interruption.end()  # torchrun ends the others as soon as one is lost
            if replaced is not None and _written(folder) == replaced:
                state = f"no epoch is finished; {folder} keeps the run that was there"
            else:
                state = f"{_standing(folder)}{_line_to_go_on(folder, start, device)}"
            if isinstance(error, ProcessError):
                raise error.reworded(ProcessError, after=f"; {state}") from None
            raise Interrupted(f"interrupted: {state}", interruption.signal or signal.SIGINT) from None


def _bar() -> AbstractContextManager[Show]:
    return console.bar("steps", description="Preparing")


def _written(folder: Path) -> int | None:
    """The time at which a run's state was written, in nanoseconds; None if there is no run."""
    file = folder / TRAINING if (folder / TRAINING).exists() else folder / MODEL
    return file.stat().st_mtime_ns if file.exists() else None


def _standing(folder: Path) -> str:
    """The state of an interrupted run, in words."""
    from vaecli.runs.header import read_record

    if not has_epochs(folder):
        return f"{folder}: no epoch is finished"
    return f"{folder} keeps {standing(read_record(folder / (TRAINING if (folder / TRAINING).exists() else MODEL)).results)}"


def _line_to_go_on(folder: Path, start: Start, device: str) -> str:
    """The command that continues exactly this run; says that nothing was saved if there is none."""
    if not has_epochs(folder) and not (folder / CONFIG).exists():
        return ", nothing was saved"
    words = ["--name", folder.name, "--resume"]
    words += [] if folder.parent == RUNS else ["--out", str(folder.parent)]
    words += ["--data-dir", str(start.data_dir)] if start.data_dir else []
    words += [] if device == "auto" else ["--device", device]
    words += [] if start.threads is None else ["--threads", str(start.threads)]
    words += [] if start.save_every is None else ["--save-every", str(start.save_every)]
    words += ["--log", start.log] if isinstance(start.log, str) else []
    written, _ = read_config(folder / CONFIG)
    words += [] if start.config.epochs in (AUTO, written["epochs"]) else ["--epochs", str(start.config.epochs)]
    words += [] if start.config.patience in (None, written.get("patience")) else ["--patience", str(start.config.patience)]
    return f"; go on with: {_for_as_many_processes(shlex.join(['vaecli', 'train', *words]))}"


def _for_as_many_processes(line: str) -> str:
    """How a command line is typed for the processes that there are now."""
    here = torchrun.rank()
    if here.size == 1:
        return line
    return torchrun_line(line, here.local_size, here.size // here.local_size)
