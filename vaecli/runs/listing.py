"""The runs under a folder, by what their files say without their weights. No torch: of each checkpoint the header alone is read."""

import os
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from vaecli.command_line import as_option
from vaecli.config import Config
from vaecli.errors import CheckpointError, VaecliError, reason
from vaecli.runs.find import CONFIG, MODEL, RUNS, TRAINING, has_epochs, is_over, measured_split, read_config, read_rows
from vaecli.runs.header import Record, read_record


@dataclass(frozen=True)
class ListedRun:
    """A run, without its weights.

    Attributes:
        path: its folder.
        record: what its checkpoint says; of a run without a finished epoch the settings alone.
        epoch: how many epochs are done.
        finished: whether it was trained for all its epochs, or until its `patience` ended.
        saved: when its weights were written, in seconds since 1970.
        bytes: of all files in its folder.
        differing: the settings that are not the defaults (`vaecli.Config.differing`).
    """

    path: Path
    record: Record
    epoch: int
    finished: bool
    saved: float
    bytes: int
    differing: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.path.resolve().name

    @property
    def config(self) -> Config:
        """Its settings."""
        return self.record.config

    @cached_property
    def split(self) -> str | None:
        """The images that its bound is of, ``test`` or ``validation``; None where it has none."""
        return measured_split(self.record.results)

    @property
    def elbo(self) -> float | None:
        """The ELBO of its weights on the images of `split`, in nats per image; None where it was not measured."""
        return None if self.split is None else self.record.results[f"{self.split}_elbo"]

    def to_json(self) -> dict[str, Any]:
        """JSON values; docs/json.md lists them."""
        origin = self.record.provenance.started_from if self.record.provenance else None
        return {
            "name": self.name,
            "path": str(self.path),
            "epoch": self.epoch,
            "finished": self.finished,
            "split": self.split,
            "elbo": self.elbo,
            "saved": self.saved,
            "bytes": self.bytes,
            "warnings": self.record.warnings,
            "started_from": origin and origin.to_json(),
            "differing": [*self.differing],
            "settings": self.config.to_json(),
        }


def list_runs(root: Path = RUNS) -> tuple[list[ListedRun], dict[Path, str]]:
    """The runs under a folder, those that were saved last first; and the folders of damaged ones, with what is wrong with each.

    Raises:
        VaecliError: the folder is not there, or may not be read.
    """
    try:
        folders = sorted(folder for folder in root.iterdir() if is_run(folder))
    except OSError as error:
        raise VaecliError(f"{root}: {reason(error)}; expected a folder that holds runs") from None
    runs, damaged, make = [], {}, cache(Config)
    for folder in folders:
        try:
            runs.append(listed(folder, make))
        except (VaecliError, OSError) as error:
            damaged[folder] = error.text(_spell) if isinstance(error, VaecliError) else f"{folder}: {reason(error)}"
    return sorted(runs, key=lambda run: (-run.saved, run.name)), damaged


def _spell(name: str, value: str) -> str:
    return value if name == "config" else as_option(name, value)


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run, if only one without a finished epoch."""
    return not folder.name.startswith(".") and (has_epochs(folder) or (folder / CONFIG).is_file())


def listed(folder: Path, make: Any = None) -> ListedRun:
    """The run in a folder.

    Args:
        folder: the run's.
        make: as for `vaecli.Config.differing`.

    Raises:
        CheckpointError: it is damaged.
        OSError: a file of it went away.
    """
    file = next((folder / name for name in (MODEL, TRAINING) if (folder / name).exists()), folder / CONFIG)
    try:
        record = read_record(file) if file.name != CONFIG else _begun(file)
    except VaecliError as error:
        raise error.reworded(CheckpointError) from None
    results = record.results
    if record.config.patience is not None and file.name == MODEL and (folder / TRAINING).exists():
        results = read_record(folder / TRAINING).results  # the weights are those of the best epoch so far
    epoch = int(results.get("last_epoch", results.get("epoch", 0)))
    finished = "step" not in results and epoch > 0 and (epoch == record.config.epochs or _is_stopped(folder, record.config))
    sizes = [(Path(place) / name).stat().st_size for place, _, names in os.walk(folder) for name in names]
    return ListedRun(folder, record, epoch, finished, file.stat().st_mtime, sum(sizes), record.config.differing(make))


def _begun(file: Path) -> Record:
    """The record of a run without a finished epoch."""
    settings, provenance = read_config(file)
    return Record(Config(**settings, absent=provenance.members if provenance else ()), {}, provenance, {})


def _is_stopped(folder: Path, config: Config) -> bool:
    return config.patience is not None and is_over(read_rows(folder), config)
