"""How training begins: its callbacks, a new or a resumed state, and what several processes that share a run agree on."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from unicodedata import normalize

import torch

from vaecli import registry
from vaecli.config import Config, merge
from vaecli.data import Read, Source, read_once
from vaecli.data.summary import DataSummary
from vaecli.errors import CheckpointError, Diverged, UsageError, format_value
from vaecli.processes import Processes
from vaecli.provenance import DataRecord, Origin, Provenance
from vaecli.reading import is_folder
from vaecli.runs.find import CONFIG, FILES, LOSS, PICTURES, TRAINING, has_epochs, is_stopped, read_config, standing
from vaecli.runs.folder import Folder, Unwritten, locked_folder
from vaecli.runs.logs import MakeLogger
from vaecli.runs.origin import Beginning, recalled
from vaecli.runs.state import Training, load_training, save_again
from vaecli.settings import AUTO
from vaecli.training.loop import EpochRecord
from vaecli.training.position import Position
from vaecli.training.save_every import SaveEvery
from vaecli.training.settle import settled_start

_NAME_BYTES = 60
"""Bytes of a folder's name in a run's."""


@dataclass(frozen=True)
class Listener:
    """Callbacks of training; by default they do nothing.

    Attributes:
        note: called with a sentence about the run.
        epoch: called with the record of an epoch, and the ELBO of the test or validation images after it, in nats per image.
        row: called with the row of the loss log, after it is written.
        batch: called with the epoch, the steps done, the steps of all epochs, and the mean loss since the last call, in nats per
            image.
        writing: a context entered while files are written, which should not be interrupted.
        data: called before the first epoch with what was understood of a person's own pictures.
    """

    note: Callable[[str], None] = lambda text: None
    epoch: Callable[[EpochRecord, float], None] = lambda record, elbo: None
    row: Callable[[dict[str, float]], object] = lambda row: None
    batch: Callable[[int, int, int, float], None] = lambda epoch, done, total, loss: None
    writing: Callable[[], AbstractContextManager[None]] = nullcontext
    data: Callable[[DataSummary], None] = lambda summary: None


@dataclass(frozen=True)
class Start:
    """The state in which training begins.

    Attributes:
        config: the settings.
        data_dir: the folder of IDX files or pictures, or a file of arrays; None for the place recorded in `provenance`, or the
            data set's own.
        provenance: of an earlier run, whose data, precision and number of threads are used again.
        same_data: whether the images must be those of `provenance`.
        training: the state to continue from; None for a run without a finished epoch, and where another process has it.
        threads: CPU threads asked for; None for those of `provenance`, or as many as PyTorch takes.
        read: reads the images.
        finished: epochs done and measured.
        stopped: whether the run's `patience` has ended, so that no more are trained.
        position: where training begins after these, within an epoch; None right after them.
        save_every: how often to save the run within its epochs.
        log: the name of the logger that its curves go to, or its class; None for none.
        beginning: the weights of another run, with which a run without a finished epoch begins; None for its own, and where another
            process has them.
    """

    config: Config
    data_dir: Path | None = None
    provenance: Provenance | None = None
    same_data: bool = True
    training: Training | None = None
    threads: int | None = None
    read: Read = field(default_factory=read_once, repr=False, compare=False)
    finished: int = 0
    stopped: bool = False
    position: Position | None = None
    save_every: SaveEvery | None = None
    log: str | MakeLogger | None = None
    beginning: Beginning | None = None

    @property
    def recorded(self) -> DataRecord | None:
        """The record that the images must match; None if any images will do."""
        return self.provenance.data if self.provenance and self.same_data else None

    @property
    def source_dir(self) -> Path | None:
        """The folder of IDX files to read; None for the data set's own place."""
        if self.data_dir or not self.recorded or not self.recorded.folder:
            return self.data_dir
        return Path(self.recorded.folder)

    @property
    def source(self) -> Source:
        """The images to train on."""
        return Source(self.config, self.source_dir, self.read)

    @property
    def origin(self) -> Origin | None:
        """The run whose weights this one begins or began with; None for its own."""
        if self.beginning:
            return self.beginning.origin
        return self.provenance.started_from if self.provenance else None

    @property
    def run_name(self) -> str:
        """The default name of the run: from its settings, the data folder if that holds other images, and the run it begins with.

        Raises:
            DataError: that folder cannot be read.
        """
        return self._name_alone if self.origin is None else f"{self._name_alone}-from-{_name_of(self.origin.name)}"

    @property
    def _name_alone(self) -> str:
        if self.source_dir is None or not self.source.is_own:
            return self.config.run_name
        place = self.source_dir.absolute()
        name = place.stem if self.config.dataset == "array" else place.name if is_folder(place) else _name_of_shards(place)
        words = _name_of(name)
        own_labels = registry.find("dataset", self.config.dataset).own_labels
        return self.config.name_for(words if own_labels else f"own-{words}")


