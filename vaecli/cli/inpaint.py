"""``vaecli inpaint``."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vaecli.cli import console
from vaecli.cli.declare import INFERENCE, examples, flag_option, label_option, optional
from vaecli.cli.options import (
    AsJson,
    Count,
    DataDir,
    Device,
    Out,
    Pictures,
    Quiet,
    RunName,
    Seed,
    Split,
    count_of_pictures,
    note_fewer,
    without_effect,
)
from vaecli.cli.output_paths import picture_path
from vaecli.cli.reading import listener, reader
from vaecli.cli.runs import names_and_folders, open_run, resolve_device
from vaecli.cli.tables import Table, print_table

if TYPE_CHECKING:
    from vaecli.analysis.inpainting import Inpainting

HELP = examples(
    "vaecli inpaint --label 0 --observed top", "vaecli inpaint --image FILE --mask MASK.png", "vaecli inpaint iwae50 --n 3 --ais"
)
EVERYDAY = ("n", "digit", "image", "observed", "mask", "draws", "kind", "out")

HEADINGS = {
    "log_p_missing_given_seen": "log p(missing | seen)",
    "ais_log_p_missing_given_seen": "log p(missing | seen) by AIS",
    "predictive_score": "predictive score",
    "log_p_missing": "log p(missing)",
    "mean_image": "mean image",
    "mean_image_of_label": "mean image of label",
    "log_p_seen": "log p(seen)",
    "bound_log_p_seen": "bound on log p(seen)",
}
"""The columns of numbers, by their names in JSON."""


def inpaint(
    context: typer.Context,
    run: RunName = None,
    n: Count = 5,
    split: Split = "test",
    digit: Annotated[
        str | None, label_option("Only images with this label, a name or a number, which a conditional model sees.")
    ] = None,
    image: Pictures = None,
    data_dir: DataDir = None,
    observed: Annotated[
        Literal["top", "bottom", "left", "right"], typer.Option(help="The half that is seen.", rich_help_panel=INFERENCE)
    ] = "top",
    mask: Annotated[
        Path | None, optional("A picture instead of --observed: what is white in it is seen.", INFERENCE, metavar="FILE")
    ] = None,
    draws: Annotated[int, typer.Option(min=1, max=100, help="Completions of each image.", rich_help_panel=INFERENCE)] = 3,
    kind: Annotated[
        Literal["mean", "draw"], typer.Option(help="Fill with the pixels' means or with draws.", rich_help_panel=INFERENCE)
    ] = "mean",
    starts: Annotated[
        int,
        typer.Option(
            min=1,
            max=1000,
            help="Above two latents: starts from the best of 1,000 prior draws, beside one at the encoder's mean.",
            rich_help_panel=INFERENCE,
        ),
    ] = 8,
    steps: Annotated[
        int,
        typer.Option(
            min=1, max=1_000_000, help="Above two latents: gradient steps for each image at the most.", rich_help_panel=INFERENCE
        ),
    ] = 2000,
    ais: Annotated[
        bool, flag_option("--ais", "Above two latents: log p(missing | seen) by annealed importance sampling too.", INFERENCE)
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    out: Out = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Fill in the missing half of images: find the latents of what is seen, then decode them."""
    console.set_quiet(quiet)
    if image:
        without_effect(context, "with --image", "split")
    count = count_of_pictures(context, n, image) if image else n
    if mask:
        without_effect(context, "with --mask", "observed")
    opened = open_run(run)
    if image and not opened.model.conditional:
        without_effect(context, "with --image and a run without labels", "digit")

    from vaecli.analysis.images import choose_images
    from vaecli.analysis.inpainting import has_exact_posterior
    from vaecli.analysis.inpainting import inpaint as fill_in
    from vaecli.analysis.masks import white_pixels
    from vaecli.plotting.panels import save_inpainting

    if has_exact_posterior(opened.model):
        without_effect(context, "with one or two latents, whose posterior is integrated over", "starts", "steps", "ais")
    torch_device, read = resolve_device(device), reader()
    images = choose_images(
        opened, split, count, label=digit, pictures=image or (), data_dir=data_dir, read=read, listen=listener()
    ).to(torch_device)
    note_fewer(context, len(images))
    given = white_pixels(mask, opened.config.image_shape) if mask else observed
    path = picture_path(out, opened.path, "inpaint.png")
    model, train = opened.model.to(torch_device), opened.images("train", data_dir, read)
    with console.bar("images", len(images)) as bar:
        filled = fill_in(
            model, images, train, observed=given, draws=draws, kind=kind, starts=starts, steps=steps, ais=ais, seed=seed,
            on_image=bar,
        )  # fmt: skip
    for note in _notes(filled, starts):
        console.note(note)

    save_inpainting(path, filled)
    if as_json:
        console.result_json("inpaint", names_and_folders([opened]), [path], **_json(filled, images.labels.tolist()))
        return
    print_table(_table(filled))
    if filled.unconverged:
        console.result(f"log p is not exact: {filled.unconverged:,} of {len(images):,} images had not converged on the finest grid")
    console.print_paths([path])


