"""``vaecli compare``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vaecli import torchrun
from vaecli.analysis.defaults import COMPARED_IMAGES
from vaecli.cli import compare_table, console
from vaecli.cli.declare import COMPUTING, OUTPUT, example, flag_option, optional
from vaecli.cli.options import AsJson, DataDir, Device, Quiet, RunNames, Split, comma_list, note_fewer, without_effect
from vaecli.cli.output_paths import check_folder_out, picture_path
from vaecli.cli.reading import reader
from vaecli.cli.runs import names_and_folders, open_runs, resolve_device
from vaecli.errors import CheckpointError, UsageError
from vaecli.evaluation.schedule import AIS

if TYPE_CHECKING:
    from vaecli.data.images import Images
    from vaecli.runs.run import Run

HELP = example("vaecli compare mnist-z2-elbo mnist-z3-elbo --sort test_elbo")
TABLE, ANNEALING = "Table", "Annealing"
AT = AIS()
SORTS = f"[{'|'.join(compare_table.SORTS)}]"
PROPOSAL = "Where L_k's particles come from: the posterior (the literature's way), or half of them from the prior."
BDMC = "Certify that schedule: bound log p(x) of images drawn from the model from both sides."
PER_IMAGE = "Each image's numbers too: compare-images.csv with --csv, lists with --json."
REPEATS = "Estimates of each L_k, of L_1 at least 5; their mean is shown."
SAMPLES = "Samples from the prior in the pictures; as many as --n if not given; more than 10 in a square grid."
SEED = "Seed of what the pictures draw at random; the table's draws are always the same."


def compare(
    context: typer.Context,
    runs: RunNames = None,
    k: Annotated[
        str, typer.Option(metavar="K,K,...", help="Particles of the bounds L_k in the table; 0 for none.", rich_help_panel=TABLE)
    ] = "50",
    limit: Annotated[int | None, optional("Measure on the first N images only.", TABLE, min=1, max=2_000_000)] = None,
    sort: Annotated[str | None, optional("Best first by this column; as given if not.", TABLE, metavar=SORTS)] = None,
    exact: Annotated[bool, flag_option("--exact", "log p(x) itself, by quadrature over 1 or 2 latents.", TABLE)] = False,
    proposal: Annotated[Literal["posterior", "mixture"], typer.Option(help=PROPOSAL, rich_help_panel=TABLE)] = "posterior",
    repeats: Annotated[int, typer.Option(min=1, max=1000, help=REPEATS, rich_help_panel=TABLE)] = 1,
    marginal_labels: Annotated[
        bool, flag_option("--marginal-labels", "Sum a conditional model's label out, and classify by it.", TABLE)
    ] = False,
    ais: Annotated[bool, flag_option("--ais", "A bound closer than L_k, by annealed importance sampling.", ANNEALING)] = False,
    ais_temperatures: Annotated[
        int, typer.Option(min=1, max=100_000, help="Steps from q(z|x) to p(x, z).", rich_help_panel=ANNEALING)
    ] = AT.temperatures,
    ais_chains: Annotated[int, typer.Option(min=1, max=1000, help="Chains per image.", rich_help_panel=ANNEALING)] = AT.chains,
    ais_leapfrog: Annotated[
        int, typer.Option(min=1, max=1000, help="Leapfrog steps at each temperature.", rich_help_panel=ANNEALING)
    ] = AT.leapfrog,
    bdmc: Annotated[bool, flag_option("--bdmc", BDMC, ANNEALING)] = False,
    bdmc_images: Annotated[
        int, typer.Option(min=1, max=100_000, help="Images drawn from the model for --bdmc.", rich_help_panel=ANNEALING)
    ] = 50,
    table_only: Annotated[bool, flag_option("--table-only", "Draw no pictures.", OUTPUT)] = False,
    as_csv: Annotated[bool, flag_option("--csv", "Write the table as compare.csv too.", OUTPUT)] = False,
    per_image: Annotated[bool, flag_option("--per-image", PER_IMAGE, OUTPUT)] = False,
    n: Annotated[
        int, typer.Option(min=1, max=1000, help="Images reconstructed in the pictures.", rich_help_panel=OUTPUT)
    ] = COMPARED_IMAGES,
    samples: Annotated[int | None, optional(SAMPLES, OUTPUT, min=1, max=1000)] = None,
    split: Split = "test",
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help=SEED, rich_help_panel=COMPUTING)] = 0,
    device: Device = "auto",
    out: Annotated[
        Path | None, optional("Folder for the pictures; the first run's if not given.", OUTPUT, callback=check_folder_out)
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure runs and show them side by side: reconstructions, prior samples, loss curves and a table."""
    console.set_quiet(quiet)
    particles = _particles(k)
    key = _sort_key(sort, particles, exact, ais)
    _refuse_without_effect(context)
    opened = open_runs(runs)

    from vaecli.analysis.comparison import Row
    from vaecli.evaluation.measure import check_measurable, measure
    from vaecli.files import csv_bytes, write_file

    torch_device, read = resolve_device(device), reader()
    for run in opened:
        check_measurable(run.model, exact=exact, marginal_labels=marginal_labels)
        run.model.to(torch_device)
    named = names_and_folders(opened)
    names = [name for name, _ in named]
    here, files = torchrun.rank(), list[Path]()

    def draw() -> None:
        originals = (run.images(split, data_dir, read)[:n].to(torch_device) for run in opened)
        files.extend(_draw(opened, names, originals, n, samples, seed, out))

    note_fewer(context, len(opened[0].images(split, data_dir, read)), "limit")
    note_fewer(context, len(opened[0].images(split, data_dir, read)))
    if not table_only and here.size == 1:
        draw()
    rows = []
    for run, name in zip(opened, names, strict=True):
        images = run.images(split, data_dir, read)[:limit].to(torch_device)
        with console.bar("%", 100) as bar:
            measured = measure(
                run.model, images, k=particles, exact=exact, proposal=proposal, repeats=repeats,
                marginal_labels=marginal_labels, ais=ais and AIS(ais_temperatures, ais_chains, ais_leapfrog),
                bdmc=bdmc_images if bdmc else 0, on_share=partial(_show, bar, name),
            )  # fmt: skip
        rows.append(Row(run, name, measured))
    if not here.is_main:
        return
    if not table_only and here.size > 1:
        draw()  # last, so that no other process waits for it
    if key is not None:
        rows.sort(key=lambda row: key(row.to_json()))
    table = [row.to_json(per_image) for row in rows]
    if as_csv:
        tables = {"compare.csv": [{"run": row.name, "split": split} | row.to_csv() for row in rows]}
        if per_image:
            tables["compare-images.csv"] = list(chain.from_iterable(row.per_image() for row in rows))
        for file, lines in tables.items():
            files.append(picture_path(out, opened[0].path, file))
            write_file(files[-1], csv_bytes(lines))
    if as_json:
        console.result_json("compare", named, files, split=split, table=table)
        return
    console.table(compare_table.table(table, particles, split))
    for remark in chain(*map(compare_table.remarks, table), compare_table.cautions(rows, marginal_labels)):
        console.note(remark)
    console.print_paths(files)


