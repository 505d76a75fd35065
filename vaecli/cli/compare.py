"""``vaecli compare``."""

from __future__ import annotations

from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vaecli.analysis.defaults import COMPARED_IMAGES
from vaecli.cli import console
from vaecli.cli.compare_table import SORTS, cautions, flat, remarks, sort_key
from vaecli.cli.compare_table import table as as_table
from vaecli.cli.options import (
    COMPUTING,
    OUTPUT,
    AsJson,
    DataDir,
    Device,
    Quiet,
    RunNames,
    Split,
    example,
    folder_place,
    names_and_folders,
    open_runs,
    picture_path,
    resolve_device,
    without_effect,
)
from vaecli.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    import torch

    from vaecli.runs.run import Run

HELP = example("vaecli compare mnist-z2-elbo mnist-z3-elbo --sort test_elbo")
TABLE = "Table"


def compare(
    context: typer.Context,
    runs: RunNames = None,
    k: Annotated[
        str, typer.Option(metavar="K,K,...", help="Particles of the bounds L_k in the table; 0 for none.", rich_help_panel=TABLE)
    ] = "50",
    limit: Annotated[
        int | None,
        typer.Option(min=1, max=2_000_000, help="Measure on the first N images only.", show_default=False, rich_help_panel=TABLE),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar=f"[{'|'.join(SORTS)}]",
            help="Best first by this column; as given if not.",
            show_default=False,
            rich_help_panel=TABLE,
        ),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="log p(x) itself, by quadrature over 1 or 2 latents.", rich_help_panel=TABLE)
    ] = False,
    proposal: Annotated[
        Literal["posterior", "mixture"],
        typer.Option(
            help="Where L_k's particles come from: the posterior (the literature's way), or half of them from the prior.",
            rich_help_panel=TABLE,
        ),
    ] = "posterior",
    repeats: Annotated[
        int,
        typer.Option(min=1, max=1000, help="Estimates of each L_k, of L_1 at least 5; their mean is shown.", rich_help_panel=TABLE),
    ] = 1,
    marginal_labels: Annotated[
        bool,
        typer.Option("--marginal-labels", help="Sum a conditional model's label out, and classify by it.", rich_help_panel=TABLE),
    ] = False,
    table_only: Annotated[bool, typer.Option("--table-only", help="Draw no pictures.", rich_help_panel=OUTPUT)] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write the table as compare.csv too.", rich_help_panel=OUTPUT)] = False,
    n: Annotated[int, typer.Option(min=1, max=1000, help="Rows of the pictures.", rich_help_panel=OUTPUT)] = COMPARED_IMAGES,
    split: Split = "test",
    data_dir: DataDir = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=2**63 - 1,
            help="Seed of what the pictures draw at random; the table's draws are always the same.",
            rich_help_panel=COMPUTING,
        ),
    ] = 0,
    device: Device = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the pictures; the first run's if not given.",
            show_default=False,
            rich_help_panel=OUTPUT,
            callback=folder_place,
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure runs and show them side by side: reconstructions, prior samples, loss curves and a table."""
    console.set_quiet(quiet)
    particles = _particles(k)
    key = sort_key(sort, particles) if sort is not None else None
    if table_only:
        without_effect(context, "with --table-only", "n", "seed", *([] if as_csv else ["out"]))
    if not particles:
        without_effect(context, "with --k 0", "repeats", "proposal")
        if not exact:
            without_effect(context, "with --k 0 and without --exact", "marginal_labels")
    if sort == "exact" and not exact:
        raise UsageError("--sort exact without --exact: expected a column of the table; add --exact")

    opened = open_runs(runs)

    from vaecli.analysis.comparison import Row
    from vaecli.evaluation.measure import check_measurable, measure
    from vaecli.files import csv_bytes, write_file

    place = resolve_device(device)
    for run in opened:
        check_measurable(run.model, exact=exact, marginal_labels=marginal_labels)
    named = names_and_folders(opened)
    written: list[Path] = []
    if not table_only:
        written += _draw(opened, n, split, data_dir, seed, place, out)
    rows = []
    for run, (name, _) in zip(opened, named, strict=True):
        images = run.images(split, data_dir)[:limit].to(place)
        with console.bar("%", 100) as bar:
            measured = measure(
                run.model.to(place), images, k=particles, exact=exact, proposal=proposal, repeats=repeats,
                marginal_labels=marginal_labels, on_share=partial(_show, bar, name),
            )  # fmt: skip
        rows.append(Row(run, name, measured))
    table = [row.to_json() for row in rows]
    if key is not None:
        table.sort(key=key)
    if as_csv:
        written.append(picture_path(out, opened[0].path, "compare.csv"))
        write_file(written[-1], csv_bytes([{"run": row["run"], "split": split} | flat(row) for row in table]))
    if as_json:
        console.result_json("compare", named, written, split=split, table=table)
        return
    console.table(as_table(table, particles, split))
    for remark in chain(*map(remarks, table), cautions(opened, marginal_labels)):
        console.note(remark)
    console.files_written(written)


def _particles(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [-1]
    if not all(0 <= number <= 1_000_000 for number in numbers):
        raise UsageError(f"--k {text}: expected whole numbers from 1 with commas between them, such as --k 1,50, or 0 for none")
    return [number for number in numbers if number]


def _show(bar: console.Bar, name: str, share: float, what: str) -> None:
    bar(round(100 * share), f"{name} {what}")


def _draw(
    runs: list[Run], n: int, split: str, data_dir: Path | None, seed: int, place: torch.device, out: Path | None
) -> list[Path]:  # fmt: skip
    """Draws the pictures, and gives their paths."""
    from vaecli.analysis.comparison import loss_curve, show_run
    from vaecli.plotting.panels import save_reconstructions, save_samples
    from vaecli.plotting.plots import save_curves
    from vaecli.runs.run import names_of

    shown, curves = [], []
    for run, name in zip(runs, names_of(runs), strict=True):
        run.model.to(place)
        shown.append(show_run(run, name, run.images(split, data_dir)[:n].to(place), n, seed))
        try:
            curves.append(loss_curve(run, name))
        except CheckpointError as error:
            console.note(f"{error}; its loss curve is left out")
    paths = [picture_path(out, runs[0].path, f"compare-{what}.png") for what in ("reconstructions", "samples")]
    save_reconstructions(paths[0], shown)
    save_samples(paths[1], shown)
    if curves:
        paths.append(picture_path(out, runs[0].path, "compare-losses.png"))
        save_curves(paths[-1], curves)
    return paths
