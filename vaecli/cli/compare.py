"""``vaecli compare``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from vaecli import torchrun
from vaecli.analysis.defaults import COMPARED_IMAGES
from vaecli.cli import compare_table, console
from vaecli.cli.declare import ANNEALING, COMPUTING, OUTPUT, TABLE, examples, flag_option, optional
from vaecli.cli.options import (
    AT,
    AsJson,
    Chains,
    DataDir,
    Device,
    Leapfrog,
    Quiet,
    RunNames,
    Split,
    Temperatures,
    comma_list,
    note_fewer,
    without_effect,
)
from vaecli.cli.output_paths import check_folder_out, picture_path
from vaecli.cli.reading import reader
from vaecli.cli.runs import names_and_folders, open_runs, resolve_device
from vaecli.cli.tables import print_table
from vaecli.errors import CheckpointError, UsageError, either
from vaecli.evaluation.schedule import AIS
from vaecli.registry import unknown

if TYPE_CHECKING:
    from torch import Tensor

    from vaecli.analysis.comparison import Row
    from vaecli.analysis.differences import Difference
    from vaecli.data import Images
    from vaecli.data.images import Take
    from vaecli.runs.run import Run

HELP = examples(
    "vaecli compare mnist-z2-elbo mnist-z3-elbo --sort test_elbo",
    "vaecli compare baseline --exact --table-only",
    "vaecli compare iwae50 iwae5 --k 50,5000 --by L_5000 --limit 1000",
)
EVERYDAY = ("k", "limit", "by", "sort", "exact", "table_only", "as_csv", "out")
SORT = f"Best first by this column; as given if not: {either(compare_table.SORTS)}."
PROPOSAL = "Where L_k's particles come from: the posterior (the literature's way), or half of them from the prior."
BDMC = "Certify that schedule: bound log p(x) of images drawn from the model from both sides."
PER_IMAGE = "Each image's numbers too: compare-images.csv with --csv, lists with --json."
BY = "Differences from the first run of the table by this number, with errors over images and seeds."
REPEATS = "Estimates of each L_k, of L_1 at least 5; their mean is shown."
SAMPLES = "Samples from the prior in the pictures; as many as --n if not given; more than 10 in a square grid."
SEED = "Seed of what the pictures draw at random; the table's draws are always the same."


def compare(
    context: typer.Context,
    runs: RunNames = None,
    k: Annotated[
        str, typer.Option(metavar="K,K,...", help="Particles of the bounds L_k in the table; 0 for none.", rich_help_panel=TABLE)
    ] = "50",
    limit: Annotated[int | None, optional("Measure on N images, drawn by a fixed seed.", TABLE, min=1, max=2_000_000)] = None,
    by: Annotated[str | None, optional(BY, TABLE, metavar="elbo|L_K|exact|ais")] = None,
    sort: Annotated[str | None, optional(SORT, TABLE, metavar="COLUMN")] = None,
    exact: Annotated[bool, flag_option("--exact", "log p(x) itself, by quadrature over 1 or 2 latents.", TABLE)] = False,
    proposal: Annotated[Literal["posterior", "mixture"], typer.Option(help=PROPOSAL, rich_help_panel=TABLE)] = "posterior",
    repeats: Annotated[int, typer.Option(min=1, max=1000, help=REPEATS, rich_help_panel=TABLE)] = 1,
    marginal_labels: Annotated[
        bool, flag_option("--marginal-labels", "Sum a conditional model's label out, and classify by it.", TABLE)
    ] = False,
    ais: Annotated[bool, flag_option("--ais", "A bound closer than L_k, by annealed importance sampling.", ANNEALING)] = False,
    ais_temperatures: Temperatures = AT.temperatures,
    ais_chains: Chains = AT.chains,
    ais_leapfrog: Leapfrog = AT.leapfrog,
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
        Path | None,
        optional("Folder for the pictures; the first run's if not given.", OUTPUT, metavar="DIR", callback=check_folder_out),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure runs and show them side by side: reconstructions, prior samples, loss curves and a table."""
    console.set_quiet(quiet)
    particles = _particles(k)
    key = _sort_key(sort, particles, exact, ais)
    _check_by(by, particles, exact, ais)
    _refuse_without_effect(context)
    opened = open_runs(runs)

    from vaecli.analysis.comparison import Row
    from vaecli.analysis.differences import differences
    from vaecli.data.images import first
    from vaecli.evaluation.measure import check_measurable, measure

    torch_device, read = resolve_device(device), reader()
    for run in opened:
        check_measurable(run.model, exact=exact, marginal_labels=marginal_labels)
        run.model.to(torch_device)
    named = names_and_folders(opened)
    names = [name for name, _ in named]
    here, files = torchrun.rank(), list[Path]()
    chosen = _samples(opened, names, lambda run, take: run.images(split, data_dir, read, take), limit, by)

    def draw() -> None:
        originals = (run.images(split, data_dir, read, first(n)).to(torch_device) for run in opened)
        files.extend(_draw(opened, names, originals, n, samples, seed, out))

    note_fewer(context, chosen[0].total, "limit")
    note_fewer(context, chosen[0].total)
    if not table_only and here.size == 1:
        draw()
    rows = []
    for run, name, sample in zip(opened, names, chosen, strict=True):
        with console.bar("%", 1, name) as bar:
            measured = measure(
                run.model, sample.images.to(torch_device), k=particles, exact=exact, proposal=proposal, repeats=repeats,
                marginal_labels=marginal_labels, ais=ais and AIS(ais_temperatures, ais_chains, ais_leapfrog),
                bdmc=bdmc_images if bdmc else 0, on_share=partial(_show, bar, name),
            )  # fmt: skip
        rows.append(Row(run, name, measured, sample.positions, sample.total))
    if not here.is_main:
        return
    if not table_only and here.size > 1:
        draw()  # last, so that no other process waits for it
    if key is not None:
        rows.sort(key=lambda row: key(row.to_json()))
    apart = differences(rows, by) if by is not None else []
    if apart and not table_only:
        files.append(_draw_differences(picture_path(out, opened[0].path, "compare-differences.png"), apart, split))
    if as_csv:
        files.extend(_write_tables(rows, apart, split, per_image, partial(picture_path, out, opened[0].path)))
    table = [row.to_json(per_image) for row in rows]
    if as_json:
        more = {"differences": [difference.to_json() for difference in apart]} if apart else {}
        console.result_json("compare", named, files, split=split, table=table, **more)
        return
    print_table(compare_table.table(table, particles, split))
    if apart:
        print_table(compare_table.differences_table(apart))
    remarks = chain(*map(compare_table.remarks, table), compare_table.cautions(rows, marginal_labels))
    for remark in chain(remarks, compare_table.about_differences(rows, apart)):
        console.note(remark)
    console.print_paths(files)


