"""A worker: trains one trial after the other, until none is left for any worker."""

import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from vaecli.config import Config
from vaecli.data.load import Read, Source, read_once
from vaecli.data.summary import DataSummary
from vaecli.device import resolve_device
from vaecli.errors import CheckpointError, TrainingError
from vaecli.evaluation.importance import importance_bound
from vaecli.runs.find import CONFIG, FILES, LOSS, MODEL, has_epochs, measured_split, read_log
from vaecli.runs.folder import BusyError, RunFolder, locked_folder
from vaecli.runs.reuse import RunIndex, folder_for, is_run_of, same_images
from vaecli.runs.run import read_run
from vaecli.runs.start import Listener, Start, resumed
from vaecli.runs.train import train_in
from vaecli.studies.plan import particles_of
from vaecli.studies.trial_queue import ClaimedTrial, Ending, TrialQueue
from vaecli.studies.trials import DONE, FAILED, PRUNED, Trial
from vaecli.training.loop import EpochRecord

POLL = 1.0
"""Seconds between two looks at what other workers do."""


@dataclass(frozen=True)
class SearchCallbacks:
    """Callbacks of a search; by default they do nothing.

    Attributes:
        note: called with a sentence about the search.
        data: called before the first trial with what was understood of a person's own pictures.
        trial: called with every trial that ended, this worker's or another's, once.
        progress: called with the trials that are done, parts of this one included, how many there are, and what is going on.
        writing: a context entered while a run's files are written, which should not be interrupted.
    """

    note: Callable[[str], None] = lambda text: None
    data: Callable[[DataSummary], None] = lambda summary: None
    trial: Callable[[Trial], None] = lambda trial: None
    progress: Callable[[float, int, str], None] = lambda done, total, what: None
    writing: Callable[[], AbstractContextManager[None]] = nullcontext


class Progress:
    """How far a study is; every trial that ended is shown once."""

    def __init__(self, queue: TrialQueue, callbacks: SearchCallbacks) -> None:
        self.queue, self.callbacks = queue, callbacks
        self._ended: set[tuple[int, int]] = set()

    def update(self) -> None:
        """Looks at the study again."""
        for trial in self.queue.trials():
            if trial.over and trial.point not in self._ended:
                self._ended.add(trial.point)
                self.callbacks.trial(trial)

    @property
    def left(self) -> int:
        """How many trials have not ended."""
        return max(0, self.queue.plan.total - len(self._ended))

    def say(self, what: str, share: float = 0.0) -> None:
        """Says what is going on, and how much of it is done."""
        self.callbacks.progress(len(self._ended) + share, self.queue.plan.total, what)


class _Pruned(Exception):
    """Training ends before its last epoch."""


class Trainer:
    """What a process trains trials with.

    Args:
        queue: where it claims them.
        callbacks: of the search.
        read: reads the images.
    """

    def __init__(self, queue: TrialQueue, callbacks: SearchCallbacks, read: Read | None = None) -> None:
        self.queue, self.plan, self.callbacks = queue, queue.plan, callbacks
        self.progress = Progress(queue, callbacks)
        self._read = read or read_once()
        self._source = Source(self.plan.any_config, self.plan.data_dir, self._read)
        self._same = same_images(self._source)
        self._runs = RunIndex(self.plan.out)

    def work(self, *, replenishes: bool = True) -> None:
        """Trains trials until all of the study are over, those of other workers included.

        Args:
            replenishes: also see to it that no point of the study is forgotten, which one process of each command does.

        Raises:
            VaecliError: data or files are at fault; the trial is given back.
        """
        self.progress.update()
        while self.progress.left:
            trained = self.queue.train_next(self._train)
            self.progress.update()
            if not trained and self.progress.left:
                if replenishes:
                    self.queue.replenish()
                self.progress.say(f"waiting for {self.progress.left} that other workers have")
                time.sleep(POLL)

    def _train(self, claimed: ClaimedTrial) -> Ending:
        """Trains a trial, unless its run is there already."""
        run = {"host": socket.gethostname()}
        try:
            config = self.plan.config(claimed.settings, claimed.seed, self._source)
            folder, state = self._trained(config, claimed)
            value = self._value(config, folder) if state == DONE else None
        except TrainingError as error:
            return Ending(FAILED, run | {"error": str(error)})
        seconds = round(sum(row["seconds"] for row in read_log(folder)), 1)
        return Ending(state, run | {"path": str(folder.absolute()), "seconds": seconds}, value)

    def _trained(self, config: Config, claimed: ClaimedTrial) -> tuple[Path, str]:
        """The folder of a run that is trained to its end, or was pruned; and which of the two."""
        waited = False
        while True:
            if done := self._runs.finished(config, self._same):
                self._report(claimed, done)
                return done, DONE
            begun = next(self._runs.of(config, self._same), None)
            folder = begun or folder_for(config, self._same, self.plan.out, self._name(claimed))
            try:
                with locked_folder(folder, FILES) as held:
                    if (folder / CONFIG).exists() and not is_run_of(folder, config, self._same):
                        continue  # another run took the name meanwhile
                    if has_epochs(folder):
                        self._report(claimed, folder)
                    return folder, self._train_in(held, config, claimed)
            except BusyError:
                if not waited:
                    self.callbacks.note(f"{folder}: another vaecli trains this run; waiting for it")
                waited = True
                time.sleep(POLL)

    def _train_in(self, held: RunFolder, config: Config, claimed: ClaimedTrial) -> str:
        """Trains a run, or goes on with it; DONE or PRUNED."""
        name = held.path.name

        def on_epoch(record: EpochRecord, elbo: float) -> None:
            if claimed.report(record.epoch, elbo) and record.epoch < config.number("epochs"):
                raise _Pruned

        def on_batch(epoch: int, done: int, total: int, loss: float) -> None:
            self.progress.say(f"{name} epoch {epoch}", done / total)

        listen = Listener(epoch=on_epoch, batch=on_batch, writing=self.callbacks.writing)
        try:
            start = resumed(held, config.to_json(), Start(config, self.plan.data_dir, read=self._read), listen)
            train_in(held, start, self.plan.device, listen)
        except _Pruned:
            return PRUNED
        return DONE

    def _report(self, claimed: ClaimedTrial, folder: Path) -> None:
        """Keeps the bounds of the epochs that a run has already."""
        for row in read_log(folder) if (folder / LOSS).exists() else []:
            claimed.report(int(row["epoch"]), row[f"{measured_split(row)}_elbo"])

    def _value(self, config: Config, folder: Path) -> float:
        """The bound on the validation images, in nats per image."""
        run, particles = read_run(folder), particles_of(self.plan.by)
        if run.config != config or "validation_elbo" not in run.results:
            raise CheckpointError(
                f"{folder}: {MODEL} is of other settings than {CONFIG}; move the folder away, and type the line again"
            )
        if particles is None:
            return run.results["validation_elbo"]
        torch_device = resolve_device(self.plan.device)
        images = self._source.images("train")[-self.plan.space.fixed["validation"] :].to(torch_device)
        self.progress.say(f"{folder.name} {self.plan.by}", 1.0)
        return float(importance_bound(run.model.to(torch_device), images, particles).value.mean())

    def _name(self, claimed: ClaimedTrial) -> str:
        config = self.plan.space.config(claimed.settings, claimed.seed)
        return Start(config, self.plan.data_dir, read=self._read).run_name
