"""A worker: trains one trial after the other, until none is left for any worker."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from vaecli.config import Config
from vaecli.data.load import Source, read_once
from vaecli.device import resolve_device
from vaecli.errors import CheckpointError, TrainingError
from vaecli.evaluation.importance import importance_bound
from vaecli.runs import reuse
from vaecli.runs.find import CONFIG, FILES, MODEL, has_epochs, measured_split, read_log
from vaecli.runs.folder import BusyError, RunFolder, locked_folder
from vaecli.runs.run import read_run
from vaecli.runs.start import Listener as RunListener
from vaecli.runs.start import Start, resumed
from vaecli.runs.train import train_in
from vaecli.studies.plan import Plan, particles_of
from vaecli.studies.study import Study, Taken
from vaecli.studies.trials import DONE, FAILED, LOST, PRUNED, Trial
from vaecli.training.loop import EpochRecord

POLL = 1.0
"""Seconds between two looks at what other workers do."""


@dataclass(frozen=True)
class Listener:
    """Callbacks of a search; by default they do nothing.

    Attributes:
        note: called with a sentence about the search.
        trial: called with every trial that ended, this worker's or another's, once.
        progress: called with the trials that are done, parts of this one included, how many there are, and what is going on.
        writing: a context entered while a run's files are written, which should not be interrupted.
    """

    note: Callable[[str], None] = lambda text: None
    trial: Callable[[Trial], None] = lambda trial: None
    progress: Callable[[float, int, str], None] = lambda done, total, what: None
    writing: Callable[[], AbstractContextManager[None]] = nullcontext


class _Stopped(Exception):
    """Training ends before its last epoch: the run is pruned, or another worker has it."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class Seen:
    """The trials that ended, all shown to a listener once."""

    def __init__(self, plan: Plan, listen: Listener) -> None:
        self.total, self.listen = plan.total, listen
        self.over = 0
        self._shown: set[tuple[int, int]] = set()

    def update(self, study: Study) -> None:
        """Looks at the study again."""
        ended = [trial for trial in study.trials() if trial.over]
        self.over = len(ended)
        for trial in ended:
            if (trial.group, trial.seed) not in self._shown:
                self._shown.add((trial.group, trial.seed))
                self.listen.trial(trial)

    def say(self, what: str, share: float = 0.0) -> None:
        """Says what is going on, and how much of it is done."""
        self.listen.progress(self.over + share, self.total, what)


class Worker:
    """What a process trains trials with.

    Args:
        study: where it takes them from.
        listen: callbacks.
    """

    def __init__(self, study: Study, listen: Listener) -> None:
        self.study, self.plan, self.listen = study, study.plan, listen
        self.seen = Seen(study.plan, listen)
        self._read = read_once()
        self._source = Source(self.plan.any_config, self.plan.data_dir, self._read)
        self._same = reuse.same_images(self._source)

    def work(self) -> None:
        """Trains trials until all of the study are over, those of other workers included.

        Raises:
            VaecliError: data or files are at fault; the trial is given back.
        """
        with self.study.alive():
            while True:
                taken = self.study.take()
                self.seen.update(self.study)
                if taken is not None:
                    self._do(taken)
                elif self.seen.over >= self.seen.total:
                    return
                else:
                    left = self.seen.total - self.seen.over
                    self.seen.say(f"waiting for {left} that other workers have")
                    time.sleep(POLL)

    def _do(self, taken: Taken) -> None:
        """Trains a trial, unless its run is there already, and keeps how it ended."""
        try:
            with self.study.beating(taken):
                config = self.plan.config(taken.settings, taken.point.seed, self._source)
                folder, state = self._trained(config, taken)
                value = self._value(config, folder) if state == DONE else None
            log = read_log(folder)
            ended = {"path": str(folder.absolute()), "seconds": round(sum(row["seconds"] for row in log), 1)}
            self.study.end(taken, state, value, ended=ended)
        except TrainingError as error:
            self.study.end(taken, FAILED, error=str(error))
        except _Stopped:
            self.listen.note(f"Trial {taken.trial.number} was given to another worker, as this one seemed dead")
        except BaseException:
            self.study.give_back(taken)
            raise
        self.seen.update(self.study)

    def _trained(self, config: Config, taken: Taken) -> tuple[Path, str]:
        """The folder of a run that is trained to its end, or was pruned; and which of the two."""
        waited = False
        while True:
            done = reuse.finished([config], self._same, self.plan.out)
            if config in done:
                self._report(taken, done[config])
                return done[config], DONE
            folder = reuse.folder_for(config, self._same, self.plan.out, self._name(taken))
            try:
                with locked_folder(folder, FILES) as held:
                    if (folder / CONFIG).exists() and reuse.config_in(folder, [config], self._same) is None:
                        continue  # another run took the name meanwhile
                    if has_epochs(folder):
                        self._report(taken, folder)
                    return folder, self._train(held, config, taken)
            except BusyError:
                if not waited:
                    self.listen.note(f"{folder}: another vaecli trains this run; waiting for it")
                waited = True
                time.sleep(POLL)

    def _train(self, held: RunFolder, config: Config, taken: Taken) -> str:
        """Trains a run, or goes on with it; DONE or PRUNED."""
        name = held.path.name
        pruned = False

        def on_epoch(record: EpochRecord, elbo: float) -> None:
            nonlocal pruned
            going_on = self.study.report(taken, record.epoch, elbo)
            if not self.study.is_ours(taken):
                raise _Stopped(LOST)
            if not going_on and record.epoch < config.number("epochs"):
                pruned = True
                raise _Stopped(PRUNED)

        def on_batch(epoch: int, done: int, total: int) -> None:
            self.seen.say(f"{name} epoch {epoch}", done / total)

        listen = RunListener(epoch=on_epoch, batch=on_batch, writing=self.listen.writing)
        try:
            start = resumed(held, config.to_json(), Start(config, self.plan.data_dir, read=self._read), listen)
            train_in(held, start, self.plan.device, listen)
        except _Stopped:
            if not pruned:
                raise
            return PRUNED
        return DONE

    def _report(self, taken: Taken, folder: Path) -> None:
        """Keeps the bounds of the epochs that a run has already."""
        for row in read_log(folder):
            self.study.report(taken, int(row["epoch"]), row[f"{measured_split(row)}_elbo"])

    def _value(self, config: Config, folder: Path) -> float:
        """The bound on the validation images, in nats per image."""
        run, particles = read_run(folder), particles_of(self.plan.by)
        if run.config != config or "validation_elbo" not in run.results:
            raise CheckpointError(
                f"{folder}: {MODEL} is of other settings than {CONFIG}; move the folder away, and type the line again"
            )
        if particles is None:
            return run.results["validation_elbo"]
        place = resolve_device(self.plan.device)
        images = self._source.images("train")[-self.plan.space.fixed["validation"] :].to(place)
        self.seen.say(f"{folder.name} {self.plan.by}", 1.0)
        return float(importance_bound(run.model.to(place), images, particles).value.mean())

    def _name(self, taken: Taken) -> str:
        config = self.plan.space.config(taken.settings, taken.point.seed)
        return Start(config, self.plan.data_dir, read=self._read).run_name
