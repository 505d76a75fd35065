"""Renaming a run: its folder, and what other runs say of it. No torch."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from vaecli.errors import CheckpointError, UsageError, VaecliError, reason
from vaecli.files import Parts
from vaecli.provenance import PROVENANCE
from vaecli.reading import read_file
from vaecli.runs.find import CONFIG, MAX_CONFIG, MODEL, RUNS, TRAINING, checked_name, read_config
from vaecli.runs.folder import BusyError, RunFolder
from vaecli.runs.header import read_record, restated
from vaecli.runs.listing import is_run

_ORIGIN = "started_from"


def rename(folder: Path, name: str) -> tuple[Path, list[Path]]:
    """Gives a run another name; runs that began with its weights say so of the new one.

    They are written first: where this is interrupted, the same call goes on. Searches and the report find a run by its settings.

    Args:
        folder: the run's.
        name: the new one, of a folder beside it.

    Returns:
        The new folder, and the files of other runs that were written.

    Raises:
        UsageError: no folder can have that name.
        CheckpointError: the name is taken, or the run or one that began with it is trained now.
        VaecliError: a file cannot be read or written.
    """
    try:
        target = folder.parent / checked_name(name)
    except UsageError:
        raise UsageError(f"{name}: expected the name of a folder, of letters that can be printed and without '/'") from None
    if target.exists() or target.is_symlink():
        raise CheckpointError(f"{target}: found something there; choose another name")
    old, new = (str((place / MODEL).resolve()) for place in (folder, target))
    others = [] if folder.is_symlink() else begun_with(folder)
    with ExitStack() as locks:
        held = [_held(locks, place, folder) for place in (folder, *others)]
        written = [file for other in held[1:] for file in _refer(other, old, new)]
        if sys.platform == "win32":
            held[0].close()  # which opens a file in it
        try:
            folder.rename(target)
        except OSError as error:
            raise VaecliError(f"{folder}: cannot be renamed ({reason(error)})") from None
    return target, written


def begun_with(folder: Path) -> list[Path]:
    """The runs beside a run, and under ``checkpoints/``, that began with its weights, as far as their files can be read."""
    file = str((folder / MODEL).resolve())
    roots = {root.resolve(): root for root in (folder.parent, RUNS) if root.is_dir()}
    runs = [other for root in roots.values() for other in sorted(root.iterdir()) if is_run(other)]
    return [other for other in runs if any(_origin(other / name) == file for name in (CONFIG, MODEL, TRAINING))]


def _origin(file: Path) -> str | None:
    """The file of the run that this one began with, by its ``config.json`` or checkpoint; None where there is none."""
    try:
        provenance = read_config(file)[1] if file.name == CONFIG else read_record(file).provenance
    except VaecliError:
        return None
    return provenance.started_from.file if provenance and provenance.started_from else None


def _held(locks: ExitStack, place: Path, folder: Path) -> RunFolder:
    try:
        held = RunFolder(place, lock=True)
    except BusyError:
        which = "this run" if place == folder else f"this run, which began with {folder.name},"
        raise CheckpointError(f"{place}: another vaecli trains {which} right now; wait for it, or stop it") from None
    locks.callback(held.close)
    return held


def _refer(other: RunFolder, old: str, new: str) -> Iterator[Path]:
    """Writes the files of a run that name `old` as its origin, so that they name `new`; their times stay."""
    for name in (TRAINING, MODEL, CONFIG):
        file = other.path / name
        if _origin(file) == old:
            before = file.stat()
            other.write(name, _settings(file, new) if name == CONFIG else restated(file, _naming(new)))
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
            yield file


def _naming(file: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What gives a record with another file of the run that it began with."""

    def change(record: dict[str, Any]) -> dict[str, Any]:
        provenance = record[PROVENANCE]
        return {**record, PROVENANCE: {**provenance, _ORIGIN: {**provenance[_ORIGIN], "file": file}}}

    return change


def _settings(file: Path, new: str) -> Parts:
    try:
        return [(json.dumps(_naming(new)(json.loads(read_file(file, MAX_CONFIG))), indent=2) + "\n").encode()]
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({reason(error)})") from None
