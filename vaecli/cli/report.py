"""``vaecli report``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaecli.cli import console
from vaecli.cli.declare import OUTPUT, TRAINING, examples, flag_option, optional
from vaecli.cli.options import AsJson, Device, Quiet, comma_list, without_effect
from vaecli.cli.output_paths import check_folder_out
from vaecli.cli.runs import resolve_device
from vaecli.cli.training import train_run
from vaecli.errors import Interrupted, UsageError, VaecliError

if TYPE_CHECKING:
    from vaecli.config import Config
    from vaecli.data import Read
    from vaecli.report.build import OnStep, Train
    from vaecli.report.definitions import Figure

HELP = examples("vaecli report --only 1,4,13")


def report(
    context: typer.Context,
    only: Annotated[str | None, optional("These figures only.", OUTPUT, metavar="N,N,...")] = None,
    out: Annotated[
        Path | None,
        optional(
            "Folder of the page and its pictures; report, or report-quick with --quick, if not given.",
            OUTPUT,
            metavar="DIR",
            callback=check_folder_out,
        ),
    ] = None,
    epochs: Annotated[
        int | None, optional("Epochs of every run; each figure's own if not given. Fewer give no verdict.", TRAINING, min=1)
    ] = None,
    quick: Annotated[bool, flag_option("--quick", "All of it on a small part of the data, for CI.", TRAINING)] = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train what is missing, draw all figures of the report, and write them as one page with what was measured."""
    console.set_quiet(quiet)
    figures = _figures(only)
    resolve_device(device)
    if only and not any(figure.trains for figure in figures):
        without_effect(context, f"with --only {only}", "epochs", "device")

    from vaecli.report.build import PARTS, QUICK, build

    folder = out or Path("report-quick" if quick else "report")
    change = {**(QUICK if quick else {}), **({"epochs": epochs} if epochs else {})}
    with console.bar("%", PARTS) as bar:
        built = build(
            folder, figures, change=change, explorer=only is None, quick=quick, device=device, train=_train_on(device), on_part=bar
        )
    if as_json:
        console.result_json("report", [(run.name, run) for run in built.runs], built.files, **built.to_json())
    else:
        drawn = f"Drew {len(built.drawn)} of {len(built.figures)} figures; the others were up to date"
        console.note(drawn if built.written else "All is up to date")
        console.result(str(built.page))
    if built.missing:
        raise VaecliError(f"a part of the report is missing: {built.missing[0]}")


def _figures(only: str | None) -> list[Figure]:
    """The figures in ``--only``; all of them without it."""
    from vaecli.report.figures import FIGURES

    numbers = [figure.number for figure in FIGURES] if only is None else comma_list(only, int)
    if not numbers or not {figure.number for figure in FIGURES}.issuperset(numbers):
        raise UsageError(
            f"--only {only}: expected numbers of figures, 1 to {len(FIGURES)}, with commas between them, such as --only 1,4,13"
        )
    return [figure for figure in FIGURES if figure.number in numbers]


def _train_on(device: str) -> Train:
    """Training as `vaecli.cli.training` does it, on this device, for the report."""
    from vaecli.runs.start import Start

    def train(config: Config, folder: Path, on_step: OnStep, read: Read) -> None:
        console.note(f"Training {folder}")
        try:
            train_run(folder, Start(config, read=read), config.to_json(), device, lambda: nullcontext(on_step))
        except Interrupted as error:
            raise Interrupted(
                "interrupted: what is trained and drawn is kept; go on with the same line again", error.exit_code - 128
            ) from None

    return train
