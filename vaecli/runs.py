"""Run directories: what their files are called, where they are, and their log. No torch, so that a wrong name is told at once."""

import csv
import io
import shlex
from difflib import SequenceMatcher
from pathlib import Path

from vaecli.errors import CheckpointError

MODEL, TRAINING, CONFIG, LOSS = "model.safetensors", "training.safetensors", "config.json", "loss.csv"
FILES = (MODEL, TRAINING, CONFIG, LOSS)

SHOWN = 5
"""How many names of runs an error has."""

_FIRST = "make a first one in about ten seconds with: vaecli train --limit 5000 --epochs 2"

MAX_LOG = 500_000_000
"""Bytes of a log that are read: more than the most epochs allowed have."""


def read_log(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's ``loss.csv``, by column.

    Raises:
        CheckpointError: it is missing or not such a file.
    """
    file = folder / LOSS
    try:
        with file.open("rb") as handle:
            text = handle.read(MAX_LOG)
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({error.strerror})") from None
    return [{name: float(value) for name, value in row.items()} for row in rows_of(text, file)]


def rows_of(text: bytes, file: Path) -> list[dict[str, str]]:
    """The rows of a loss log, by column; every value is the text of a number.

    Raises:
        CheckpointError: it is no such log; the message names `file`.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(text.decode("ascii"))))
        for row in rows:
            for value in row.values():
                float(value)
    except (ValueError, TypeError, csv.Error):
        raise CheckpointError(f"{file}: found no table of numbers, expected the log that train wrote") from None
    if not rows or not {"epoch", "loss", "test_elbo", "seconds"} <= rows[0].keys():
        raise CheckpointError(f"{file}: lacks the columns of a loss log, expected the log that train wrote")
    return rows


def find_checkpoint(run: str | None, root: Path) -> tuple[Path, bool]:
    """The checkpoint that a person means.

    Args:
        run: a run's folder, a checkpoint file, or the name of a run under `root`; None for the newest run there.
        root: the folder that runs are kept in.

    Returns:
        The path of the ``model.safetensors``, and whether it was chosen because it is the newest.

    Raises:
        CheckpointError: there is none; the message has the runs whose names are nearest, or a line that makes a first one.
    """
    runs = runs_in(root)
    if run is None:
        if not runs:
            raise CheckpointError(f"{root}/: found no run with a finished epoch; {_FIRST}")
        return runs[0] / MODEL, True
    candidates = Path(run), root / run
    for candidate in candidates:
        if candidate.is_file():
            return candidate, False
        if (candidate / MODEL).is_file():
            return candidate / MODEL, False
    for candidate in candidates:
        if (candidate / CONFIG).is_file():
            raise CheckpointError(f"{run}: no epoch of this run is finished; go on with: {resume_command(candidate, root)}")
    found = "no checkpoint in that folder" if Path(run).is_dir() else "no such run"
    if not runs:
        raise CheckpointError(f"{run}: {found}, and {root}/ has none yet; {_FIRST}")
    name = Path(run).name
    near = sorted((each.name for each in runs), key=lambda each: (-SequenceMatcher(None, name, each).ratio(), each))
    more = f" and {len(near) - SHOWN} more" if len(near) > SHOWN else ""
    names = f"{', '.join(near[:SHOWN])}{more}"
    raise CheckpointError(f"{run}: {found}; expected one of {names} in {root}/, or a path to one; train one with: vaecli train")


def resume_command(folder: Path, root: Path) -> str:
    """The line that goes on training the run in `folder`; `root` is where runs are kept if no option says otherwise."""
    place = folder if folder.name not in ("", "..") else folder.resolve()
    where = [] if place.parent == root else ["--out", str(place.parent)]
    return shlex.join(["vaecli", "train", "--name", place.name, "--resume", *where])


def runs_in(root: Path) -> list[Path]:
    """The folders of the finished or half-finished runs under `root`, newest first."""
    try:
        files = [(file.stat().st_mtime, file.parent) for file in root.glob(f"*/{MODEL}")]
    except OSError:
        return []
    return [folder for _, folder in sorted(files, reverse=True)]
