"""``vaecli inpaint``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaecli import console
from vaecli.commands.options import (
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

HELP = example("vaecli inpaint --digit 0 --observed top")
OBSERVED = ("top", "bottom", "left", "right")
KINDS = ("mean", "draw")
INFERENCE = "Inference"
HIDDEN_GREY = 0.35


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
    starts: Annotated[int, typer.Option(min=1, max=1000, help="Random starts; the best is kept.", rich_help_panel=INFERENCE)] = 8,
    steps: Annotated[int, typer.Option(min=1, max=1_000_000, help="Gradient steps at the most.", rich_help_panel=INFERENCE)] = 2000,
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

    from vaecli.commands.images import choose_images
    from vaecli.figures.grids import save_panels, side_by_side
    from vaecli.inpainting import infer, log_missing
    from vaecli.seeding import generator

    model = checkpoint.model.to(where)
    images = choose_images(checkpoint, split, n, digit, image, data_dir).to(where)
    seen = (_read_mask(mask) if mask else _half(observed)).to(where)
    path = picture_path(out, checkpoint.folder, "inpaint.png")
    noise = generator(where, "inpaint", seed)
    x, y = model.observe(images.pixels, noise), model.condition(images.labels)
    inferred = infer(model, x, y, seen, noise, starts, steps)
    console.note(f"Inferred the latents of {len(x)} images x {starts} starts in {inferred.steps} steps")
    scores = log_missing(model, x, y, seen, inferred.posterior, noise).tolist()
    with torch.inference_mode():
        train = checkpoint.images("train", data_dir)
        average = model.pixel_likelihood.output_for(model.mean_image(train.to(where)))
        baseline = model.pixel_likelihood(average).marginal(~seen)
        baselines = baseline.log_prob(x[:, ~seen]).tolist()
        q = inferred.posterior
        decoded = [model.likelihood(q.rsample(generator=noise), y) for _ in range(draws)]
        filled = [each.mean if kind == "mean" else each.sample(generator=noise) for each in decoded]
        average_fill = model.likelihood(q.rsample((200,), noise), y).mean.mean(0)
    columns = [("original", x), ("seen", torch.where(seen, x, HIDDEN_GREY))]
    columns += [(f"fill {index + 1}", torch.where(seen, x, each)) for index, each in enumerate(filled)]
    columns += [("mean of fills", torch.where(seen, x, average_fill))]
    save_panels(path, side_by_side(columns))
    if as_json:
        rows = [
            {"log_p_missing_given_seen": score, "mean_image": base, "label": label}
            for score, base, label in zip(scores, baselines, images.labels.tolist(), strict=True)
        ]
        means = {"mean": sum(scores) / len(x), "mean_image": sum(baselines) / len(x)}
        console.result_json("inpaint", names_and_folders([checkpoint]), [path], images=rows, **means)
        return
    for index, (score, base) in enumerate(zip(scores, baselines, strict=True)):
        console.result(f"image {index + 1}: log p(missing | seen) {score:.2f} nats, by the mean image {base:.2f}")
    console.result(
        f"mean of {len(x)}: log p(missing | seen) {sum(scores) / len(x):.2f} nats, by the mean image {sum(baselines) / len(x):.2f}"
    )
    console.files_written([path])


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