def _name_of_shards(pattern: Path) -> str:
    """What the names of tar shards begin with, or that of their folder."""
    return re.sub(r"[{*?\[].*|\.tar$", "", pattern.name).strip("-_.") or pattern.parent.name


def _name_of(folder: str) -> str:
    """The name of a folder as a part of a run's name: letters and digits of any alphabet; with a digest where something is lost."""
    name = normalize("NFC", folder)
    words = re.sub(r"[^\w.]+", "-", name).strip("-.")
    short = words.encode(errors="ignore")[:_NAME_BYTES].decode(errors="ignore")
    lost = short != words or any(not letter.isascii() and not letter.isalnum() for letter in name)
    return f"{short}-{sha256(name.encode(errors='surrogatepass')).hexdigest()[:6]}".strip("-") if lost or not short else short


def resumed(folder: Folder, given: Mapping[str, Any], start: Start, listen: Listener | None = None) -> Start:
    """The state of the run in a folder; `start` if there is none.

    Args:
        folder: the run's.
        given: the settings that it must have, but for ``epochs``, and ``patience``, which may be larger.
        start: the state in which a new run begins.
        listen: callbacks; only `note` is called.

    Raises:
        UsageError: a setting in `given` is not the run's.
        CheckpointError: the run is damaged.
        Diverged: it diverged, and would again.
    """
    path, listen = folder.path, listen or Listener()
    if not has_epochs(path):
        if not (path / CONFIG).exists():
            return start
        settings, provenance = read_config(path / CONFIG)
        listen.note(f"{path}: no epoch is finished yet; starting it with its settings")
        _check_origin(path, start.beginning, provenance)
        return replace(
            start, config=_agreed(path, _config(settings, provenance), provenance, given), provenance=provenance, same_data=True
        )
    if not (path / TRAINING).exists():
        raise CheckpointError(
            f"{path}: found no {TRAINING}, from which a run goes on; begin a new run with its weights: {{from={path}}}"
        )
    training = load_training(path)
    save_again(folder, training)
    if training.lost_rows:
        listen.note(f"{path}: its {LOSS} no longer has the rows before epoch {training.log[0]['epoch']}; the log begins there now")
    run, provenance = training.config, training.provenance
    chosen = _agreed(path, run, provenance, given)
    if _check_origin(path, start.beginning, provenance, finished=True):
        listen.note(f"{path} goes on from its own weights: those that it began with are no longer in the run named")
    if training.position and training.position.epochs >= chosen.number("epochs"):
        raise UsageError(
            f"{{resume=}} with {{epochs}}: {path} has done {standing(training.results)}; expected more epochs than "
            f"{training.position.epochs}", epochs=chosen.epochs,
        )  # fmt: skip
    if "diverged_epoch" in training.results:
        epoch = int(training.results["diverged_epoch"])
        raise Diverged(
            f"{path}: the run diverged in epoch {epoch} and would again; "
            f"train anew with a smaller learning rate, such as {{lr={run.lr / 10:g}}} {{overwrite=}}", epoch,
        )  # fmt: skip
    if chosen.epochs != run.epochs and run.lr_schedule != "constant":
        listen.note(
            f"The learning rate goes on as the {run.lr_schedule} schedule of {chosen.epochs} epochs has it, not of {run.epochs}"
        )
    training = replace(training, config=chosen)
    return replace(
        start, config=chosen, provenance=provenance, same_data=True, training=training, finished=training.finished,
        stopped=is_stopped(training.log, chosen), position=training.position, beginning=None,
    )  # fmt: skip


def _check_origin(path: Path, beginning: Beginning | None, provenance: Provenance | None, finished: bool = False) -> bool:
    """Refuses to go on with a run that began with other weights than those named; whether these have changed since.

    Raises:
        UsageError: it did, or they have changed and no epoch is finished.
    """
    if beginning is None:
        return False
    named, began = beginning.origin, provenance.started_from if provenance else None
    if began and named.sha256 == began.sha256:
        return False
    if began and named.file == began.file and finished:
        return True
    others = f"those of {began.folder}, of SHA-256 {began.sha256[:12]}..." if began else "weights of its own"
    raise UsageError(
        f"{{resume=}} with {{from}}: {path} began with {others}; leave {{from=}} out to go on, or train another run with "
        "{name=NAME}", **{"from": named.folder},
    )  # fmt: skip


