"""``vaecli inpaint``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from vaecli.cli import console
from vaecli.cli.options import (
    AsJson,
    DataDir,
    Device,
    Out,
    Quiet,
    Run,
    Seed,
    Split,
    check_device,
    check_split,
    example,
    names_and_folders,
    open_run,
    picture_path,
    without_effect,
)
from vaecli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from vaecli.analysis.inpainting import Inference
    from vaecli.data import Images
    from vaecli.model import VAE

HELP = example("vaecli inpaint --digit 0 --observed top")
OBSERVED = ("top", "bottom", "left", "right")
KINDS = ("mean", "draw")
INFERENCE = "Inference"
HIDDEN_GREY = 0.35
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
    run: Run = None,
    n: Annotated[int, typer.Option(min=1, max=10_000, help="Images, the first of the split.", rich_help_panel="Data")] = 5,
    split: Split = "test",
    digit: Annotated[
        int | None,
        typer.Option(
            min=0, help="Only images with this label; a conditional model is told it.", show_default=False, rich_help_panel="Data"
        ),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(help="Your own picture instead; may be given again.", show_default=False, rich_help_panel="Data"),
    ] = None,
    data_dir: DataDir = None,
    observed: Annotated[
        str,
        typer.Option(metavar=f"[{'|'.join(OBSERVED)}]", help="The half that is seen.", rich_help_panel=INFERENCE),
    ] = "top",
    mask: Annotated[
        Path | None,
        typer.Option(
            help="A picture instead of --observed: what is white in it is seen.", show_default=False, rich_help_panel=INFERENCE
        ),
    ] = None,
    draws: Annotated[int, typer.Option(min=1, max=100, help="Completions of each image.", rich_help_panel=INFERENCE)] = 3,
    kind: Annotated[
        str, typer.Option(metavar="[mean|draw]", help="Fill with the pixels' means or with draws.", rich_help_panel=INFERENCE)
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
    check_split(split)
    if observed not in OBSERVED:
        raise UsageError(f"--observed {observed}: expected one of {', '.join(OBSERVED)}")
    if kind not in KINDS:
        raise UsageError(f"--kind {kind}: expected one of {', '.join(KINDS)}")

    if image:
        without_effect(context, "with --image", "n", "split")
    if mask:
        without_effect(context, "with --mask", "observed")

    checkpoint = open_run(run)
    if image and not checkpoint.model.conditional:
        without_effect(context, "with --image and a run without labels", "digit")
    where = check_device(device)

    import torch

    from vaecli.analysis.inpainting import complete, infer
    from vaecli.cli.images import choose_images
    from vaecli.plotting.grids import save_panels, side_by_side
    from vaecli.seeding import generator

    model = checkpoint.model.to(where)
    images = choose_images(checkpoint, split, n, digit, image, data_dir).to(where)
    seen = (_read_mask(mask) if mask else _half(observed)).to(where)
    path = picture_path(out, checkpoint.folder, "inpaint.png")
    labels = images.labels
    x = torch.stack([model.observe(each, generator(where, "inpaint", seed, i, "pixels")) for i, each in enumerate(images.pixels)])
    train = checkpoint.images("train", data_dir).to(where)
    with console.bar(len(x), "images") as bar:
        inferred = infer(model, x, labels, seen, model.mean_image(train), seed, starts, steps, bar)
    steps_taken = float(inferred.steps.float().mean())
    console.note(f"Inferred the latents of {len(x)} images x {starts + 1} starts in {steps_taken:.0f} steps an image")

    numbers, unconverged = _measure(model, train, x, labels, seen, inferred)
    rows = [dict(zip(numbers, values, strict=True)) for values in zip(*(each.tolist() for each in numbers.values()), strict=True)]
    mean = {name: float(each.double().mean()) for name, each in numbers.items()}

    filled, average = complete(model, labels, inferred.posterior, seed, draws, kind)
    columns = [("original", x), ("seen", torch.where(seen, x, HIDDEN_GREY))]
    columns += [(f"fill {index + 1}", torch.where(seen, x, each)) for index, each in enumerate(filled)]
    columns += [("mean of fills", torch.where(seen, x, average))]
    save_panels(path, side_by_side(columns))
    if as_json:
        shown = [row | {"label": label} for row, label in zip(rows, labels.tolist(), strict=True)]
        counted = {} if unconverged is None else {"unconverged": unconverged}
        console.result_json("inpaint", names_and_folders([checkpoint]), [path], images=shown, mean=mean, **counted)
        return
    console.table(_table(rows, mean))
    if unconverged:
        console.result(f"log p is not exact: {unconverged:,} of {len(x):,} images had not converged on the finest grid")
    console.files_written([path])


def _measure(
    model: VAE, train: Images, x: Tensor, labels: Tensor, seen: Tensor, inferred: Inference
) -> tuple[dict[str, Tensor], int | None]:
    """Each number of all images, and how many images' exact ones had not converged; None where none are exact."""
    from vaecli.analysis.inpainting import mean_image_scores
    from vaecli.evaluation.quadrature import exact_log_prob_of_parts, grid_covers

    numbers = {"predictive_score": inferred.score, "bound_log_p_seen": inferred.bound}
    numbers["mean_image"], numbers["mean_image_of_label"] = mean_image_scores(model, train, x, labels, ~seen)
    if not grid_covers(model):
        console.note("The predictive score, log E_q[p(missing | z)], is no bound on log p(missing | seen), either way")
        return numbers, None
    exact = exact_log_prob_of_parts(model, x, labels, seen, inferred.posterior)
    numbers["log_p_seen"], numbers["log_p_missing"], whole = exact.log_prob
    numbers["log_p_missing_given_seen"] = whole - numbers["log_p_seen"]
    return numbers, int(exact.unconverged.sum())


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


def _half(observed: str) -> Tensor:
    """The pixels seen, boolean, shape (784,)."""
    import torch

    from vaecli.data import SIDE

    page = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    first = slice(0, SIDE // 2) if observed in ("top", "left") else slice(SIDE // 2, SIDE)
    if observed in ("top", "bottom"):
        page[first] = True
    else:
        page[:, first] = True
    return page.flatten()


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
