"""``vaecli reconstruct``."""

from typing import Annotated

import typer

from vaecli.cli import console
from vaecli.cli.declare import DATA, examples, flag_option, label_option
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

HELP = examples("vaecli reconstruct --label 4 --n 5")


def reconstruct(
    context: typer.Context,
    run: RunName = None,
    n: Count = 10,
    split: Split = "test",
    digit: Annotated[
        str | None, label_option("Only images with this label, a name or a number; with --image, the label of your pictures.")
    ] = None,
    image: Pictures = None,
    no_label: Annotated[bool, flag_option("--no-label", "Hide the labels from a conditional model.", DATA)] = False,
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
        without_effect(context, "with --image", "split", "data_dir", "no_label")
    count = count_of_pictures(context, n, image) if image else n

    opened = open_run(run)
    if not opened.model.conditional:
        without_effect(context, "with a run without labels", "no_label")
        if image:
            without_effect(context, "with --image and a run without labels", "digit")

    from vaecli.analysis.images import choose_images
    from vaecli.analysis.sampling import reconstruct as encode_and_decode
    from vaecli.plotting.grids import save_panels, side_by_side

    torch_device = resolve_device(device)
    images = choose_images(
        opened, split, count, label=digit, pictures=image or (), data_dir=data_dir, read=reader(), listen=listener()
    ).to(torch_device)
    note_fewer(context, len(images))
    path = picture_path(out, opened.path, "reconstruct.png")
    decoded = encode_and_decode(opened.model.to(torch_device), images, labels_known=not no_label, seed=seed)
    save_panels(
        path, side_by_side([("original", decoded.x), ("mean", decoded.mean), ("draw", decoded.draw)], opened.config.image_shape)
    )
    console.written("reconstruct", names_and_folders([opened]), [path], as_json)
