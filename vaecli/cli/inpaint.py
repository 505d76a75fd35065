"""``vaecli inpaint``."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from vaecli.cli import console
from vaecli.cli.declare import example, label_option, optional
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

HELP = example("vaecli inpaint --label 0 --observed top")
INFERENCE = "Inference"

HEADINGS = {
    "log_p_missing_given_seen": "log p(missing | seen)",
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
    mask: Annotated[Path | None, optional("A picture instead of --observed: what is white in it is seen.", INFERENCE)] = None,
    draws: Annotated[int, typer.Option(min=1, max=100, help="Completions of each image.", rich_help_panel=INFERENCE)] = 3,
    kind: Annotated[
        Literal["mean", "draw"], typer.Option(help="Fill with the pixels' means or with draws.", rich_help_panel=INFERENCE)
    ] = "mean",
    starts: Annotated[
        int,
        typer.Option(
            min=1,
            max=1000,
            help="Starts from the best of 1,000 prior draws, beside one at the encoder's mean; the best is kept.",
            rich_help_panel=INFERENCE,
        ),
    ] = 8,
    steps: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Gradient steps for each image at the most.", rich_help_panel=INFERENCE)
    ] = 2000,
    seed: Seed = 0,
    device: Device = "auto",
    out: Out = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Fill in the missing half of images: infer the latents from what is seen, then decode them."""
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
    from vaecli.analysis.inpainting import inpaint as fill_in
    from vaecli.analysis.masks import white_pixels
    from vaecli.plotting.panels import save_inpainting

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
            model, images, train, observed=given, draws=draws, kind=kind, starts=starts, steps=steps, seed=seed, on_image=bar
        )  # fmt: skip
    steps_taken = float(filled.steps.float().mean())
    console.note(f"Inferred the latents of {len(images)} images x {starts + 1} starts in {steps_taken:.0f} steps per image")
    if filled.exact is None:
        console.note("The predictive score, log E_q[p(missing | z)], is no bound on log p(missing | seen), either way")

    save_inpainting(path, filled)
    rows, means = filled.rows(), filled.means()
    if as_json:
        labelled = [row | {"label": label} for row, label in zip(rows, images.labels.tolist(), strict=True)]
        exact = {} if filled.unconverged is None else {"unconverged": filled.unconverged}
        console.result_json("inpaint", names_and_folders([opened]), [path], images=labelled, mean=means, **exact)
        return
    console.table(_table(rows, means))
    if filled.unconverged:
        console.result(f"log p is not exact: {filled.unconverged:,} of {len(images):,} images had not converged on the finest grid")
    console.print_paths([path])


def _table(rows: Sequence[Mapping[str, float]], means: Mapping[str, float]) -> Table:
    """The numbers of each image and their means, in nats; columns without a mean are left out."""
    headings = {name: heading for name, heading in HEADINGS.items() if not math.isnan(means.get(name, math.nan))}
    images = console.new_table(["nats"], headings.values())
    for name, row in [*((f"image {index}", row) for index, row in enumerate(rows, 1)), (f"mean of {len(rows)}", means)]:
        images.add_row(name, *(f"{row[column]:.2f}" for column in headings))
    return images
