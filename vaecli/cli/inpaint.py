"""``vaecli inpaint``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from vaecli.cli import console
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
    example,
    names_and_folders,
    open_run,
    picture_path,
    resolve_device,
    without_effect,
)
from vaecli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

HELP = example("vaecli inpaint --digit 0 --observed top")
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
"""The columns of numbers, as JSON and the table call them."""


def inpaint(
    context: typer.Context,
    run: RunName = None,
    n: Count = 5,
    split: Split = "test",
    digit: Annotated[
        int | None,
        typer.Option(
            "--digit",
            "--label",
            min=0,
            help="Only images with this label; a conditional model is told it.",
            show_default=False,
            rich_help_panel="Data",
        ),
    ] = None,
    image: Pictures = None,
    data_dir: DataDir = None,
    observed: Annotated[
        Literal["top", "bottom", "left", "right"], typer.Option(help="The half that is seen.", rich_help_panel=INFERENCE)
    ] = "top",
    mask: Annotated[
        Path | None,
        typer.Option(
            help="A picture instead of --observed: what is white in it is seen.", show_default=False, rich_help_panel=INFERENCE
        ),
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
        without_effect(context, "with --image", "n", "split")
    if mask:
        without_effect(context, "with --mask", "observed")

    checkpoint = open_run(run)
    if image and not checkpoint.model.conditional:
        without_effect(context, "with --image and a run without labels", "digit")

    from vaecli.analysis.images import choose_images
    from vaecli.analysis.inpainting import inpaint as fill_in
    from vaecli.plotting.panels import save_inpainting

    place = resolve_device(device)
    images = choose_images(checkpoint, split, n, label=digit, pictures=image or (), data_dir=data_dir).to(place)
    seen = _read_mask(mask) if mask else observed
    path = picture_path(out, checkpoint.path, "inpaint.png")
    model, train = checkpoint.model.to(place), checkpoint.images("train", data_dir)
    with console.bar("images", len(images)) as bar:
        filled = fill_in(
            model, images, train, seen=seen, draws=draws, kind=kind, starts=starts, steps=steps, seed=seed, on_image=bar
        )  # fmt: skip
    steps_taken = float(filled.steps.float().mean())
    console.note(f"Inferred the latents of {len(images)} images x {starts + 1} starts in {steps_taken:.0f} steps an image")
    if filled.exact is None:
        console.note("The predictive score, log E_q[p(missing | z)], is no bound on log p(missing | seen), either way")

    save_inpainting(path, filled)
    numbers = filled.numbers()
    mean = {name: float(values.double().mean()) for name, values in numbers.items()}
    rows = [dict(zip(numbers, row, strict=True)) for row in zip(*(values.tolist() for values in numbers.values()), strict=True)]
    unconverged = None if filled.exact is None else int(filled.exact.unconverged.sum())
    if as_json:
        shown = [row | {"label": label} for row, label in zip(rows, images.labels.tolist(), strict=True)]
        counted = {} if unconverged is None else {"unconverged": unconverged}
        console.result_json("inpaint", names_and_folders([checkpoint]), [path], images=shown, mean=mean, **counted)
        return
    console.table(_table(rows, mean))
    if unconverged:
        console.result(f"log p is not exact: {unconverged:,} of {len(images):,} images had not converged on the finest grid")
    console.files_written([path])


def _table(rows: list[dict[str, float]], mean: dict[str, float]) -> Table:
    """The numbers of each image and their means, in nats."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("nats")
    shown = {name: heading for name, heading in HEADINGS.items() if not math.isnan(mean.get(name, math.nan))}
    for heading in shown.values():
        made.add_column(heading, justify="right", no_wrap=True)
    for name, row in [*((f"image {index}", row) for index, row in enumerate(rows, 1)), (f"mean of {len(rows)}", mean)]:
        made.add_row(name, *(f"{row[column]:.2f}" for column in shown))
    return made


def _read_mask(path: Path) -> Tensor:
    """The pixels that are white in a picture, boolean, shape (784,)."""
    from vaecli.data.picture import read_mask

    seen = read_mask(path)
    if seen.all() or not seen.any():
        found = "white" if seen.all() else "black"
        raise UsageError(
            f"--mask {path}: it is {found} all over; expected white where pixels are seen and black where they are missing"
        )
    return seen