def _refuse_without_effect(context: typer.Context) -> None:
    """Refuses options that have no effect with the others given."""
    given = context.params
    if given["table_only"]:
        without_effect(context, "with --table-only", "n", "samples", "seed", *([] if given["as_csv"] else ["out"]))
    if not _particles(given["k"]):
        without_effect(context, "with --k 0", "repeats", "proposal")
        if not given["exact"] and not given["ais"]:
            without_effect(context, "with --k 0 and without --exact and --ais", "marginal_labels")
    if not given["ais"]:
        without_effect(context, "without --ais", "ais_temperatures", "ais_chains", "ais_leapfrog", "bdmc")
    if not given["bdmc"]:
        without_effect(context, "without --bdmc", "bdmc_images")
    if not given["as_csv"] and not given["as_json"]:
        without_effect(context, "without --csv and --json", "per_image")


def _draw(
    runs: Sequence[Run], names: Sequence[str], images: Iterable[Images], n: int, samples: int | None, seed: int, out: Path | None
) -> list[Path]:
    """Draws reconstructions, samples and loss curves of runs side by side, and gives the paths of the pictures.

    Args:
        runs: with their models on the device of `images`.
        names: of the runs, all distinct.
        images: the images that each run reconstructs.
        n: how many of them.
        samples: how many are drawn from the prior; `n` if not given.
        seed: of latents and pixels drawn at random.
        out: the folder of the pictures; that of the first run if not given.
    """
    from vaecli.analysis.comparison import loss_curve, show_run
    from vaecli.plotting.panels import save_reconstructions, save_samples
    from vaecli.plotting.plots import save_curves

    shown, curves = [], []
    for run, name, originals in zip(runs, names, images, strict=True):
        shown.append(show_run(run, name, originals, n, seed, samples))
        try:
            curves.append(loss_curve(run, name))
        except CheckpointError as error:
            console.note(f"{error}; its loss curve is left out")
    paths = [picture_path(out, runs[0].path, f"compare-{kind}.png") for kind in ("reconstructions", "samples")]
    save_reconstructions(paths[0], shown)
    save_samples(paths[1], shown)
    if curves:
        paths.append(picture_path(out, runs[0].path, "compare-losses.png"))
        save_curves(paths[-1], curves)
    return paths


def _sort_key(sort: str | None, particles: list[int], exact: bool, ais: bool) -> Callable[[dict[str, Any]], Any] | None:
    key = None if sort is None else compare_table.sort_key(sort, particles)
    if (sort == "exact" and not exact) or (sort == "ais" and not ais):
        raise UsageError(f"--sort {sort} without --{sort}: expected a column of the table; add --{sort}")
    return key


def _particles(text: str) -> list[int]:
    """The numbers of particles in ``--k``; none for 0."""
    numbers = comma_list(text, int)
    if not numbers or not all(0 <= number <= 1_000_000 for number in numbers):
        raise UsageError(f"--k {text}: expected whole numbers from 1 with commas between them, such as --k 1,50, or 0 for none")
    return [number for number in numbers if number]


def _show(bar: console.Bar, name: str, share: float, part: str) -> None:
    bar(round(100 * share), f"{name} {part}")