def _agreed(folder: Path, run: Config, provenance: Provenance | None, given: Mapping[str, Any]) -> Config:
    """The run's settings, with the epochs in `given`, and a larger patience.

    Raises:
        UsageError: another setting in `given` is not the run's.
    """
    # what was settled when the run began stays so
    given = {name: value for name, value in given.items() if value != AUTO or name == "precision"}
    chosen = settled_start(Config(**merge(run.to_json(), given), absent=run.absent))
    members = provenance.members if provenance else ()
    again = {it.family: f"{it.family}=" for it in members if not it.source}
    if provenance and run.dataset == "array" and provenance.data.folder is None:
        again["dataset"] = "images="
    for name, argument in again.items():
        if name in given and getattr(run, name) != getattr(chosen, name):
            what = "on arrays" if name == "dataset" else f"with an object of Python as its {name}, {getattr(run, name)}"
            raise UsageError(f"{{resume=}}: {folder} was trained {what}; give the same again with {argument}")
    for name in given:
        old, new = getattr(run, name), getattr(chosen, name)
        same = old == new or (name == "precision" and provenance is not None and old == "auto" and new == provenance.precision)
        same |= name == "patience" and old is not None and new >= old
        if name != "epochs" and not same:
            raise UsageError(
                f"{{resume=}} with {{{name}}}: {folder} has {format_value(old)}; leave {{{name}=}} out to go on, or train another "
                "run with {name=NAME}", **{name: new},
            )  # fmt: skip
    return replace(run, epochs=chosen.epochs, patience=chosen.patience)


def _config(settings: Mapping[str, Any], provenance: Provenance | None) -> Config:
    """The settings of a run, which may name members of plugins that are not loaded."""
    return Config(**settings, absent=provenance.members if provenance else ())


@contextmanager
def held_folder(
    path: Path, start: Start, given: Mapping[str, Any] | None, processes: Processes, listen: Listener | None = None
) -> Iterator[tuple[Folder, Start]]:
    """The folder to write a run into, and the state in which its training begins; an error inside is raised in every process.

    The first process locks the folder, and mends and loads the run in it. The others learn from it how many epochs are done, and
    need not see the folder; they get weights and moments when training begins (`vaecli.training.loop.fit`).

    Args:
        path: the folder.
        start: the state in which a new run begins.
        given: the settings that a run in the folder must have to be continued; None to start anew.
        processes: the processes that share the run.
        listen: callbacks; only `note` is called.

    Raises:
        UsageError: the processes were started with different settings, or a setting in `given` is not the run's.
        VaecliError: another process trains in the folder, or it or the run in it cannot be used.
    """
    with processes.ending_together(), ExitStack() as held:
        _check_equal(processes, path.name, start.config, given)
        folder: Folder = Unwritten(path)
        with processes.agreeing():
            if processes.is_main:
                folder = held.enter_context(locked_folder(path, (*FILES, PICTURES)))
                if given is not None:
                    start = resumed(folder, given, start, listen)
                if start.origin and not start.training:
                    beginning = start.beginning or recalled(start.origin)
                    beginning.check(start.config)
                    start = replace(start, beginning=beginning)
        yield folder, start if processes.alone else _of_first(processes, start)


def _of_first(processes: Processes, start: Start) -> Start:
    """The first process's start; in the others without the state, which they get when training begins."""
    recorded = start.provenance.to_json() if start.provenance else None
    position = start.position and [start.position.to_json(), start.position.rows.tolist()]
    own = {"settings": start.config.to_json(), "provenance": recorded, "finished": start.finished, "position": position}
    own["stopped"] = start.stopped
    first = processes.all_gather(own if processes.is_main else None)[0]
    if processes.is_main:
        return start
    provenance = None if first["provenance"] is None else Provenance.from_json(first["provenance"])
    position = first["position"] and Position.from_json(first["position"][0], torch.tensor(first["position"][1]))
    config, finished = _config(first["settings"], provenance), first["finished"]
    return replace(start, config=config, provenance=provenance, finished=finished, stopped=first["stopped"], position=position)


def _check_equal(processes: Processes, name: str, config: Config, given: Mapping[str, Any] | None) -> None:
    """Refuses processes that were started with different settings.

    Raises:
        UsageError: some were, in all of them.
    """
    values = {"name": name, "resume": given is not None} | config.to_json()
    first, *others = processes.all_gather([values, None if given is None else dict(given)])
    for rank, other in enumerate(others, 1):
        for setting in first[0] | other[0]:
            mine, its = first[0].get(setting), other[0].get(setting)
            if mine != its:
                raise UsageError(
                    f"{{{setting}}} in process {rank}: the first process has {format_value(mine)}, expected the same in all; "
                    "type the same line on every host", **{setting: format_value(its)},
                )  # fmt: skip
        if first != other:
            raise UsageError(f"process {rank} was given other settings than the first; type the same line on every host")


def common(processes: Processes, own: Provenance) -> Provenance:
    """The first process's provenance, with the precision that it chose for all.

    Raises:
        UsageError: others have other images, another kind of device or another PyTorch, in all of them.
    """
    if processes.alone:
        return own
    first, *others = map(Provenance.from_json, processes.all_gather(own.to_json()))
    for rank, other in enumerate(others, 1):
        for what, mine, its in (
            ("training images", first.data.train[:12], other.data.train[:12]),
            ("test images", first.data.test[:12], other.data.test[:12]),
            ("device", first.device, other.device),
            ("torch", first.torch, other.torch),
        ):
            if mine != its:
                raise UsageError(f"process {rank} has {what} {its}, the first process {mine}; expected the same in all")
    return first
