"""A search from its first trial to its winner."""

import math
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from vaecli.arguments import PathLike, Within, checked
from vaecli.data.load import Read, Source, read_once
from vaecli.data.summary import DataSummary, summarise
from vaecli.device import resolve_device
from vaecli.display import table
from vaecli.errors import CheckpointError, UsageError, VaecliError, format_value
from vaecli.evaluation.measure import measure
from vaecli.runs.find import RUNS
from vaecli.runs.reuse import RunIndex, is_finished, is_run_of, same_images
from vaecli.runs.run import Run, read_run
from vaecli.studies.plan import Plan, particles_of
from vaecli.studies.trainer import SearchCallbacks, Trainer
from vaecli.studies.trial_queue import TrialQueue
from vaecli.studies.trials import DONE, RUNNING, RankedSettings, Trial, ranked
from vaecli.studies.worker_processes import train_in_processes

MAX_WORKERS = 256


@dataclass(frozen=True)
class Outcome:
    """The outcome of a search.

    Attributes:
        plan: what was searched.
        rows: the settings, the best first.
        best: the winner: of the best settings, the seed whose bound on the validation images is highest.
        test: of the winner on the test images: how many, and its bounds in nats, ``elbo`` and what it was chosen by, with their
            standard errors over images; None where the winner's folder is on another machine.
        storage: where the study is kept, without a password.
        data: what was understood of a person's own pictures; None for other images.
    """

    plan: Plan
    rows: list[RankedSettings]
    best: Trial
    test: dict[str, Any] | None
    storage: str
    data: DataSummary | None = None

    @property
    def path(self) -> Path:
        """The winner's folder."""
        return Path(self.best.path or "")

    @property
    def trials(self) -> list[Trial]:
        """All trials, by number."""
        return sorted((trial for row in self.rows for trial in row.trials), key=lambda trial: trial.number)

    def _repr_html_(self) -> str:
        """What a notebook shows: the settings, the best first, each with its best run."""
        names = [name for name in self.plan.space.varied if name != "seed"]
        rows = [
            [
                *(format_value(row.settings[name]) for name in names),
                "" if row.value is None else f"{row.value:.2f}",
                "" if row.standard_error is None else f"{row.standard_error:.2f}",
                row.trials[0].name,
            ]
            for row in self.rows
        ]
        bound = f"validation {self.plan.by.replace('elbo', 'ELBO')}, nats"
        return table([*(name.replace("_", " ") for name in names), bound, "± over seeds", "best run"], rows)

    def to_json(self) -> dict[str, Any]:
        """JSON values; docs/json.md lists them."""
        return ({"data": self.data.to_json()} if self.data else {}) | {
            "name": self.plan.name,
            "storage": self.storage,
            "by": self.plan.by,
            "validation": self.plan.space.fixed["validation"],
            "best": {"settings": self.rows[0].settings, "seed": self.best.seed, "path": self.best.path, "value": self.best.value},
            "test": self.test,
            "table": [row.to_json() for row in self.rows],
        }

    def load(self) -> Run:
        """The winner.

        Raises:
            CheckpointError: it is not on this machine.
        """
        return read_run(self.path)


@checked
def search(
    settings: Mapping[str, Any], out: PathLike = RUNS, *, name: str | None = None, by: str = "elbo", trials: int | None = None,
    prune: bool = False, storage: str | None = None, workers: Annotated[int, Within(1, MAX_WORKERS)] = 1,
    data_dir: PathLike | None = None, device: str = "auto",
) -> Outcome:  # fmt: skip
    """The best of many settings, by images that were held out of training, after a run was trained for every combination.

    The same call goes on where it was stopped, and shares the trials with others that were made elsewhere with the same storage.

    Args:
        settings: by setting of `vaecli.Config`, a value, a list of values, or a ``vaecli.Range`` to sample from.
            10,000 training images are held out where ``validation`` is not among them.
        out: the folder that runs are kept in; one with the same settings is used, not trained again.
        name: the study's; made from the settings if not given.
        by: the bound to choose by: ``elbo``, or ``L_k`` such as ``L_50``.
        trials: how many runs, where there is a range; lists are searched whole.
        prune: stop runs whose bound after an epoch is below the median of the others'.
        storage: a URL such as ``postgresql://user@host/database``; a SQLite file in the study's folder if not given.
        workers: processes that train at once, which share this machine's cores.
        data_dir: a folder of IDX files to read instead of the data set's own.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        VaecliError: settings, data, files or the storage are at fault, or no run could be trained.

    Example:
        >>> few = {"latent_dim": [2, 3], "epochs": 1, "limit": 400, "validation": 100}
        >>> outcome = vaecli.search(few, "checkpoints")
        >>> [row.settings["latent_dim"] for row in outcome.rows], outcome.load().config.validation
        ([3, 2], 100)
    """
    plan = Plan.of(
        settings, out, name=name, by=by, trials=trials, prune=prune, storage=storage, data_dir=data_dir, device=device
    )  # fmt: skip
    return run_plan(plan, workers)


