"""``vaecli score``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaecli import registry
from vaecli.analysis.defaults import LIKELY_SHOWN, particles_of
from vaecli.cli import console
from vaecli.cli.compare_table import with_error
from vaecli.cli.declare import DATA, OUTPUT, TABLE, examples, flag_option, label_option, optional
from vaecli.cli.options import (
    AT,
    AsJson,
    Chains,
    Device,
    Leapfrog,
    OtherImages,
    Pictures,
    Quiet,
    RunName,
    Split,
    Temperatures,
    note_fewer,
    without_effect,
)
from vaecli.cli.output_paths import check_folder_out, picture_path
from vaecli.cli.reading import listener, reader
from vaecli.cli.runs import names_and_folders, open_run, resolve_device
from vaecli.cli.tables import Table, print_table
from vaecli.errors import UsageError
from vaecli.evaluation.schedule import AIS

if TYPE_CHECKING:
    from torch import Tensor

    from vaecli.analysis.scores import Auroc, Scores
    from vaecli.data import Images
    from vaecli.runs.run import Run

HELP = examples("vaecli score", "vaecli score --image PICTURES --against mnist", "vaecli score iwae50 --limit 500 --by ais")
EVERYDAY = ("by", "against", "limit", "split", "digit", "image", "data_dir", "out")
BY = "The bound on log p(x): L_K with K particles, or ais, closer and many times as slow."
AGAINST = "Other images, to measure how well the likelihood tells them apart (AUROC): a data set's name, or your own pictures."
MARGINAL = "Sum a conditional model's label out."


def score(
    context: typer.Context,
    run: RunName = None,
    by: Annotated[str, typer.Option(metavar="L_K|ais", help=BY, rich_help_panel=TABLE)] = "L_50",
    against: Annotated[str | None, optional(AGAINST, TABLE, metavar="DATASET|PATH")] = None,
    limit: Annotated[
        int | None, optional("Score N images of a split or data set, drawn by a fixed seed.", DATA, min=1, max=2_000_000)
    ] = None,
    split: Split = "test",
    digit: Annotated[str | None, label_option("With --image: the label of your pictures, a name or a number.")] = None,
    image: Pictures = None,
    marginal_labels: Annotated[bool, flag_option("--marginal-labels", MARGINAL, DATA)] = False,
    data_dir: OtherImages = None,
    ais_temperatures: Temperatures = AT.temperatures,
    ais_chains: Chains = AT.chains,
    ais_leapfrog: Leapfrog = AT.leapfrog,
    device: Device = "auto",
    out: Annotated[
        Path | None,
        optional("Folder for table and picture; the run's if not given.", OUTPUT, metavar="DIR", callback=check_folder_out),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Score images by their log p(x), to find outliers: a table, and a picture of the least and the most likely."""
    console.set_quiet(quiet)
    if by != "ais":
        particles_of(by)
        without_effect(context, "without --by ais", "ais_temperatures", "ais_chains", "ais_leapfrog")
    if image:
        without_effect(context, "with --image", "split", "data_dir", *([] if _is_dataset(against) else ["limit"]))
    else:
        without_effect(context, "without --image", "digit")
    _check_against(against)
    opened = open_run(run)
    if not opened.model.conditional:
        without_effect(context, "with a run without labels", "digit", "marginal_labels")

    from vaecli.analysis.scores import auroc
    from vaecli.analysis.scores import score as scores_of
    from vaecli.files import csv_bytes, write_file
    from vaecli.plotting.panels import save_extremes

    torch_device = resolve_device(device)
    opened.model.to(torch_device)
    sets = [_images(context, opened, split, limit, image, digit, data_dir)]
    if against is not None:
        sets.append(_others(opened, against, limit))
    files = [picture_path(out, opened.path, name) for name in ("scores.csv", "scores.png")]
    scored = []
    for title, images in sets:
        there = images.to(torch_device)
        with console.bar("images", len(images)) as bar:
            scores = scores_of(
                opened.model, there, by=AIS(ais_temperatures, ais_chains, ais_leapfrog) if by == "ais" else by,
                marginal_labels=marginal_labels, on_image=partial(bar, description=title),
            )  # fmt: skip
        scored.append((title, there, scores))
    found = [(title, scores) for title, _, scores in scored]
    write_file(files[0], csv_bytes([{"set": title, "by": by} | row for title, scores in found for row in scores.rows()]))
    save_extremes(files[1], scored, opened.model)
    area = auroc(found[0][1], found[1][1]) if against is not None else None
    if as_json:
        rows = [{"set": title} | row for title, scores in found for row in scores.rows()]
        more: dict[str, Any] = {} if area is None else {"auroc": {"value": area.value, "standard_error": area.standard_error}}
        console.result_json("score", names_and_folders([opened]), files, by=by, images=rows, **more)
        return
    print_table(_table(found))
    if area is not None:
        console.result(_sentence(area, found))
    for remark in _remarks(opened, found, by, marginal_labels):
        console.note(remark)
    console.print_paths(files)