class _Sample(NamedTuple):
    """The images that a run is measured on, their positions in the split, and how many that has."""

    images: Images
    positions: Tensor
    total: int


def _samples(
    runs: Sequence[Run], names: Sequence[str], images: Callable[[Run, Take], Images], limit: int | None, by: str | None
) -> list[_Sample]:
    """The images that each run is measured on; the same pixels where runs are compared by a number."""
    from vaecli.analysis.differences import check_differences
    from vaecli.data.images import sampled
    from vaecli.model import observed_images

    samples = []
    for run in runs:
        taken: list[tuple[Tensor, int]] = []

        def take(labels: Tensor, taken: list[tuple[Tensor, int]] = taken) -> Tensor:
            taken.append((sampled(len(labels), limit), len(labels)))
            return taken[-1][0]

        samples.append(_Sample(images(run, take), *taken[-1]))
    if by is not None:
        seen = (observed_images(sample.images, run.model.binarize) for run, sample in zip(runs, samples, strict=True))
        check_differences(runs, names, [images.digest for images in seen])
    return samples


def _draw_differences(path: Path, apart: Sequence[Difference], split: str) -> Path:
    from vaecli.plotting.difference_plot import save_differences

    save_differences(path, apart, split)
    return path


def _write_tables(
    rows: Sequence[Row], apart: Sequence[Difference], split: str, per_image: bool, place: Callable[[str], Path]
) -> list[Path]:
    """Writes the tables as .csv files, and gives their paths."""
    from vaecli.files import csv_bytes, write_file

    tables = {"compare.csv": [{"run": row.name, "split": split} | row.to_csv() for row in rows]}
    if apart:
        tables["compare-differences.csv"] = [compare_table.flat(difference.to_json()) for difference in apart]
    if per_image:
        tables["compare-images.csv"] = list(chain.from_iterable(row.per_image() for row in rows))
    files = [place(file) for file in tables]
    for file, lines in zip(files, tables.values(), strict=True):
        write_file(file, csv_bytes(lines))
    return files


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


def _check_by(by: str | None, particles: list[int], exact: bool, ais: bool) -> None:
    """Refuses a number to compare by that is not in the table.

    Raises:
        UsageError: it is not; the message says what brings it there.
    """
    numbers = ["elbo", *(f"L_{k}" for k in particles), *["exact"] * exact, *["ais"] * ais]
    if by is None or by in numbers:
        return
    missing = f"--{by}" if by in ("exact", "ais") else f"--k {by[2:]}" if by[:2] == "L_" and by[2:].isdecimal() else ""
    if missing:
        raise UsageError(f"--by {by}: expected a number in the table; add {missing}")
    raise UsageError(unknown(f"--by {by}", by, numbers))


def _particles(text: str) -> list[int]:
    """The numbers of particles in ``--k``; none for 0."""
    numbers = comma_list(text, int)
    if not numbers or not all(0 <= number <= 1_000_000 for number in numbers):
        raise UsageError(f"--k {text}: expected whole numbers from 1 with commas between them, such as --k 1,50, or 0 for none")
    return [number for number in numbers if number]


def _show(bar: console.Bar, name: str, share: float, part: str) -> None:
    bar(share, f"{name} {part}")
