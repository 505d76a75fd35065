"""The queue of a study's trials, kept by Optuna: a trial waits, one worker claims it, and says how it ended."""

import hashlib
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, cast

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from vaecli.errors import UsageError, VaecliError, format_value
from vaecli.files import make_folder
from vaecli.studies.plan import Plan
from vaecli.studies.storage import Address, address_of, open_storage, quiet, unreachable
from vaecli.studies.trials import DONE, FAILED, LOST, PRUNED, RUNNING, WAITING, Trial

_IDENTITY = "vaecli"
"""The name of what is written beside a study: what it searches."""

GROUP, SEED, RUN = "group", "seed", "run"
"""The names of what is written beside a trial: its point, and its run once that ended."""

AHEAD = 100
"""Trials that are enqueued at once: a storage takes a hundredth of a second for each, and reads all that wait for each claim."""

_LOOKS, _PAUSE = 4, 0.5
"""How often, and how many seconds apart, to look whether a new study is described yet."""

_RUN = {"host": (str,), "path": (str, type(None)), "seconds": (int, float, type(None)), "error": (str, type(None))}
_STATES = {
    TrialState.WAITING: WAITING,
    TrialState.RUNNING: RUNNING,
    TrialState.COMPLETE: DONE,
    TrialState.PRUNED: PRUNED,
    TrialState.FAIL: LOST,
}


class TrialLost(Exception):
    """Another worker has the trial, as this one showed no heartbeat for too long."""


class _NotTrained(Exception):
    """Tells Optuna that a trial failed."""


@dataclass(frozen=True)
class ClaimedTrial:
    """A trial that this process has.

    Attributes:
        number: in the study.
        group: the number of its settings.
        seed: the trial's seed.
        settings: the settings that vary, but for the seed.
        trial: Optuna's.
    """

    number: int
    group: int
    seed: int
    settings: dict[str, Any]
    trial: optuna.Trial

    def report(self, epoch: int, elbo: float) -> bool:
        """Keeps the bound after an epoch; says whether the trial should be pruned. A storage that is away misses the bound.

        Raises:
            TrialLost: another worker has the trial.
        """
        try:
            with quiet(), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # one that was reported before
                self.trial.report(elbo, epoch)
                return self.trial.should_prune()
        except UpdateFinishedTrialError:
            raise TrialLost from None
        except Exception as error:
            if not unreachable(error):
                raise
            return False


@dataclass(frozen=True)
class Ending:
    """How a trial ended.

    Attributes:
        state: DONE, PRUNED or FAILED.
        run: ``host``, and where there is one the run's ``path``, the ``seconds`` it trained, and the ``error`` of a failed one.
        value: the bound of a DONE trial.
    """

    state: str
    run: dict[str, Any]
    value: float | None = None


