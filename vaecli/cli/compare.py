"""``vaecli compare``."""

from __future__ import annotations

from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaecli.cli import console
from vaecli.cli.compare_table import SORTS, cautions, flat, remarks, sort_key, table
from vaecli.cli.options import (
    COMPUTING,
    OUTPUT,
    AsJson,
    DataDir,
    Device,
    Quiet,
    Runs,
    Split,
    check_device,
    check_split,
    example,
    folder_place,
    names_and_folders,
    open_runs,
    picture_path,
    run_names,
    without_effect,
)
from vaecli.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    import torch

    from vaecli.evaluation.measure import Wanted
    from vaecli.runs.checkpoint import Checkpoint

HELP = example("vaecli compare mnist-z2-elbo mnist-z3-elbo --sort test_elbo")
TABLE = "Table"


def compare(
    context: typer.Context,
    runs: Runs = None,
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
        str,
        typer.Option(
            metavar="[posterior|mixture]",
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
    n: Annotated[int, typer.Option(min=1, max=1000, help="Rows of the pictures.", rich_help_panel=OUTPUT)] = 5,
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
    check_split(split)
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

    checkpoints = open_runs(runs)

    from vaecli.evaluation.measure import Wanted
    from vaecli.runs.files import csv_bytes, write_file

    wanted = Wanted(tuple(particles), proposal, repeats, exact, marginal_labels)
    where = check_device(device)
    for each in checkpoints:
        wanted.check(each.model)
    names = run_names(checkpoints)
    written: list[Path] = []
    folder = checkpoints[0].folder
    if not table_only:
        written += _draw(checkpoints, names, n, split, data_dir, seed, where, out, folder)
    rows = _measure(checkpoints, names, wanted, split, data_dir, limit, where)
    if key is not None:
        rows.sort(key=key)
    if as_csv:
        written.append(picture_path(out, folder, "compare.csv"))
        write_file(written[-1], csv_bytes([{"run": row["run"], "split": split} | flat(row) for row in rows]))
    if as_json:
        console.result_json("compare", names_and_folders(checkpoints), written, split=split, table=rows)
        return
    console.table(table(rows, particles, split))
    for remark in chain(*map(remarks, rows), cautions(checkpoints, marginal_labels)):
        console.note(remark)
    console.files_written(written)


def _particles(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [-1]
    if not all(0 <= each <= 1_000_000 for each in numbers):
        raise UsageError(f"--k {text}: expected whole numbers from 1 with commas between them, such as --k 1,50, or 0 for none")
    return [each for each in numbers if each]


def _measure(
    checkpoints: list[Checkpoint], names: list[str], wanted: Wanted, split: str, data_dir: Path | None, limit: int | None,
    where: torch.device,
) -> list[dict[str, Any]]:  # fmt: skip
    from vaecli.evaluation.measure import measure
    from vaecli.runs.find import read_log

    rows = []
    for checkpoint, name in zip(checkpoints, names, strict=True):
        images = checkpoint.images(split, data_dir)[:limit].to(where)
        with console.bar(100, "%") as show:
            measured = measure(checkpoint.model.to(where), images, wanted, partial(_tell, show, name))
        try:
            seconds: float | None = round(sum(row["seconds"] for row in read_log(checkpoint.folder)), 1)
        except CheckpointError:
            seconds = None
        rows.append(
            {
                "run": name,
                "epochs": checkpoint.results.get("epoch"),
                **measured.to_json(),
                "parameters": sum(each.numel() for each in checkpoint.model.parameters()),
                "seconds": seconds,
                "settings": checkpoint.config.to_json(),
                **({"diverged_epoch": checkpoint.results["diverged_epoch"]} if "diverged_epoch" in checkpoint.results else {}),
            }
        )
    return rows


def _tell(show: console.Bar, name: str, share: float, what: str) -> None:
    show(round(100 * share), f"{name} {what}")


def _draw(
    checkpoints: list[Checkpoint], names: list[str], n: int, split: str, data_dir: Path | None, seed: int, where: torch.device,
    out: Path | None, folder: Path,
) -> list[Path]:  # fmt: skip
    import torch

    from vaecli.plotting.grids import Panel, save_panels
    from vaecli.plotting.plots import save_curves
    from vaecli.runs.find import read_log
    from vaecli.seeding import generator

    reconstructions, samples, curves = [], [], []
    drawn_for = None
    for checkpoint, name in zip(checkpoints, names, strict=True):
        config, model = checkpoint.config, checkpoint.model.to(where)
        images = checkpoint.images(split, data_dir)[:n].to(where)
        noise = generator(where, "compare", seed)
        with torch.inference_mode():
            x, y = model.observe(images.pixels, noise), model.condition(images.labels)
            shown = model.likelihood(model.posterior(x, y).rsample(generator=noise), y)
            # labels in turn, so that runs with labels show each; the same latents for all runs of one size
            z = model.prior.rsample((n,), generator(where, "compare samples", seed))
            sampled = model.likelihood(z, model.condition(torch.arange(n, device=where) % len(images.class_names)))
        if drawn_for != (config.dataset, config.binarize, config.likelihood):
            drawn_for = (config.dataset, config.binarize, config.likelihood)
            reconstructions.append(Panel("\noriginal", x, 1))
        pairs = [torch.stack((each.mean, each.sample(generator=noise)), 1).flatten(0, 1) for each in (shown, sampled)]
        reconstructions.append(Panel(f"{name}\nmean, draw", pairs[0], 2))
        by_row = "mean, draw; 0, 1, ... by row" if model.conditional else "mean, draw"
        samples.append(Panel(f"{name}\n{by_row}", pairs[1], 2))
        try:
            log = read_log(checkpoint.folder)
        except CheckpointError as error:
            console.note(f"{error}; its loss curve is left out")
            continue
        curves.append((name, [int(row["epoch"]) for row in log], [row["loss"] for row in log], [-row["test_elbo"] for row in log]))
    paths = [picture_path(out, folder, f"compare-{what}.png") for what in ("reconstructions", "samples")]
    save_panels(paths[0], [reconstructions])
    save_panels(paths[1], [samples])
    if curves:
        paths.append(picture_path(out, folder, "compare-losses.png"))
        save_curves(paths[-1], curves)
    return paths
