"""A study as its workers see it: they take a trial, show that they live, and say how it ended."""

import hashlib
import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Self

import optuna
from optuna.study import StudyDirection
from optuna.trial import TrialState

from vaecli.errors import UsageError
from vaecli.files import make_folder
from vaecli.studies import signs
from vaecli.studies.address import Address, address_of
from vaecli.studies.connection import Connection, quiet
from vaecli.studies.plan import Plan
from vaecli.studies.records import ABOUT, ENDED, ERROR, WHY, difference, distributions_of, read_trial
from vaecli.studies.trials import DONE, PRUNED, Point, Trial, next_point

_IDENTITY = "vaecli"
"""The name of what is written beside a study."""

DIED, BROKEN_OFF = "its worker ended", "its taking was broken off"
"""Why a trial was lost, where the heartbeat was not needed to see it."""


@dataclass(frozen=True)
class Taken:
    """A trial that this process has.

    Attributes:
        point: what it is of.
        settings: of the point, those that vary but for the seed.
        trial: Optuna's.
    """

    point: Point
    settings: dict[str, Any]
    trial: optuna.Trial


class Study:
    """The trials of a plan, in its storage.

    Args:
        plan: what is searched, and where.
        note: called with a sentence about the storage.

    Raises:
        UsageError: the storage has another study of that name.
        VaecliError: there is no storage, or it refuses.
    """

    def __init__(self, plan: Plan, note: Callable[[str], None] = lambda text: None) -> None:
        self.plan, self.worker = plan, f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        address = Address.of_file(plan.folder / "study.db") if plan.storage is None else address_of(plan.storage)
        if address.file is not None:
            make_folder(plan.folder)
        self.connection = Connection(address, plan.heartbeat, plan.grace, note)
        self._is_new = False
        try:
            self._optuna = self.connection.persist(self._opened)
            make_folder(plan.folder)  # not before a server was found
        except BaseException:
            self.connection.close()
            raise
        self._distributions = distributions_of(plan)

    def _opened(self) -> optuna.Study:
        with self.connection.lock(self.plan.name, "trials"), quiet():
            pruner = optuna.pruners.MedianPruner() if self.plan.prune else optuna.pruners.NopPruner()
            how: dict[str, Any] = {"storage": self.connection.rdb, "study_name": self.plan.name}
            try:
                study = optuna.create_study(**how, direction="maximize", pruner=pruner)
                self._is_new = True
            except optuna.exceptions.DuplicatedStudyError:
                study = optuna.load_study(**how, pruner=pruner)
            kept = study.user_attrs.get(_IDENTITY)
            if kept is None and self._is_new:
                kept = self.plan.identity
                study.set_user_attr(_IDENTITY, kept)
        if not isinstance(kept, dict) or study.directions != [StudyDirection.MAXIMIZE]:
            raise UsageError(
                "{name}: the storage has a study of that name which is not of vaecli; choose another with {name=NAME}",
                name=self.plan.name,
            )
        if kept != self.plan.identity:
            raise UsageError(
                f"{{name}}: the storage has a study of that name with other settings ({difference(kept, self.plan.identity)}); "
                "choose another with {name=NAME}", name=self.plan.name,
            )  # fmt: skip
        return study

    def trials(self) -> list[Trial]:
        """All that workers took, by number."""

        def read() -> list[Trial]:
            with self.connection.lock(self.plan.name, "trials"), quiet():  # a trial is read in several pieces
                return self._read()

        return self.connection.persist(read)

    def _read(self) -> list[Trial]:
        return [read_trial(trial, self.plan) for trial in self._optuna.get_trials(deepcopy=False) if ABOUT in trial.user_attrs]

    def take(self) -> Taken | None:
        """The next trial, which nobody else has or had; None where there is none now."""

        def taken() -> Taken | None:
            with self.connection.lock(self.plan.name, "trials"), quiet():
                self._give_up_lost()
                trials = self._read()
                point = next_point(trials, self.plan.groups, self.plan.space.seeds, seed_first=not self.plan.space.ranges)
                return None if point is None else self._begun(point, len(trials))

        return self.connection.persist(taken)

    def _begun(self, point: Point, count: int) -> Taken:
        """A new trial of Optuna's: with the parameters of the group where they are known, else sampled."""
        params = self._params(point.group)
        if params is not None:
            self._optuna.enqueue_trial(params)
        digest = hashlib.sha256(f"{self.plan.name} {count}".encode()).digest()  # other trials, other draws, on any machine
        self._optuna.sampler = optuna.samplers.TPESampler(seed=int.from_bytes(digest[:4]), constant_liar=True)
        trial = self._optuna.ask(self._distributions)
        settings = self.plan.space.rounded(trial.params)
        self.connection.rdb.record_heartbeat(trial._trial_id)
        about = {
            "group": point.group,
            "seed": point.seed,
            "settings": settings,
            "worker": self.worker,
            "host": socket.gethostname(),
        }
        trial.set_user_attr(ABOUT, about)
        return Taken(point, settings, trial)

    def _params(self, group: int) -> dict[str, Any] | None:
        if not self.plan.space.ranges:
            return self.plan.combinations[group]
        for trial in self._optuna.get_trials(deepcopy=False):
            if ABOUT in trial.user_attrs and read_trial(trial, self.plan).group == group:
                return trial.params
        return None

    def _give_up_lost(self) -> None:
        """Gives up the trials whose workers died, or never had begun them. The lock is held: nobody is about to begin one."""
        if not self.connection.in_trouble(self.plan.grace):  # else others may not have been able to show that they live
            optuna.storages.fail_stale_trials(self._optuna)
        ended = signs.ended_workers(self.plan.folder)
        for trial in self._optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
            worker = read_trial(trial, self.plan).worker if ABOUT in trial.user_attrs else None
            if worker in (None, self.worker, *ended.values()):
                with suppress(RuntimeError):  # it ended meanwhile
                    self.connection.rdb.set_trial_user_attr(trial._trial_id, WHY, DIED if worker in ended.values() else BROKEN_OFF)
                    self.connection.rdb.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        for path in ended:
            path.unlink(missing_ok=True)

    def alive(self) -> AbstractContextManager[None]:
        """A context in which others on this file system see that this process is a worker that lives."""
        return signs.alive(self.plan.folder, self.worker)

    def beating(self, taken: Taken) -> AbstractContextManager[None]:
        """A context in which the storage shows, by a heartbeat, that the trial's worker lives."""

        def beat() -> None:
            try:
                self.connection.rdb.record_heartbeat(taken.trial._trial_id)
            except Exception:  # a server that restarts; the next heartbeat may reach it
                self.connection.missed()

        return signs.repeated(beat, self.plan.heartbeat)

    def is_ours(self, taken: Taken) -> bool:
        """Whether no other worker was given the trial, as happens to one that seemed dead; True where the storage is gone."""
        with suppress(Exception):
            return self.connection.rdb.get_trial(taken.trial._trial_id).state == TrialState.RUNNING
        return True

    def report(self, taken: Taken, epoch: int, elbo: float) -> bool:
        """Keeps the bound after an epoch; says whether the trial is worth going on with. A storage that is gone misses it."""
        with suppress(Exception), quiet():
            taken.trial.report(elbo, epoch)
            return not taken.trial.should_prune()
        return True

    def end(
        self, taken: Taken, state: str, value: float | None = None, *, error: str | None = None, ended: dict[str, Any] | None = None
    ) -> None:
        """Keeps how the trial ended: DONE with its value, PRUNED, or FAILED with its error."""

        def write() -> None:
            with self.connection.lock(self.plan.name, "trials"), quiet():
                with suppress(RuntimeError):
                    taken.trial.set_user_attr(ENDED, ended or {})
                    if error is not None:
                        taken.trial.set_user_attr(ERROR, error)
                final = {DONE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED}.get(state, TrialState.FAIL)
                self._optuna.tell(taken.trial, value if state == DONE else None, state=final, skip_if_finished=True)

        self.connection.persist(write)

    def give_back(self, taken: Taken) -> None:
        """Has the trial done again; where the storage does not answer, others see later that its worker is gone."""
        with suppress(Exception), quiet():
            self._optuna.tell(taken.trial, state=TrialState.FAIL, skip_if_finished=True)

    def once(self, key: str, measure: Callable[[], dict[str, Any]] | None) -> dict[str, Any] | None:
        """What `measure` gives, which is called by one process only, and kept; None where there is neither."""
        failed: list[Exception] = []

        def kept() -> dict[str, Any] | None:
            with self.connection.lock(self.plan.name, "once"), quiet():
                numbers: dict[str, Any] | None = self._optuna.user_attrs.get(key)
                if numbers is None and measure is not None:
                    try:
                        numbers = measure()
                    except Exception as error:  # not of the storage
                        failed.append(error)
                        return None
                    self._optuna.set_user_attr(key, numbers)
            return numbers

        found = self.connection.persist(kept)
        if failed:
            raise failed[0]
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()
