"""Run folders: the names of their files, how to find them, and their log. No torch, so that a wrong name is refused at once."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from vaecli.command_line import resume_line, train_line
from vaecli.config import MAX_EPOCHS, Config
from vaecli.errors import CheckpointError, UsageError, VaecliError, printable, reason
from vaecli.provenance import PROVENANCE, Provenance
from vaecli.reading import read_file

MODEL, TRAINING, CONFIG, LOSS = "model.safetensors", "training.safetensors", "config.json", "loss.csv"
FILES = (MODEL, TRAINING, CONFIG, LOSS)
PICTURES = "pictures.csv"
"""The list of a run's pictures, where they are a person's own."""

SHOWN = 5
"""The most names of runs in an error message."""

RUNS = Path("checkpoints")
"""The folder that runs are kept in."""

MAX_NAME = 200
"""Bytes of a run's name; file systems have room for 255."""

MAX_CONFIG = 1 << 16
"""Bytes of a ``config.json`` that are read; one of all settings has a hundredth."""

MAX_ROW = 256
"""Bytes of a log's longest row: eight numbers of at most 24 digits and signs each, with room to spare."""

FIRST = f"make a first one in about ten seconds with: {train_line({'limit': 5000, 'epochs': 2})}"
"""What to type where there is no run."""

_MAX_NUMBER = 1e15


KEPT_ROWS = 1000
"""The last rows of the log that the state of training has too."""