def _notes(filled: "Inpainting", starts: int) -> Iterator[str]:
    """How the latents were found, and what the numbers are."""
    count = len(filled.x)
    if filled.exact:
        yield f"Integrated over the latents of {count} images, on grids of up to {filled.exact.side:,} points per side"
    if filled.scores:
        steps = float(filled.scores.steps.float().mean())
        yield f"Inferred the latents of {count} images x {starts + 1} starts in {steps:.0f} steps per image"
        yield "The predictive score, log E_q[p(missing | z)], is no bound on log p(missing | seen), either way"
        yield "± is the Monte Carlo error"
    if filled.annealed:
        schedule, acceptance = filled.annealed.schedule, float(filled.annealed.acceptance.mean())
        yield (
            f"AIS (temperatures {schedule.temperatures}, chains {schedule.chains}, leapfrog {schedule.leapfrog}): "
            f"{100 * acceptance:.0f} % of moves accepted; its log p(missing | seen) is the difference of two lower bounds in "
            "expectation, and no bound"
        )


def _json(filled: "Inpainting", labels: Sequence[int]) -> dict[str, Any]:
    """The fields of JSON that docs/json.md lists."""
    images = [row | {"label": label} for row, label in zip(filled.rows(), labels, strict=True)]
    found: dict[str, Any] = {"images": images, "mean": filled.means()}
    if errors := filled.errors_of_means():
        found["monte_carlo_error"] = errors
        found["images"] = [row | {"monte_carlo_error": error} for row, error in zip(images, filled.error_rows(), strict=True)]
    if filled.annealed:
        acceptance = filled.annealed.acceptance.tolist()
        found["images"] = [row | {"acceptance_ais": share} for row, share in zip(found["images"], acceptance, strict=True)]
        found["annealing"] = asdict(filled.annealed.schedule) | {"acceptance": float(filled.annealed.acceptance.mean())}
    return found if filled.unconverged is None else found | {"unconverged": filled.unconverged}


def _table(filled: "Inpainting") -> Table:
    """The numbers of each image and their means, in nats, with Monte Carlo errors; columns without a mean are left out."""
    rows, means = filled.rows(), filled.means()
    names = [f"image {index}" for index in range(1, len(rows) + 1)] + [f"mean of {len(rows)}"]
    headings = {name: heading for name, heading in HEADINGS.items() if not math.isnan(means.get(name, math.nan))}
    images = Table.of(["nats"], headings.values())
    for name, row, errors in zip(names, [*rows, means], [*filled.error_rows(), filled.errors_of_means()], strict=True):
        images.add_row(name, *(f"{row[column]:.2f}" + _error(errors.get(column)) for column in headings))
    return images


def _error(error: float | None) -> str:
    return "" if error is None else f" ±{error:.2f}"