def run_plan(plan: Plan, workers: int = 1, callbacks: SearchCallbacks | None = None, read: Read | None = None) -> Outcome:
    """What `search` gives, for a plan and with callbacks; `read` reads the images."""
    if not 1 <= workers <= MAX_WORKERS:
        raise UsageError(f"{{workers}}: expected a whole number from 1 to {MAX_WORKERS}", workers=workers)
    callbacks, read = callbacks or SearchCallbacks(), read or read_once()
    resolve_device(plan.device)
    source = Source(plan.any_config, plan.data_dir, read)
    if data := summarise(source.images("train"), source.images("test"), plan.any_config):
        callbacks.data(data)
    with _leaving_nothing(plan), TrialQueue(plan, callbacks.note) as queue:
        if workers == 1:
            Trainer(queue, callbacks, read).work()
        else:
            train_in_processes(queue, workers, callbacks)
        trials = [trial for trial in queue.trials() if trial.over]
        here = _paths_here(trials, plan, source)
        rows = ranked([replace(trial, path=here.get(trial.number, trial.path)) for trial in trials])
        best = rows[0].trials[0]
        if best.state != DONE:
            raise VaecliError(f"no run could be trained to its end: {best.error or 'all were pruned'}")
        there = best.number in here
        if not there and best.host == socket.gethostname():
            raise CheckpointError(
                f"{best.path}: the winner's run is there no longer; train it again in a search of another name, such as "
                f"with {{name={plan.name}-2}}"
            )
        return Outcome(plan, rows, best, _tested(queue, best, there, callbacks), queue.storage.address.url, data)


@contextmanager
def _leaving_nothing(plan: Plan) -> Iterator[None]:
    """Removes the folder of a study that could not begin: it was not there before, and no trial of it is over or another's."""
    before = plan.folder.exists()
    try:
        yield
    except VaecliError:
        if not before and plan.folder.exists():
            with suppress(VaecliError, OSError):
                _remove_unbegun(plan)
        raise


def _remove_unbegun(plan: Plan) -> None:
    file = plan.folder / "study.db"
    if plan.storage is None and file.exists():
        with TrialQueue(plan) as queue:
            if any(trial.over or trial.state == RUNNING for trial in queue.trials()):
                return
        file.unlink()
    plan.folder.rmdir()
    plan.out.rmdir()


def _paths_here(trials: Sequence[Trial], plan: Plan, source: Source) -> dict[int, str]:
    """The folders of the trials' runs as this process sees them, by the trial's number: of those that it can see.

    A folder of the same name may be another run, or half of this one, which another machine trained to its end.
    """
    same, runs = same_images(source), RunIndex(plan.out)
    paths: dict[int, str] = {}
    for trial in trials:
        if trial.path is not None:
            config = plan.config(trial.settings, trial.seed, source)
            kept = (folder for folder in (plan.out / Path(trial.path).name, Path(trial.path)) if is_run_of(folder, config, same))
            whole = (folder for folder in kept if trial.state != DONE or is_finished(folder, config))
            again = runs.finished(config, same) if trial.state == DONE else next(runs.of(config, same), None)
            if folder := next(whole, None) or again:
                paths[trial.number] = str(folder)
    return paths


def _tested(queue: TrialQueue, best: Trial, there: bool, callbacks: SearchCallbacks) -> dict[str, Any] | None:
    """The winner's bounds on the test images, which are measured once for each winner of a study."""
    plan, folder = queue.plan, Path(best.path or "")

    def numbers_of_test() -> dict[str, Any]:
        callbacks.progress(plan.total, plan.total, f"{folder.name} on the test images")
        run, particles, torch_device = read_run(folder), particles_of(plan.by), resolve_device(plan.device)
        measured = measure(
            run.model.to(torch_device), run.images("test", plan.data_dir).to(torch_device), k=(particles,) if particles else ()
        )
        bounds = {"elbo": measured.elbo} | {f"L_{k}": bound for k, bound in measured.bounds.items()}
        numbers = {name: {"mean": bound.mean, "standard_error": bound.standard_error} for name, bound in bounds.items()}
        return {"images": measured.images, "bounds": numbers}

    found: dict[str, Any] | None = queue.once(f"test {best.number}", numbers_of_test if there else None)
    if found is not None and not _is_of_test(found):
        raise VaecliError(
            "{name}: the winner's bounds on the test images in the storage are damaged; choose another search with {name=NAME}",
            name=plan.name,
        )
    return found


def _is_of_test(found: Any) -> bool:
    """Whether these are the numbers of `_tested`."""

    def is_number(value: Any) -> bool:
        return type(value) in (int, float) and math.isfinite(value)

    return (
        isinstance(found, dict)
        and found.keys() == {"images", "bounds"}
        and type(found["images"]) is int
        and found["images"] > 0
        and isinstance(found["bounds"], dict)
        and bool(found["bounds"])
        and all(
            isinstance(bound, dict)
            and bound.keys() == {"mean", "standard_error"}
            and is_number(bound["mean"])
            and (bound["standard_error"] is None or is_number(bound["standard_error"]))
            for bound in found["bounds"].values()
        )
    )
