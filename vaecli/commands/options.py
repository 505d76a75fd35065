"""The options that commands share, and what they have in common before and after their one call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaecli import console
from vaecli.errors import UsageError, VaecliError
from vaecli.runs import find_checkpoint, runs_in

if TYPE_CHECKING:
    import torch

    from vaecli.checkpoint import Checkpoint

RUNS = Path("checkpoints")
DEVICES = ("auto", "cpu", "cuda", "mps")
COMPUTING, DATA, OUTPUT = "Computing", "Data", "Output"


def _runs(incomplete: str) -> list[str]:
    return sorted(folder.name for folder in runs_in(RUNS) if folder.name.startswith(incomplete))


def _devices(incomplete: str) -> list[str]:
    return [name for name in DEVICES if name.startswith(incomplete)]


Run = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run's folder, a checkpoint file, or a name under checkpoints/; the newest run if not given.",
        show_default=False,
        autocompletion=_runs,
    ),
]
Runs = Annotated[
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
    str,
    typer.Option(
        metavar="[auto|cpu|cuda|mps]",
        help="Where to compute; auto: a GPU if there is one.",
        autocompletion=_devices,
        rich_help_panel=COMPUTING,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder of IDX files to read instead of the data set's own.", show_default=False, rich_help_panel=DATA),
]
Split = Annotated[str, typer.Option(metavar="[test|train]", help="Which images.", rich_help_panel=DATA)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors.", rich_help_panel=OUTPUT)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of paths.", rich_help_panel=OUTPUT)]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder, or .png file, for the picture; the run's folder if not given.", show_default=False, rich_help_panel=OUTPUT
    ),
]


def check_device(name: str) -> torch.device:
    """The device called `name`, ready for a command's work."""
    if name not in DEVICES:
        raise UsageError(f"--device {name}: expected one of {', '.join(DEVICES)}")

    from vaecli.device import find_device, make_ready

    make_ready()
    return find_device(name)


def check_split(name: str) -> str:
    """`name`, if it is a split."""
    if name not in ("train", "test"):
        raise UsageError(f"--split {name}: expected train or test")
    return name


def open_run(run: str | None) -> Checkpoint:
    """The checkpoint that a person means; says which, where they named none."""
    path, newest = find_checkpoint(run, RUNS)

    from vaecli.checkpoint import load_checkpoint
    from vaecli.device import make_ready

    make_ready()
    checkpoint = load_checkpoint(path)
    if newest:
        console.note(f"Using the newest run, {checkpoint.folder}")
    return checkpoint


def open_runs(runs: list[str] | None) -> list[Checkpoint]:
    """The checkpoints that a person means, the newest where they named none."""
    for run in runs or []:
        find_checkpoint(run, RUNS)  # a wrong name is told before any is opened
    return [open_run(run) for run in runs] if runs else [open_run(None)]


def run_names(checkpoints: list[Checkpoint]) -> list[str]:
    """A name for each, told apart by their folders where two runs are called the same."""
    names = [each.name for each in checkpoints]
    return [name if names.count(name) == 1 else str(each.folder) for name, each in zip(names, checkpoints, strict=True)]


def picture_path(out: Path | None, folder: Path, name: str) -> Path:
    """Where a picture goes: `out` if that is a .png path, else `name` in the folder `out` or in the run's folder."""
    from vaecli.files import make_folder

    path = out if out is not None and out.suffix.lower() == ".png" else (out or folder) / name
    if path.is_dir():
        raise VaecliError(f"{path}: found a folder, expected a place for a picture; choose another with --out")
    make_folder(path.parent)
    if path.exists():
        console.note(f"Replacing {path}")
    return path


def example(line: str) -> dict[str, Any]:
    """How a command ends its help: with one line to paste."""
    return {"epilog": f"Example: {line}"}
