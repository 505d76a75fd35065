"""A search from its first trial to its winner."""

import math
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from vaecli.arguments import Place, Within, checked
from vaecli.config import Config
from vaecli.data.load import Source
from vaecli.device import resolve_device
from vaecli.errors import CheckpointError, UsageError, VaecliError
from vaecli.evaluation.measure import measure
from vaecli.runs.find import RUNS
from vaecli.runs.reuse import config_in, finished, is_finished, same_images
from vaecli.runs.run import Run, read_run
from vaecli.studies.plan import Plan, particles_of
from vaecli.studies.processes import work_together
from vaecli.studies.signs import SIGN, ended_workers
from vaecli.studies.study import Study
from vaecli.studies.trials import DONE, Row, Trial, ranked
from vaecli.studies.worker import Listener, Worker

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
    """

    plan: Plan
    rows: list[Row]
    best: Trial
    test: dict[str, Any] | None
    storage: str

    @property
    def path(self) -> Path:
        """The winner's folder."""
        return Path(self.best.path or "")

    @property
    def trials(self) -> list[Trial]:
        """All trials, by number."""
        return sorted((trial for row in self.rows for trial in row.trials), key=lambda trial: trial.number)

    def to_json(self) -> dict[str, Any]:
        """JSON values; docs/json.md lists them."""
        return {
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
    settings: Mapping[str, Any], out: Place = RUNS, *, name: str | None = None, by: str = "elbo", trials: int | None = None,
    prune: bool = False, storage: str | None = None, workers: Annotated[int, Within(1, MAX_WORKERS)] = 1,
    data_dir: Place | None = None, device: str = "auto",
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
    return carry_out(plan, workers)


def carry_out(plan: Plan, workers: int = 1, listen: Listener | None = None) -> Outcome:
    """What `search` gives, for a plan and with callbacks."""
    if not 1 <= workers <= MAX_WORKERS:
        raise UsageError(f"{{workers}}: expected a whole number from 1 to {MAX_WORKERS}", workers=workers)
    listen = listen or Listener()
    resolve_device(plan.device)
    with _leaving_nothing(plan), Study(plan, listen.note) as study:
        if workers == 1:
            Worker(study, listen).work()
        else:
            work_together(study, workers, listen)
        here = _paths_here(study.trials(), plan)
        rows = ranked([replace(trial, path=here.get(trial.number, trial.path)) for trial in study.trials()])
        best = rows[0].trials[0]
        if best.state != DONE:
            raise VaecliError(f"no run could be trained to its end: {best.error or 'all were pruned'}")
        there = best.number in here
        if not there and best.host == socket.gethostname():
            raise CheckpointError(
                f"{best.path}: the winner's run is there no longer; train it again in a search of another name, such as "
                f"with {{name={plan.name}-2}}"
            )
        return Outcome(plan, rows, best, _tested(study, best, there, listen), study.connection.address.url)


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
    if plan.storage is None and (plan.folder / "study.db").exists():
        with Study(plan) as study:
            others = set(plan.folder.glob(f"{SIGN}*")) - ended_workers(plan.folder).keys()
            if others or any(trial.over for trial in study.trials()):
                return
    for path in plan.folder.iterdir():
        if path.name.startswith(("study.db", SIGN)):
            path.unlink()
    plan.folder.rmdir()
    plan.out.rmdir()


def _paths_here(trials: Sequence[Trial], plan: Plan) -> dict[int, str]:
    """The folders of the trials' runs as this process sees them, by the trial's number: of those that it can see.

    A folder of the same name may be another run, or half of this one, which another machine trained to its end.
    """
    source = Source(plan.any_config, plan.data_dir)
    same = same_images(source)
    paths: dict[int, str] = {}
    renamed: dict[Config, int] = {}
    for trial in trials:
        if trial.path is None:
            continue
        config = plan.config(trial.settings, trial.seed, source)
        for folder in (plan.out / Path(trial.path).name, Path(trial.path)):
            if config_in(folder, [config], same) and (trial.state != DONE or is_finished(folder, config)):
                paths[trial.number] = str(folder)
                break
        else:
            renamed[config] = trial.number
    if renamed:
        paths |= {renamed[config]: str(folder) for config, folder in finished(list(renamed), same, plan.out).items()}
    return paths


def _tested(study: Study, best: Trial, there: bool, listen: Listener) -> dict[str, Any] | None:
    """The winner's bounds on the test images, which are measured once for each winner of a study."""
    plan, folder = study.plan, Path(best.path or "")

    def numbers_of_test() -> dict[str, Any]:
        listen.progress(plan.total, plan.total, f"{folder.name} on the test images")
        run, particles, place = read_run(folder), particles_of(plan.by), resolve_device(plan.device)
        measured = measure(run.model.to(place), run.images("test", plan.data_dir).to(place), k=(particles,) if particles else ())
        bounds = {"elbo": measured.elbo} | {f"L_{k}": bound for k, bound in measured.bounds.items()}
        numbers = {name: {"mean": bound.mean, "standard_error": bound.standard_error} for name, bound in bounds.items()}
        return {"images": measured.images, "bounds": numbers}

    found = study.once(f"test {best.number}", numbers_of_test if there else None)
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
