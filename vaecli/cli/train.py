"""``vaecli train``."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from vaecli.cli import console
from vaecli.cli.options import OUTPUT, AsJson, DataDir, Device, Quiet, example, no_stdout, without_effect
from vaecli.cli.settings import settings_as_options
from vaecli.cli.training import train_run
from vaecli.config import Config, merge
from vaecli.errors import CheckpointError, UsageError, printable
from vaecli.provenance import Provenance
from vaecli.runs.find import CONFIG, FILES, RUNS, has_epochs, read_config

HELP = example("vaecli train --latent-dim 3 --objective iwae --k 10")


@settings_as_options
def train(
    context: typer.Context,
    settings: dict[str, Any],
    data_dir: DataDir = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A run's config.json to repeat; other options change it.", show_default=False, rich_help_panel="Training"
        ),
    ] = None,
    device: Device = "auto",
    name: Annotated[
        str | None,
        typer.Option(help="The run's name; made from the settings if not given.", show_default=False, rich_help_panel=OUTPUT),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder that holds runs.", rich_help_panel=OUTPUT, callback=no_stdout)] = RUNS,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run of this name after its last finished epoch; start it if there is none.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run of the same name.", rich_help_panel=OUTPUT)] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train nothing: print encoder and decoder layer by layer.", rich_help_panel=OUTPUT)
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a VAE, keep it as a run, and measure it on the test images."""
    console.set_quiet(quiet)
    made: Provenance | None = None
    given = settings
    if config:
        repeated, made = read_config(config)
        given = merge(repeated, settings)
    chosen = Config(**given)
    if dry_run:
        without_effect(context, "with --dry-run", "data_dir", "device", "name", "out", "resume", "overwrite")
        _print_layers(chosen, as_json)
        return

    from vaecli.runs.start import Start

    same_data = not (data_dir or "dataset" in settings)
    start = Start(chosen, data_dir, made, same_data)
    folder = out / (_checked_name(name) if name is not None else start.run_name)
    if resume and overwrite:
        raise UsageError("--resume with --overwrite: expected only one of them: the one goes on with a run, the other replaces it")
    if has_epochs(folder):
        if not resume and not overwrite:
            raise CheckpointError(
                f"{folder}: found a run there; go on with --resume, train anew with --overwrite, or beside it with --name NAME"
            )
    elif resume and not (folder / CONFIG).exists():
        console.note(f"No run {folder} to go on with yet: starting it")
    results = train_run(folder, start, given if resume else None, device)
    if as_json:
        numbers = {"train_elbo" if name == "elbo" else name: value for name, value in results.items()}
        files = [folder / name for name in FILES if (folder / name).exists()]
        console.result_json("train", [(folder.name, folder)], files, **numbers, settings=read_config(folder / CONFIG)[0])
    else:
        console.result(str(folder))


def _print_layers(chosen: Config, as_json: bool) -> None:
    from vaecli.analysis.architecture import HEADINGS, architecture

    made = architecture(chosen)
    if as_json:
        console.result_json("train", [], [], **made.to_json(), settings=chosen.to_json())
        return
    table = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left", caption_style="")
    for index, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if index >= len(HEADINGS) - 2 else "left", no_wrap=True)
    for row in made.cells():
        table.add_row(*row)
    console.table(table)


def _checked_name(name: str) -> str:
    if not name or name != Path(name).name or name.startswith(".") or len(os.fsencode(name)) > 200 or printable(name) != name:
        raise UsageError(
            f"--name {name[:60]}: expected the name of a folder, of letters that can be printed and without '/', "
            "such as --name first-try"
        )
    return name