def _is_dataset(name: str | None) -> bool:
    """Whether a data set that brings its own images is called so."""
    return name in registry.names("dataset") and not registry.find("dataset", name).own_labels


def _check_against(against: str | None) -> None:
    """Refuses what is neither a data set's name nor a path.

    Raises:
        UsageError: it is neither.
    """
    if against is not None and not _is_dataset(against) and not Path(against).exists():
        names = [name for name in registry.names("dataset") if _is_dataset(name)]
        subject = f"--against {against}: no such picture or folder"
        raise UsageError(registry.unknown(subject, against, names))


def _images(
    context: typer.Context, run: Run, split: str, limit: int | None, pictures: list[Path] | None, label: str | None,
    data_dir: Path | None,
) -> tuple[str, Images]:  # fmt: skip
    """The images to score, and what they are called."""
    from vaecli.analysis.encoding import split_or_other
    from vaecli.analysis.images import choose_images
    from vaecli.data.images import sampled

    if pictures:
        return "own pictures", choose_images(run, label=label, pictures=pictures, listen=listener())
    taken: list[Tensor] = []

    def take(labels: Tensor) -> Tensor:
        taken.append(sampled(len(labels), limit))
        return taken[-1]

    images, own = split_or_other(run, split, data_dir, reader(), take)
    if not own:
        console.note(f"{data_dir}: other {split} images than those of the run {run.name}")
    note_fewer(context, len(images), "limit")
    return f"{run.config.dataset} {split}", _numbered(images, taken[-1])


def _others(run: Run, against: str, limit: int | None) -> tuple[str, Images]:
    """The images that these are held against, and what they are called."""
    from vaecli.analysis.encoding import with_labels_of
    from vaecli.analysis.images import choose_images
    from vaecli.data import load_images
    from vaecli.data.images import sampled

    if not _is_dataset(against):
        return against, choose_images(run, pictures=[Path(against)], listen=listener())
    shape = run.config.image_shape
    images = load_images(against, "test", image_size=shape.height).coloured(shape.channels)
    positions = sampled(len(images), limit)
    images = _numbered(images[positions], positions)
    return f"{against} test", with_labels_of(run, images) if run.model.conditional else images


def _numbered(images: Images, positions: Tensor) -> Images:
    """The images with their positions in the split as names, where they are not files of their own."""
    return images if images.names else replace(images, names=tuple(map(str, positions.tolist())))


def _table(found: list[tuple[str, Scores]]) -> Table:
    """The least and the most likely images of each set."""
    scores = found[0][1]
    discrete, tailed = scores.dimensions is not None, not scores.k_hat.isnan().any()
    table = Table.of(["images", "name", "label"], ["rank", f"-{scores.heading}"] + ["bits/dim"] * discrete + ["k-hat"] * tailed)
    for title, scores in found:
        rows = scores.rows()
        least, most = scores.extremes(LIKELY_SHOWN)
        for place in (*least, *reversed(most)):
            row = rows[place]
            cells = [f"{row['rank']:,} of {len(rows):,}", with_error(-row["log_p"], row["monte_carlo_error"])]
            cells += [f"{row['bits_per_dim']:.3f}"] if discrete else []
            cells += [f"{row['k_hat']:.2f}"] if tailed else []
            table.add_row(title, row["name"], row["label_name"], *cells)
    return table


def _sentence(area: Auroc, found: list[tuple[str, Scores]]) -> str:
    """An area under the curve in words, and which side is the likely one."""
    (first, scores), (second, _) = found
    error = "" if area.standard_error is None else f" ±{area.standard_error:.4f}"
    words = f"of {first} and {second} images drawn at random the former is the likelier in {100 * area.value:.1f} % of pairs"
    failed = area.standard_error is not None and area.value + 2 * area.standard_error < 0.5
    return f"AUROC by {scores.heading}: {area.value:.4f}{error}: {words}" + (
        f"; the model finds {second} the more likely, and its likelihood does not find them as outliers" if failed else ""
    )


def _remarks(run: Run, found: list[tuple[str, Scores]], by: str, marginal_labels: bool) -> list[str]:
    """What the numbers leave out, in sentences."""
    from vaecli.data.images import UNKNOWN

    sentences = []
    for title, scores in found:
        if scores.untrusted:
            sentences.append(
                f"{title}: k-hat is above 0.7 for {100 * scores.untrusted:.0f} % of the images: there -{by} is an upper bound, not "
                "an estimate of -log p(x), and its Monte Carlo error is too small; --by ais comes closer"
            )
    if not run.model.pixel_likelihood.discrete:
        sentences.append("The log of a density may be positive, and so the numbers negative; a density has no bits/dim.")
    if run.model.conditional and not marginal_labels:
        unknown = sum(int((scores.label == UNKNOWN).sum()) for _, scores in found)
        total = sum(len(scores) for _, scores in found)
        if 0 < unknown < total:
            sentences.append(
                f"{unknown:,} of {total:,} images have no label the run knows: scored on log p(x) of unknown label, the others on "
                "log p(x | y), which are not comparable; --marginal-labels sums the label out of all"
            )
    return sentences