class TrialQueue:
    """The trials of a plan, in its storage.

    Args:
        plan: what is searched, and where.
        note: called with a sentence about the storage.

    Raises:
        UsageError: the storage has another study of that name.
        VaecliError: there is no storage, or it refuses.
    """

    def __init__(self, plan: Plan, note: Callable[[str], None] = lambda text: None) -> None:
        self.plan = plan
        address = Address.of_file(plan.folder / "study.db") if plan.storage is None else address_of(plan.storage)
        if address.file is not None:
            make_folder(plan.folder)
        self.storage = open_storage(address, self._retry, note)
        self._missing: list[tuple[int, int]] = []
        try:
            self._optuna, is_new = self.storage.persist(self._opened)
            make_folder(plan.folder)  # not before a server was found
            if is_new:
                self._missing = self._without_trial(self.trials())
                self.replenish()
        except BaseException:
            self.storage.close()
            raise

    def _opened(self) -> tuple[optuna.Study, bool]:
        pruner = optuna.pruners.MedianPruner() if self.plan.prune else optuna.pruners.NopPruner()
        how: dict[str, Any] = {"storage": self.storage, "study_name": self.plan.name}
        try:
            study, is_new = optuna.create_study(**how, direction="maximize", pruner=pruner), True
            study.set_user_attr(_IDENTITY, self.plan.identity)
        except optuna.exceptions.DuplicatedStudyError:
            study, is_new = optuna.load_study(**how, pruner=pruner), False
        for _ in range(_LOOKS):  # whoever made it writes that next
            if study.user_attrs or study.get_trials(deepcopy=False):
                break
            time.sleep(_PAUSE)
        else:
            if self.plan.storage is None:  # whoever made it was killed
                study.set_user_attr(_IDENTITY, self.plan.identity)
        kept = study.user_attrs.get(_IDENTITY)
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
        return study, is_new

    def trials(self) -> list[Trial]:
        """All trials, by number."""
        return [trial for one in self._all() if (trial := read_trial(one, self.plan))]

    def _all(self) -> list[FrozenTrial]:
        return self.storage.persist(lambda: self._optuna.get_trials(deepcopy=False))

    def replenish(self) -> None:
        """Enqueues points that no trial is of, when none waits: the next ones, and those of workers that died at a bad moment.

        Points that were missing at the last look too are enqueued, as nobody else enqueues them just now.
        """

        def missing_twice() -> None:
            if not self.storage.is_doubtful():
                fail_stale_trials(self._optuna)
            trials = self.trials()
            if any(trial.state == WAITING for trial in trials):
                return
            missing = self._without_trial(trials)
            if missing == self._missing:
                for group, seed in missing[:AHEAD]:
                    self._enqueue(group, seed, self._settings_of(group, trials))
            self._missing = missing

        self.storage.persist(missing_twice)

    def _without_trial(self, trials: Sequence[Trial]) -> list[tuple[int, int]]:
        """The points that are to be enqueued, in their order: all settings with the first seed come first."""
        there = {trial.point for trial in trials if trial.state != LOST}
        seeds = self.plan.space.seeds
        known = {trial.group for trial in trials if trial.settings} if self.plan.space.ranges else range(self.plan.groups)
        points = ((group, seed) for seed in seeds for group in range(self.plan.groups) if seed == seeds[0] or group in known)
        return [point for point in points if point not in there]

    def _settings_of(self, group: int, trials: Sequence[Trial]) -> dict[str, Any]:
        """The settings of a group; none where they are still to be sampled."""
        if not self.plan.space.ranges:
            return self.plan.combinations[group]
        return next((trial.settings for trial in trials if trial.group == group and trial.settings), {})

    def _enqueue(self, group: int, seed: int, settings: dict[str, Any]) -> None:
        self._optuna.enqueue_trial(settings, user_attrs={GROUP: group, SEED: seed})

    def _retry(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Enqueues a trial again that its worker left unfinished."""
        read = read_trial(trial, self.plan)
        if read is not None and read.state == LOST:
            RetryHeartbeatStaleTrialCallback()(study, trial)

    def train_next(self, train: Callable[[ClaimedTrial], Ending]) -> bool:
        """Claims the trial that waits first, and has it trained under Optuna's heartbeat; False where none waits.

        A trial whose training raises is given back.

        Args:
            train: trains it.
        """
        begun: list[optuna.Trial] = []
        ended: list[Ending] = []
        raised: list[BaseException] = []

        def objective(trial: optuna.Trial) -> float:
            begun.append(trial)
            try:
                claimed = self._claimed(trial)
                if claimed is not None:
                    ending = train(claimed)
                    self.storage.persist(lambda: trial.set_user_attr(RUN, ending.run))
                    ended.append(ending)
            except (TrialLost, UpdateFinishedTrialError):
                self.storage.note(f"Trial {trial.number} was given to another worker, as this one seemed dead")
            except BaseException as error:
                raised.append(error)
            if not ended or ended[0].state == FAILED:
                raise _NotTrained
            if ended[0].state == PRUNED:
                raise optuna.TrialPruned
            return ended[0].value or 0.0

        def optimize() -> None:
            if begun or self.storage.is_doubtful():
                return
            if self._optuna.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
                try:
                    self._optuna.optimize(objective, n_trials=1, catch=(_NotTrained,))
                except Exception:  # it was lost just now, or the server is away: the trial's end is told again below
                    if not begun:
                        raise

        self.storage.persist(optimize)
        if raised:
            self._give_back(begun[0])
            raise raised[0]
        if ended:
            states = {DONE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED, FAILED: TrialState.FAIL}
            told: dict[str, Any] = {"values": ended[0].value, "state": states[ended[0].state], "skip_if_finished": True}
            self.storage.persist(lambda: self._optuna.tell(begun[0], **told))
        return bool(begun)

    def _claimed(self, trial: optuna.Trial) -> ClaimedTrial | None:
        """The claimed trial with its settings; None where another trial of the same point was enqueued before, or it has none.

        That is so where the server went away while a trial was enqueued, which was then enqueued again, and where another worker
        claimed the last one that waited.
        """
        trials = self.trials()
        mine = next((one for one in trials if one.number == trial.number), None)
        if mine is None or any(one.point == mine.point and one.number < mine.number and one.state != LOST for one in trials):
            return None
        digest = hashlib.sha256(f"{self.plan.name} {trial.number}".encode()).digest()  # other draws for each trial, on any machine
        self._optuna.sampler = optuna.samplers.TPESampler(seed=int.from_bytes(digest[:4]), constant_liar=True)
        self.storage.persist(lambda: self._suggest(trial))
        trials = self.trials()
        settings = next(one.settings for one in trials if one.number == trial.number)
        if self.plan.space.ranges:  # its other seeds, once it is sampled
            for group, seed in self._without_trial(trials):
                if group == mine.group:
                    self.storage.persist(partial(self._enqueue, group, seed, settings))
        return ClaimedTrial(trial.number, mine.group, mine.seed, settings, trial)

    def _suggest(self, trial: optuna.Trial) -> None:
        for name, values in self.plan.space.lists.items():
            trial.suggest_categorical(name, values)
        for name, span in self.plan.space.ranges.items():
            if isinstance(span.low, int) and isinstance(span.high, int):
                trial.suggest_int(name, span.low, span.high, log=span.log)
            else:
                trial.suggest_float(name, span.low, span.high, log=span.log)

    def _give_back(self, trial: optuna.Trial) -> None:
        """Has a trial trained by another; where the storage is away, others see by the heartbeat that its worker is gone."""
        with suppress(Exception), quiet():
            self._retry(self._optuna, next(one for one in self._optuna.get_trials(deepcopy=False) if one.number == trial.number))

    def once(self, key: str, measure: Callable[[], dict[str, Any]] | None) -> Any:
        """What is kept under a name, which `measure` gives where nothing is; None where there is neither."""
        kept = self.storage.persist(lambda: self._optuna.user_attrs.get(key))
        if kept is None and measure is not None:
            numbers = measure()
            self.storage.persist(lambda: self._optuna.set_user_attr(key, numbers))
            return numbers
        return kept

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.storage.close()


def read_trial(trial: FrozenTrial, plan: Plan) -> Trial | None:
    """A trial of Optuna's as this package sees it; None where it is of no point.

    Raises:
        VaecliError: it is not as this package writes it; others can write into the storage too.
    """
    if not trial.user_attrs.keys() & {GROUP, SEED, RUN}:
        return None
    group, seed, run = (cast(Any, trial.user_attrs.get(key)) for key in (GROUP, SEED, RUN))
    run = {"host": ""} if run is None else run
    value: Any = trial.value if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) else None
    state = _STATES[trial.state]
    wrong = _wrong_point(group, seed, plan) or _wrong_run(run) or _wrong_params(trial.params, group, state, plan)
    if not (value is None and state != DONE) and not (isinstance(value, int | float) and math.isfinite(value)):
        wrong = wrong or f"the bound {value!r}"
    if wrong:
        raise VaecliError(
            f"{{name}}: trial {trial.number} in the storage is damaged, or not of vaecli (found {wrong[:100]}); choose another "
            "search with {name=NAME}", name=plan.name,
        )  # fmt: skip
    if state == LOST and run.get("error"):
        state = FAILED
    names = plan.space.lists.keys() | plan.space.ranges.keys()
    settings = plan.space.rounded(trial.params) if trial.params.keys() == names else {}
    return Trial(trial.number, state, group, seed, settings, value=value, **run)


def _wrong_point(group: Any, seed: Any, plan: Plan) -> str:
    """What is wrong with the point of a trial; empty where nothing is."""
    known = type(group) is int and group >= 0 and (bool(plan.space.ranges) or group < plan.groups)  # of a range there may be more
    return "" if known and type(seed) is int and seed in plan.space.seeds else f"group {group!r} and seed {seed!r}"


def _wrong_run(run: Any) -> str:
    if not isinstance(run, dict) or not {"host"} <= run.keys() <= _RUN.keys():
        return f"the record {run!r}"
    for name, value in run.items():
        if type(value) not in _RUN[name] or (isinstance(value, float) and not math.isfinite(value)) or "\0" in str(value):
            return f"{name} {value!r}"
    return ""


def _wrong_params(params: Mapping[str, Any], group: int, state: str, plan: Plan) -> str:
    space = plan.space
    whole = state in (DONE, PRUNED)
    names = space.lists.keys() | space.ranges.keys()
    if not params.keys() <= names or (whole and params.keys() != names):
        return f"the settings {dict(params)!r}"
    for name, value in params.items():
        if name in space.ranges:
            span = space.ranges[name]
            fits = isinstance(value, int | float) and not isinstance(value, bool) and span.low <= value <= span.high
        else:
            allowed = space.lists[name] if space.ranges else (plan.combinations[group][name],)
            fits = any(value == one and type(value) is type(one) for one in allowed)
        if not fits:
            return f"{name} {value!r}"
    return ""


def difference(kept: Any, wanted: dict[str, Any]) -> str:
    """Where two identities first differ; empty where they do not."""
    kept = kept if isinstance(kept, dict) else {}
    for key in (*wanted, *kept):
        before, now = kept.get(key), wanted.get(key)
        if before != now:
            if isinstance(before, dict) and isinstance(now, dict):
                name = next(name for name in (*now, *before) if before.get(name) != now.get(name))
                return f"{name} {format_value(before.get(name, 'default'))}, not {format_value(now.get(name, 'default'))}"
            return "other images" if key == "data" else f"{key} {format_value(before)}, not {format_value(now)}"
    return ""
