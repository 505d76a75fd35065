"""``vaecli rename``."""

from __future__ import annotations

from typing import Annotated

import typer

from vaecli.cli import console
from vaecli.cli.declare import examples
from vaecli.cli.options import AsJson, Quiet, run_names
from vaecli.errors import UsageError
from vaecli.runs.find import find_folder
from vaecli.runs.rename import rename

HELP = examples("vaecli rename mnist-z2-elbo first-try")
RUN = "A run's folder, or its name under checkpoints/."
NAME = "The new name, of a folder beside it."


def rename_(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help=RUN, show_default=False, autocompletion=run_names)] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help=NAME, show_default=False)] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Rename a run; runs that began with its weights say so of the new name."""
    console.set_quiet(quiet)
    if run is None or name is None:
        raise UsageError("RUN NAME: expected a run and its new name, such as vaecli rename mnist-z2-elbo first-try")
    folder = find_folder(run)
    target, files = rename(folder, name)
    if as_json:
        console.result_json("rename", [(target.name, target)], files, before=str(folder))
        return
    for other in dict.fromkeys(file.parent for file in files):
        console.note(f"{other} began with it, and says so of {target} now")
    console.result(str(target))
