"""The options that commands share, and what they have in common before and after their one call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vaecli.cli import console
from vaecli.errors import UsageError, VaecliError
from vaecli.plotting.formats import SUFFIXES
from vaecli.runs.find import RUNS, find_checkpoint, runs_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from vaecli.runs.run import Run

COMPUTING, DATA, OUTPUT = "Computing", "Data", "Output"


def _runs(incomplete: str) -> list[str]:
    return sorted(folder.name for folder in runs_in(RUNS) if folder.name.startswith(incomplete))


def picture_place(out: Path | None) -> Path | None:
    """`out`, if one picture can be written there: a folder, or a file of a known format."""
    formats = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
    if out is not None and str(out) == "-":
        raise UsageError(f"--out -: pictures are not written to stdout; expected a folder, or a file that ends in {formats}")
    if out is not None and out.suffix and out.suffix.lower() not in SUFFIXES and not out.is_dir():
        raise UsageError(f"--out {out}: expected a folder, or a file that ends in {formats}")
    return out


def no_stdout(out: Path | None) -> Path | None:
    """`out`, if it is not the sign for stdout."""
    if out is not None and str(out) == "-":
        raise UsageError("--out -: files are not written to stdout; expected a folder")
    return out


def folder_place(out: Path | None) -> Path | None:
    """`out`, if it can be a folder."""
    no_stdout(out)
    if out is not None and out.suffix and not out.is_dir():
        raise UsageError(f"--out {out}: expected a folder, since several files are written; found a name with a suffix")
    return out


RunName = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run's folder, a checkpoint file, or a name under checkpoints/; the newest run if not given.",
        show_default=False,
        autocompletion=_runs,
    ),
]
RunNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN]...",
        help="Runs' folders, checkpoint files, or names under checkpoints/; the newest run if none is given.",
        show_default=False,
        autocompletion=_runs,
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of what is drawn at random.", rich_help_panel=COMPUTING)]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    typer.Option(help="Where to compute; auto: a GPU if there is one.", rich_help_panel=COMPUTING),
]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder of IDX files to read instead of the data set's own.", show_default=False, rich_help_panel=DATA),
]
Split = Annotated[Literal["test", "train"], typer.Option(help="Which images.", rich_help_panel=DATA)]
Count = Annotated[int, typer.Option(min=1, max=10_000, help="Images, the first of the split.", rich_help_panel=DATA)]
Pictures = Annotated[
    list[Path] | None,
    typer.Option(help="Your own picture instead; may be given again.", show_default=False, rich_help_panel=DATA),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors.", rich_help_panel=OUTPUT)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of paths.", rich_help_panel=OUTPUT)]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder, or .png, .pdf or .svg file, for the picture; the run's folder if not given.",
        show_default=False,
        rich_help_panel=OUTPUT,
        callback=picture_place,
    ),
]


def without_effect(context: typer.Context, when: str, *names: str) -> None:
    """Refuses options that have no effect with the others given.

    Args:
        context: the command's.
        when: what takes their effect away, such as ``with --manifold``.
        names: their parameters' names.

    Raises:
        UsageError: one of them was given.
    """
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise UsageError(f"{options[name]} {when}: it has no effect there; leave it out")


def resolve_device(name: str) -> torch.device:
    """The device called `name`; imports PyTorch."""
    from vaecli import device

    return device.resolve_device(name)


def open_run(run: str | None) -> Run:
    """The checkpoint that a person means; says which, where they named none."""
    path, newest = find_checkpoint(run, RUNS)

    from vaecli.runs.run import read_run

    checkpoint = read_run(path)
    if newest:
        console.note(f"Using the newest run, {checkpoint.path}")
    return checkpoint


def open_runs(runs: list[str] | None) -> list[Run]:
    """The checkpoints that a person means, the newest where they named none."""
    for run in runs or []:
        find_checkpoint(run, RUNS)  # a wrong name is refused before any is opened
    return [open_run(run) for run in runs] if runs else [open_run(None)]


def names_and_folders(runs: Sequence[Run]) -> list[tuple[str, Path]]:
    """The name and the folder of each run, as JSON has them."""
    from vaecli.runs.run import names_of

    return [(name, run.path) for name, run in zip(names_of(runs), runs, strict=True)]


def picture_path(out: Path | None, folder: Path, name: str) -> Path:
    """Where a picture goes: `out` if that is a picture's path, else `name` in the folder `out` or in the run's folder."""
    from vaecli.files import make_folder

    named = out is not None and out.suffix.lower() in SUFFIXES and not out.is_dir()
    path = out if out is not None and named else (out or folder) / name
    if path.is_dir():
        raise VaecliError(f"{path}: found a folder, expected a place for a picture; choose another with --out")
    make_folder(path.parent)
    if path.exists():
        console.note(f"Replacing {path}")
    return path


def example(line: str) -> dict[str, Any]:
    """How a command ends its help: with one line to paste."""
    return {"epilog": f"Example: {line}"}
