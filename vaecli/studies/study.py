"""A study as its workers see it: they take a trial, show that they live, and say how it ended."""

import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import optuna
from filelock import lock_descriptor
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from vaecli.errors import UsageError, shown
from vaecli.files import make_folder
from vaecli.studies.plan import Plan
from vaecli.studies.storage import Storage, address_of, quiet
from vaecli.studies.trials import DONE, FAILED, LOST, PRUNED, RUNNING, Point, Trial, next_point

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_ABOUT, _IDENTITY, _ENDED, _ERROR, _WHY = "vaecli", "vaecli", "ended", "error", "lost"
"""Names of what is written beside trials and studies."""

DIED, BROKEN_OFF = "its worker ended", "its taking was broken off"
"""Why a trial was lost, where the heartbeat was not needed to see it."""

_SIGN = ".worker-"
"""What the files begin with that workers lock as long as they live."""

_LAST_BEAT = 2
"""Seconds that the last sign of life of a trial is waited for."""

_STATES = {TrialState.RUNNING: RUNNING, TrialState.COMPLETE: DONE, TrialState.PRUNED: PRUNED, TrialState.FAIL: LOST}


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
        self._sign: int | None = None
        make_folder(plan.folder)
        self.storage = Storage(
            address_of(plan.storage or f"sqlite:///{plan.folder / 'study.db'}"), plan.heartbeat, plan.grace, note
        )
        try:
            self._optuna = self.storage.persist(self._opened)
        except BaseException:
            self.storage.close()
            raise
        self._distributions = _distributions(plan)

    def _opened(self) -> optuna.Study:
        with self.storage.lock(self.plan.name, "trials"), quiet():
            pruner = optuna.pruners.MedianPruner() if self.plan.prune else optuna.pruners.NopPruner()
            study = optuna.create_study(
                storage=self.storage.rdb, study_name=self.plan.name, direction="maximize", pruner=pruner, load_if_exists=True
            )
            kept = study.user_attrs.get(_IDENTITY)
            if kept is None:
                study.set_user_attr(_IDENTITY, self.plan.identity)
        if kept is not None and kept != self.plan.identity:
            raise UsageError(
                f"{{name}}: the storage has a study of that name with other settings ({_difference(kept, self.plan.identity)}); "
                "choose another with {name=NAME}", name=self.plan.name,
            )  # fmt: skip
        return study

    def trials(self) -> list[Trial]:
        """All that workers took, by number."""

        def read() -> list[Trial]:
            return [_read(trial) for trial in self._optuna.get_trials(deepcopy=False) if _ABOUT in trial.user_attrs]

        return self.storage.persist(read)

    def take(self) -> Taken | None:
        """The next trial, which nobody else has or had; None where there is none now."""

        def taken() -> Taken | None:
            with self.storage.lock(self.plan.name, "trials"), quiet():
                self._bury_the_dead()
                trials = [_read(trial) for trial in self._optuna.get_trials(deepcopy=False) if _ABOUT in trial.user_attrs]
                point = next_point(trials, self.plan.groups, self.plan.space.seeds, seed_first=not self.plan.space.ranges)
                return None if point is None else self._begun(point, len(trials))

        return self.storage.persist(taken)

    def _begun(self, point: Point, count: int) -> Taken:
        """A new trial of Optuna's: with the parameters of the group where they are known, else sampled."""
        params = self._params(point.group)
        if params is not None:
            self._optuna.enqueue_trial(params)
        digest = hashlib.sha256(f"{self.plan.name} {count}".encode()).digest()  # other trials, other draws, on any machine
        self._optuna.sampler = optuna.samplers.TPESampler(seed=int.from_bytes(digest[:4]), constant_liar=True)
        trial = self._optuna.ask(self._distributions)
        settings = self.plan.space.rounded(trial.params)
        self.storage.rdb.record_heartbeat(trial._trial_id)
        about = {
            "group": point.group,
            "seed": point.seed,
            "settings": settings,
            "worker": self.worker,
            "host": socket.gethostname(),
        }
        trial.set_user_attr(_ABOUT, about)
        return Taken(point, settings, trial)

    def _params(self, group: int) -> dict[str, Any] | None:
        if not self.plan.space.ranges:
            return self.plan.combinations[group]
        for trial in self._optuna.get_trials(deepcopy=False):
            if trial.user_attrs.get(_ABOUT, {}).get("group") == group:
                return trial.params
        return None

    def _bury_the_dead(self) -> None:
        """Gives up the trials whose workers died, or never had begun them. The lock is held: nobody is about to begin one."""
        if not self.storage.in_trouble(self.plan.grace):  # else others may not have been able to show that they live
            optuna.storages.fail_stale_trials(self._optuna)
        dead = {path: path.name.removeprefix(_SIGN) for path in self.plan.folder.glob(f"{_SIGN}*") if _is_unlocked(path)}
        for trial in self._optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
            worker = trial.user_attrs.get(_ABOUT, {}).get("worker")
            if worker in (None, self.worker, *dead.values()):
                with suppress(RuntimeError):  # it ended meanwhile
                    self.storage.rdb.set_trial_user_attr(trial._trial_id, _WHY, DIED if worker in dead.values() else BROKEN_OFF)
                    self.storage.rdb.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        for path in dead:
            path.unlink(missing_ok=True)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Within it this process is a worker: others on this file system see by a lock that it lives."""
        path = self.plan.folder / f"{_SIGN}{self.worker}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with suppress(OSError):  # a file system without locks: there is the heartbeat
                lock_descriptor(handle, blocking=False)
            yield
            path.unlink(missing_ok=True)
        finally:
            os.close(handle)  # after a failure the file stays, for others to see that this worker has ended

    @contextmanager
    def beating(self, taken: Taken) -> Iterator[None]:
        """Within it the storage is shown now and then that the trial's worker lives."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(self.plan.heartbeat):
                try:
                    self.storage.rdb.record_heartbeat(taken.trial._trial_id)
                except Exception:  # a server that restarts; the next beat may reach it
                    self.storage.missed()

        thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(_LAST_BEAT)

    def is_ours(self, taken: Taken) -> bool:
        """Whether no other worker was given the trial, as happens to one that seemed dead; True where the storage is gone."""
        with suppress(Exception):
            return self.storage.rdb.get_trial(taken.trial._trial_id).state == TrialState.RUNNING
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

        def tell() -> None:
            with quiet():
                with suppress(RuntimeError):
                    taken.trial.set_user_attr(_ENDED, ended or {})
                    if error is not None:
                        taken.trial.set_user_attr(_ERROR, error)
                told = {DONE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED}.get(state, TrialState.FAIL)
                self._optuna.tell(taken.trial, value if state == DONE else None, state=told, skip_if_finished=True)

        self.storage.persist(tell)

    def give_back(self, taken: Taken) -> None:
        """Has the trial done again; where the storage does not answer, others see later that its worker is gone."""
        with suppress(Exception), quiet():
            self._optuna.tell(taken.trial, state=TrialState.FAIL, skip_if_finished=True)

    def once(self, key: str, measure: Callable[[], dict[str, Any]] | None) -> dict[str, Any] | None:
        """What `measure` gives, which is called by one process only, and kept; None where there is neither."""

        def kept() -> dict[str, Any] | None:
            with self.storage.lock(self.plan.name, "once"), quiet():
                found: dict[str, Any] | None = self._optuna.user_attrs.get(key)
                if found is None and measure is not None:
                    found = measure()
                    self._optuna.set_user_attr(key, found)
            return found

        return self.storage.persist(kept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.storage.close()


def _read(trial: "FrozenTrial") -> Trial:
    about, ended, error, why = (trial.user_attrs.get(key) for key in (_ABOUT, _ENDED, _ERROR, _WHY))
    about = about or {}
    state = FAILED if error is not None and trial.state == TrialState.FAIL else _STATES[trial.state]
    return Trial(
        trial.number, state, **about, value=trial.value if trial.state.is_finished() else None, error=error or why, **(ended or {})
    )


def _is_unlocked(path: Path) -> bool:
    """Whether the process that locked a file has ended; False where that cannot be seen."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDWR)
        try:
            return lock_descriptor(handle, blocking=False)
        finally:
            os.close(handle)
    return False


def _distributions(plan: Plan) -> dict[str, BaseDistribution]:
    made: dict[str, BaseDistribution] = {name: CategoricalDistribution(values) for name, values in plan.space.lists.items()}
    for name, span in plan.space.ranges.items():
        whole = isinstance(span.low, int) and isinstance(span.high, int)
        kind = IntDistribution if whole else FloatDistribution
        made[name] = kind(span.low, span.high, log=span.log)  # type: ignore[arg-type]
    return made


def _difference(kept: Any, wanted: dict[str, Any]) -> str:
    """Where two identities first differ."""
    kept = kept if isinstance(kept, dict) else {}
    for key, value in wanted.items():
        if kept.get(key) != value:
            before, now = kept.get(key), value
            if isinstance(before, dict) and isinstance(now, dict):
                name = next(name for name in (*now, *before) if before.get(name) != now.get(name))
                return f"{name} {shown(before.get(name, 'default'))}, not {shown(now.get(name, 'default'))}"
            return f"{key} {shown(before)}, not {shown(now)}"
    return "of a newer vaecli"
