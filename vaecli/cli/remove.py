"""``vaecli remove``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vaecli.cli import console
from vaecli.cli.declare import OUTPUT, examples, flag_option
from vaecli.cli.list import size_of
from vaecli.cli.options import AsJson, Quiet, run_names
from vaecli.cli.output_paths import OUTPUTS
from vaecli.errors import UsageError, VaecliError
from vaecli.runs.find import find_folder
from vaecli.runs.remove import Removed, own_files, remove
from vaecli.runs.rename import begun_with

HELP = examples("vaecli remove mnist-z2-elbo", "vaecli remove checkpoints/first-* --yes")
RUNS = "Runs' folders, or their names under checkpoints/."


def remove_(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="RUN", help=RUNS, show_default=False, autocompletion=run_names)
    ] = None,
    yes: Annotated[bool, flag_option("--yes", "Do not ask first.", OUTPUT)] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Remove runs: the files that vaecli wrote; others in their folders are left, and named."""
    console.set_quiet(quiet)
    if not runs:
        raise UsageError("RUN: expected the name or the folder of a run to remove; vaecli list has them")
    folders = list({folder.resolve(): folder for folder in map(find_folder, runs)}.values())
    if not yes:
        _ask(folders)
    gone = []
    for folder in folders:
        gone.append(remove(folder, OUTPUTS))
        if not as_json:
            _print(gone[-1])
    if as_json:
        removed = [{"path": str(it.folder), "files": list(map(str, it.files)), "left": list(map(str, it.left))} for it in gone]
        console.result_json("remove", [], [], removed=removed)


def _print(gone: Removed) -> None:
    console.result(str(gone.folder))
    if gone.left:
        console.note(f"{gone.folder} stays: vaecli did not write {', '.join(file.name for file in gone.left)}")


def _ask(folders: list[Path]) -> None:
    """Asks whether to remove these runs.

    Raises:
        UsageError: there is nobody to ask.
        VaecliError: the answer is no.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("--yes: expected it where nobody can be asked whether to remove a run; nothing is removed")
    for folder in folders:
        files = own_files(folder, OUTPUTS)
        others = [other.name for other in begun_with(folder) if other not in folders]
        about = [f"{len(files)} files", size_of(sum(file.lstat().st_size for file in files))]
        about += [f"with whose weights {', '.join(others)} began"] if others else []
        typer.echo(f"{folder}: {', '.join(about)}", err=True)
    if not typer.confirm(f"Remove {'this run' if len(folders) == 1 else f'these {len(folders)} runs'}?", err=True):
        raise VaecliError("nothing is removed")