def read_log(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's ``loss.csv``, by column.

    A last row without its line break is left out: a process that wrote it was killed, or is still writing.

    Raises:
        CheckpointError: it is missing or not such a file.
    """
    return [{name: float(value) for name, value in row.items()} for row in read_rows(folder)]


def read_rows(folder: Path) -> list[dict[str, str]]:
    """The rows of a run's ``loss.csv`` as text, as `read_log` has them.

    Raises:
        CheckpointError: it is missing or not such a file.
    """
    file = folder / LOSS
    try:
        text = read_file(file, log_bytes(MAX_EPOCHS))
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({reason(error)})") from None
    return rows_of(text[: text.rfind(b"\n") + 1], file)


def standing(results: Mapping[str, float]) -> str:
    """Where a run with these results stands, in words: ``epoch 3``, or ``epoch 3 and 120 of 600 steps``."""
    epoch, step = int(results.get("epoch", 0)), int(results.get("step", 0))
    if not step:
        return f"epoch {epoch}"
    steps = f"{step:,} of {int(results.get('steps', 0)):,} steps"
    return f"epoch {epoch} and {steps}" if epoch else f"{steps} of epoch 1"


def checked_name(name: str) -> str:
    """The name if it can be that of a folder beside the runs.

    Raises:
        UsageError: it cannot.
    """
    if not name or name != Path(name).name or name.startswith(".") or len(os.fsencode(name)) > MAX_NAME or printable(name) != name:
        raise UsageError(
            "{name}: expected the name of a folder, of letters that can be printed and without '/', such as {name=first-try}",
            name=name,
        )
    return name


def measured_split(row: Mapping[str, object]) -> str | None:
    """The images whose ELBO is in a row of the log, or in results: ``test``, or ``validation`` where a run holds some out."""
    return next((split for split in ("test", "validation") if f"{split}_elbo" in row), None)


def is_over(rows: Sequence[Mapping[str, object]], config: Config) -> bool:
    """Whether the run with this log was trained for all its epochs, or until its `patience` ended."""
    return bool(rows) and (float(str(rows[-1]["epoch"])) >= config.number("epochs") or is_stopped(rows, config))


def is_stopped(rows: Sequence[Mapping[str, object]], config: Config) -> bool:
    """Whether the last `patience` measurements of a log are no better than one before them; of equal ones the first is the best."""
    bounds = [float(str(row["validation_elbo"])) for row in rows if "validation_elbo" in row] if config.patience else []
    return len(bounds) - 1 - bounds.index(max(bounds)) >= (config.patience or 0) if bounds else False


def log_bytes(epochs: int) -> int:
    """The most bytes that a log of so many epochs can have."""
    return MAX_ROW * (1 + epochs)


def rows_of(text: bytes, file: Path) -> list[dict[str, str]]:
    """The rows of a loss log, one for each epoch from 1, by column; every value is the text of a finite number.

    Of a run that is not measured after every epoch, the first row's epoch is the most that two rows are apart.

    Raises:
        CheckpointError: it is not such a log; the message names `file`.
    """
    damaged = CheckpointError(f"{file}: found no table of numbers, expected the log that train wrote")
    lines = text.split(b"\n") if text.count(b"\n") <= 1 + MAX_EPOCHS else []
    if not lines or max(map(len, lines)) > MAX_ROW:
        raise damaged
    try:
        rows = list(csv.DictReader(line.decode("ascii") for line in lines))
        sensible = [all(abs(float(value)) < _MAX_NUMBER for value in row.values()) for row in rows]
    except (ValueError, TypeError, csv.Error):
        raise damaged from None
    if not rows or not {"epoch", "loss", "seconds"} <= rows[0].keys() or measured_split(rows[0]) is None:
        raise CheckpointError(f"{file}: lacks the columns of a loss log, expected the log that train wrote")
    before, every = 0.0, 1.0
    for number, (row, fine) in enumerate(zip(rows, sensible, strict=True), 1):
        epoch = float(row["epoch"]) if fine else 0.0
        every = max(every, epoch) if number == 1 else every
        if not (epoch.is_integer() and before < epoch <= min(before + every, MAX_EPOCHS)):
            raise CheckpointError(
                f"{file}: found no finite numbers of the next epoch in row {number}, expected the log that train wrote"
            )
        before = epoch
    return rows


def find_checkpoint(run: str | None, root: Path) -> tuple[Path, bool]:
    """The checkpoint file of the run that a person named.

    Args:
        run: a run's folder, a checkpoint file, or the name of a run under `root`; None for the newest run there.
        root: the folder that runs are kept in.

    Returns:
        The path of the ``model.safetensors``, and whether it was chosen because it is the newest.

    Raises:
        CheckpointError: there is none; the message has the nearest names of runs, or a command that makes a first one.
    """
    runs = runs_in(root)
    if run is None:
        if not runs:
            raise CheckpointError(f"{root}/: found no run with a finished epoch; {FIRST}")
        return runs[0] / MODEL, True
    candidates = Path(run), root / run
    for candidate in candidates:
        for file in (candidate, candidate / MODEL):
            if file.exists() and not file.is_dir():
                return file, False
    for candidate in candidates:
        if (candidate / CONFIG).is_file():
            raise CheckpointError(f"{run}: no epoch of this run is finished; go on with: {resume_line(candidate, root)}")
    problem = "no checkpoint in that folder" if Path(run).is_dir() else "no such run"
    if not runs:
        raise CheckpointError(f"{run}: {problem}, and {root}/ has none yet; {FIRST}")
    name = Path(run).name
    near = sorted((folder.name for folder in runs), key=lambda other: (-SequenceMatcher(None, name, other).ratio(), other))
    more = f" and {len(near) - SHOWN} more" if len(near) > SHOWN else ""
    names = f"{', '.join(near[:SHOWN])}{more}"
    raise CheckpointError(
        f"{run}: {problem}; expected one of {names} in {root}/, or a path to one; train one with: {train_line({})}"
    )


def find_folder(run: str, root: Path = RUNS) -> Path:
    """The folder of the run that a person named, also of one without a finished epoch or with a damaged checkpoint.

    Args:
        run: a run's folder, a file of it, or the name of a run under `root`.
        root: the folder that runs are kept in.

    Raises:
        CheckpointError: there is none; the message has the nearest names of runs.
    """
    for candidate in (Path(run), root / run):
        folder = candidate.parent if candidate.name in FILES and candidate.is_file() else candidate
        if any((folder / name).is_file() for name in (MODEL, TRAINING, CONFIG)):
            return folder
    file, _ = find_checkpoint(run, root)
    raise CheckpointError(f"{file}: found a file that is not in a run's folder, expected a run")


def runs_in(root: Path) -> list[Path]:
    """The folders of the finished or half-finished runs under `root`, newest first."""
    try:
        files = [(file.stat().st_mtime, file.parent) for file in root.glob(f"*/{MODEL}")]
    except OSError:
        return []
    return [folder for _, folder in sorted(files, reverse=True)]


def has_epochs(folder: Path) -> bool:
    """Whether a folder holds a run with weights: of a finished epoch, or of a step within one after which it was saved."""
    return any((folder / name).exists() for name in (MODEL, TRAINING))


def read_config(path: Path) -> tuple[dict[str, Any], Provenance | None]:
    """The settings in a ``config.json``, unchecked against each other (options on the command line may change them).

    Returns:
        The settings; and the run's provenance, if the file has it.

    Raises:
        UsageError: it cannot be read or is not such a file.
    """
    try:
        values = json.loads(read_file(path, MAX_CONFIG))
        record = values.pop(PROVENANCE, None) if isinstance(values, dict) else None
        provenance = None if record is None else Provenance.from_json(record)
        return Config.from_json(values, provenance.members if provenance else ()).to_json(), provenance
    except OSError as error:
        raise UsageError(f"{{config}}: {reason(error)}; expected the config.json of a run", config=path) from None
    except (ValueError, RecursionError):
        raise UsageError("{config}: found no JSON, expected the config.json of a run", config=path) from None
    except VaecliError as error:
        raise error.reworded(UsageError, before="{config}: ", config=path) from None
