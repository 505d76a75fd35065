"""Removing a run: the files that vaecli wrote, and the folder if nothing else is in it. No torch."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vaecli.errors import CheckpointError, VaecliError, reason
from vaecli.files import PART
from vaecli.runs.find import CONFIG, FILES, PICTURES
from vaecli.runs.folder import BusyError, RunFolder


@dataclass(frozen=True)
class Removed:
    """What is gone of a run.

    Attributes:
        folder: the run's.
        files: that were removed.
        left: what is in the folder still, since vaecli did not write it; the folder is gone where there is nothing.
    """

    folder: Path
    files: list[Path]
    left: list[Path]


def own_files(folder: Path, outputs: Sequence[str] = ()) -> list[Path]:
    """The files of a run that vaecli wrote; ``config.json``, by which a folder is a run's, is the last.

    Args:
        folder: the run's.
        outputs: patterns of further files, such as ``sample.png`` or ``samples/mean-*.png``.
    """
    names = [*outputs, *(f".{name}-*{PART}" for name in (*FILES, PICTURES)), *FILES, PICTURES]
    found = {file: None for name in names for file in sorted(folder.glob(name)) if file.is_file() or file.is_symlink()}
    return sorted(found, key=lambda file: file == folder / CONFIG)


def remove(folder: Path, outputs: Sequence[str] = ()) -> Removed:
    """Removes a run; the arguments are those of `own_files`.

    Raises:
        CheckpointError: it is trained now, or its folder is a link.
        VaecliError: a file cannot be removed.
    """
    if folder.is_symlink():
        raise CheckpointError(f"{folder}: found a link to {folder.resolve()}, expected the run's own folder; name that one")
    try:
        held = RunFolder(folder, lock=True)
    except BusyError:
        raise CheckpointError(f"{folder}: another vaecli trains this run right now; stop it, or wait for it") from None
    files = own_files(folder, outputs)
    try:
        for file in files:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise VaecliError(f"{error.filename}: cannot be removed ({reason(error)})") from None
    finally:
        held.close()
    for place in (*{file.parent: None for file in files if file.parent != folder}, folder):
        with suppress(OSError):  # not empty
            place.rmdir()
    return Removed(folder, files, sorted(folder.iterdir()) if folder.is_dir() else [])
