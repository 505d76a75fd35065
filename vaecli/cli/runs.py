"""The runs and the device that a command's options name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vaecli.cli import console
from vaecli.runs.find import RUNS, find_checkpoint, standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from vaecli.runs.run import Run


def resolve_device(name: str) -> torch.device:
    """The device called `name`; imports PyTorch, and sets this process up for it."""
    from vaecli import device, threads

    threads.flush_denormals()
    return device.resolve_device(name)


def open_run(run: str | None) -> Run:
    """The run that a person named; the newest if they named none, with a note that says which."""
    path, newest = find_checkpoint(run, RUNS)

    from vaecli.runs.run import read_run
    from vaecli.threads import flush_denormals

    flush_denormals()
    opened = read_run(path)
    if newest:
        console.note(f"Using the newest run, {opened.path}")
    if "step" in opened.results:
        console.note(f"{opened.path} has not been trained to its end: its weights are those after {standing(opened.results)}")
    for member in opened.changed_members:
        console.note(f"{opened.path} was trained with another version of the {member.family} {member.name}, of {member.source}")
    return opened


def open_runs(runs: list[str] | None) -> list[Run]:
    """The runs that a person named; the newest if they named none."""
    for run in runs or []:
        find_checkpoint(run, RUNS)  # a wrong name is refused before any is opened
    return [open_run(run) for run in runs] if runs else [open_run(None)]


def names_and_folders(runs: Sequence[Run]) -> list[tuple[str, Path]]:
    """The name and the folder of each run, as JSON has them."""
    from vaecli.runs.run import names_of

    return [(name, run.path) for name, run in zip(names_of(runs), runs, strict=True)]
