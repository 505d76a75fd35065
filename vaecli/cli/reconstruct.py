"""``vaecli reconstruct``."""

from pathlib import Path
from typing import Annotated

import typer

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

HELP = example("vaecli reconstruct --digit 4 --n 5")


def reconstruct(
    context: typer.Context,
    run: Run = None,
    n: Annotated[int, typer.Option(min=1, max=10_000, help="Images, the first of the split.", rich_help_panel="Data")] = 10,
    split: Split = "test",
    digit: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Only images with this label; with --image, the label of your picture.",
            show_default=False,
            rich_help_panel="Data",
        ),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(help="Your own picture instead; may be given again.", show_default=False, rich_help_panel="Data"),
    ] = None,
    no_label: Annotated[
        bool, typer.Option("--no-label", help="Tell a conditional model that the label is unknown.", rich_help_panel="Data")
    ] = False,
    data_dir: DataDir = None,
    seed: Seed = 0,
    device: Device = "auto",
    out: Out = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Encode images and decode them again: each row an original, its reconstruction's mean, and a draw."""
    console.set_quiet(quiet)
    check_split(split)
    if image:
        without_effect(context, "with --image", "n", "split", "data_dir", "no_label")

    checkpoint = open_run(run)
    if not checkpoint.model.conditional:
        without_effect(context, "with a run without labels", "no_label")
        if image:
            without_effect(context, "with --image and a run without labels", "digit")
    where = check_device(device)

    import torch

    from vaecli.cli.images import choose_images
    from vaecli.data.images import UNKNOWN
    from vaecli.plotting.grids import save_panels, side_by_side
    from vaecli.seeding import generator

    images = choose_images(checkpoint, split, n, digit, image, data_dir).to(where)
    path = picture_path(out, checkpoint.folder, "reconstruct.png")
    model = checkpoint.model.to(where)
    noise = generator(where, "reconstruct", seed)
    with torch.inference_mode():
        x = model.observe(images.pixels, noise)
        y = model.condition(torch.full_like(images.labels, UNKNOWN) if no_label else images.labels)
        likelihood = model.likelihood(model.posterior(x, y).rsample(generator=noise), y)
        columns = [("original", x), ("mean", likelihood.mean), ("draw", likelihood.sample(generator=noise))]
    save_panels(path, side_by_side(columns))
    if as_json:
        console.result_json("reconstruct", names_and_folders([checkpoint]), [path])
    else:
        console.files_written([path])
