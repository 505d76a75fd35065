"""``vaecli report``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaecli.cli import console
from vaecli.cli.options import OUTPUT, AsJson, Device, Quiet, example, folder_place, resolve_device, without_effect
from vaecli.cli.training import train_run
from vaecli.errors import Interrupted, UsageError, VaecliError
from vaecli.report.definitions import FIGURES, Figure

if TYPE_CHECKING:
    from vaecli.config import Config
    from vaecli.report.build import Report, Train
    from vaecli.report.progress import OnStep

HELP = example("vaecli report --only 1,4,13")


def report(
    context: typer.Context,
    only: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="These figures only.", show_default=False, rich_help_panel=OUTPUT)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the page and its pictures; report, or report-quick with --quick, if not given.",
            show_default=False,
            rich_help_panel=OUTPUT,
            callback=folder_place,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Epochs of every run; each figure's own if not given.", show_default=False, rich_help_panel="Training"
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="All of it on a small part of the data, for CI.", rich_help_panel="Training")
    ] = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train what is missing, draw all figures of the report, and write them as one page with what was measured."""
    console.set_quiet(quiet)
    figures = _chosen(only)
    resolve_device(device)
    if only and not any(figure.trains for figure in figures):
        without_effect(context, f"with --only {only}", "epochs", "device")

    from vaecli.report.build import QUICK, build
    from vaecli.report.progress import PARTS

    folder = out or Path("report-quick" if quick else "report")
    change = {**(QUICK if quick else {}), **({"epochs": epochs} if epochs else {})}
    with console.bar(f"of {PARTS} parts", PARTS) as bar:
        made = build(
            folder, figures, change=change, explorer=only is None, quick=quick, device=device, train=_train_on(device), on_part=bar
        )
    if as_json:
        _print_json(made)
    else:
        drawn = f"Drew {len(made.drawn)} of {len(made.figures)} figures; the others were up to date"
        console.note(drawn if made.written else "All is up to date")
        console.result(str(made.page))
    if made.missing:
        raise VaecliError(f"a part of the report is missing: {made.missing[0]}")


def _chosen(only: str | None) -> list[Figure]:
    known = {figure.number for figure in FIGURES}
    try:
        numbers = {int(number) for number in only.split(",")} if only is not None else known
    except ValueError:
        numbers = set()
    if not numbers or not numbers <= known:
        raise UsageError(
            f"--only {only}: expected numbers of figures, 1 to {len(FIGURES)}, with commas between them, such as --only 1,4,13"
        )
    return [figure for figure in FIGURES if figure.number in numbers]


def _train_on(device: str) -> Train:
    from vaecli.runs.start import Start

    def train(config: Config, folder: Path, on_step: OnStep) -> None:
        console.note(f"Training {folder}")
        try:
            train_run(folder, Start(config), config.to_json(), device, lambda: nullcontext(on_step))
        except Interrupted as error:
            raise Interrupted(
                "interrupted: what is trained and drawn is kept; go on with the same line again", error.exit_code - 128
            ) from None

    return train


def _print_json(made: Report) -> None:
    pictures = [picture["path"] for kept in made.figures.values() for picture in kept["pictures"]]
    findings: dict[str, Any] = {str(number): kept["finding"] for number, kept in made.figures.items()}
    console.result_json(
        "report",
        [(folder.name, folder) for folder in made.runs],
        [made.page, made.state, *(made.page.parent / picture for picture in pictures)],
        page=str(made.page),
        drawn=made.drawn,
        figures=findings,
        missing=made.missing,
    )
