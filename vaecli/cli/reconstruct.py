"""``vaecli reconstruct``."""

from typing import Annotated

import typer

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

HELP = example("vaecli reconstruct --digit 4 --n 5")


def reconstruct(
    context: typer.Context,
    run: RunName = None,
    n: Count = 10,
    split: Split = "test",
    digit: Annotated[
        int | None,
        typer.Option(
            "--digit",
            "--label",
            min=0,
            help="Only images with this label; with --image, the label of your picture.",
            show_default=False,
            rich_help_panel="Data",
        ),
    ] = None,
    image: Pictures = None,
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
    if image:
        without_effect(context, "with --image", "n", "split", "data_dir", "no_label")

    checkpoint = open_run(run)
    if not checkpoint.model.conditional:
        without_effect(context, "with a run without labels", "no_label")
        if image:
            without_effect(context, "with --image and a run without labels", "digit")

    from vaecli.analysis.images import choose_images
    from vaecli.analysis.sampling import reconstruct as encode_and_decode
    from vaecli.plotting.grids import save_panels, side_by_side

    place = resolve_device(device)
    images = choose_images(checkpoint, split, n, label=digit, pictures=image or (), data_dir=data_dir).to(place)
    path = picture_path(out, checkpoint.path, "reconstruct.png")
    made = encode_and_decode(checkpoint.model.to(place), images, labels_known=not no_label, seed=seed)
    save_panels(path, side_by_side([("original", made.x), ("mean", made.mean), ("draw", made.draw)]))
    if as_json:
        console.result_json("reconstruct", names_and_folders([checkpoint]), [path])
    else:
        console.files_written([path])
