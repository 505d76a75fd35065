"""The options that commands share, and the checks of options that a command makes by itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from vaecli.cli import console
from vaecli.cli.declare import ANNEALING, COMPUTING, DATA, OUTPUT, flag_option, optional
from vaecli.cli.output_paths import check_not_stdout, check_picture_out
from vaecli.errors import UsageError
from vaecli.evaluation.schedule import AIS
from vaecli.reading import is_folder
from vaecli.runs.find import RUNS, runs_in

Number = TypeVar("Number", int, float)


def run_names(incomplete: str) -> list[str]:
    """The names of runs that begin so."""
    return sorted(folder.name for folder in runs_in(RUNS) if folder.name.startswith(incomplete))


RunName = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="A run's folder, a checkpoint file, or a name under checkpoints/; the newest run if not given.",
        show_default=False,
        autocompletion=run_names,
    ),
]
RunNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN",
        help="Runs' folders, checkpoint files, or names under checkpoints/; the newest run if none is given.",
        show_default=False,
        autocompletion=run_names,
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of what is drawn at random.", rich_help_panel=COMPUTING)]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    typer.Option(help="Where to compute; auto: a GPU if there is one.", rich_help_panel=COMPUTING),
]
DataDir = Annotated[
    Path | None,
    optional(
        "Where the images are: a folder of your own pictures or tar shards of them ('{000..127}.tar'), a file of arrays, or the "
        "folder of a data set's files.",
        DATA,
    ),
]
OtherImages = Annotated[
    Path | None, optional("Other images instead of the run's: a folder that --dataset folder can read, or IDX files.", DATA)
]
SPLIT = "Which images; validation: those that each run held out of its training images."
Split = Annotated[Literal["test", "train", "validation"], typer.Option(help=SPLIT, rich_help_panel=DATA)]
Count = Annotated[
    int, typer.Option(min=1, max=10_000, help="Images, the first of the split or of a folder of pictures.", rich_help_panel=DATA)
]
Pictures = Annotated[
    list[Path] | None, optional("Your own picture instead, or a folder with pictures at any depth; may be given again.", DATA)
]
RunsFolder = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder that holds runs.", rich_help_panel=OUTPUT, callback=check_not_stdout)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors.", rich_help_panel=OUTPUT)]
AsJson = Annotated[bool, flag_option("--json", "Print one JSON object instead of paths and tables.", OUTPUT)]
Out = Annotated[
    Path | None,
    optional(
        "Folder, or .png, .pdf or .svg file, for the picture; the run's folder if not given.",
        OUTPUT,
        metavar="PATH",
        callback=check_picture_out,
    ),
]
OutImages = Annotated[
    Path | None,
    optional(
        "Folder, or .png, .pdf or .svg file, for the picture; .npz file with --as npz; the run's folder if not given.",
        OUTPUT,
        metavar="PATH",
    ),
]
ImageFiles = Annotated[
    Literal["png", "npz"] | None,
    optional("Instead of one picture the images as they are: .png files in a folder, or arrays in an .npz file.", OUTPUT, "--as"),
]


AT = AIS()
Temperatures = Annotated[int, typer.Option(min=1, max=100_000, help="Steps from q(z|x) to p(x, z).", rich_help_panel=ANNEALING)]
Chains = Annotated[int, typer.Option(min=1, max=1000, help="Chains per image.", rich_help_panel=ANNEALING)]
Leapfrog = Annotated[int, typer.Option(min=1, max=1000, help="Leapfrog steps at each temperature.", rich_help_panel=ANNEALING)]


def without_effect(context: typer.Context, when: str, *names: str) -> None:
    """Refuses options that have no effect with the others given.

    Args:
        context: the command's.
        when: what takes their effect away, such as ``with --manifold``.
        names: their parameters' names.

    Raises:
        UsageError: one of them was given.
    """
    options = {param.name: "{label=}" if "--label" in param.opts else param.opts[0] for param in context.command.params}
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise UsageError(f"{options[name]} {when}: it has no effect there; leave it out")


def note_fewer(context: typer.Context, found: int, name: str = "n") -> None:
    """Says that there are fewer images than a person asked for; nothing where they took the default.

    Args:
        context: the command's.
        found: how many images there are.
        name: of the parameter that says how many.
    """
    source, wanted = context.get_parameter_source(name), context.params.get(name)
    if source is not None and source.name != "DEFAULT" and wanted is not None and found < wanted:
        option = next(parameter.opts[0] for parameter in context.command.params if parameter.name == name)
        console.note(f"{option} {wanted}: there {'is' if found == 1 else 'are'} only {found:,} image{'s' * (found != 1)}")


def count_of_pictures(context: typer.Context, n: int | None, pictures: list[Path]) -> int | None:
    """How many of the pictures that a person names are read: the first `n` where a folder is among them, else all.

    Raises:
        UsageError: ``--n`` was given, and they are all files.
    """
    if any(map(is_folder, pictures)):
        return n
    without_effect(context, "with --image and no folder", "n")
    return None


def comma_list(text: str, kind: Callable[[str], Number]) -> list[Number]:
    """The numbers in a text that has commas between them; none if it is anything else."""
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        return []
