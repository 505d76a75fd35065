"""``vaecli reconstruct``."""

from typing import Annotated

import typer

from vaecli.cli import console
from vaecli.cli.declare import DATA, examples, flag_option, label_option
from vaecli.cli.image_files import write_images
from vaecli.cli.options import (
    AsJson,
    Count,
    DataDir,
    Device,
    ImageFiles,
    OutImages,
    Pictures,
    Quiet,
    RunName,
    Seed,
    Split,
    count_of_pictures,
    note_fewer,
    without_effect,
)
from vaecli.cli.output_paths import check_images_out, picture_path
from vaecli.cli.reading import listener, reader
from vaecli.cli.runs import names_and_folders, open_run, resolve_device

HELP = examples(
    "vaecli reconstruct --label 4 --n 5",
    "vaecli reconstruct --image PICTURES",
    "vaecli reconstruct baseline --n 1000 --as npz --out digits.npz",
)
EVERYDAY = ("n", "split", "digit", "image", "data_dir", "seed", "out", "files")


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
    out: OutImages = None,
    files: ImageFiles = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Encode images and decode them again: each row an original, its reconstruction's mean, and a draw."""
    console.set_quiet(quiet)
    check_images_out(out, files)
    if image:
        without_effect(context, "with --image", "split", "data_dir", "no_label")
    count = count_of_pictures(context, n, image) if image else n

    opened = open_run(run)
    if not opened.model.conditional:
        without_effect(context, "with a run without labels", "no_label")
        if image:
            without_effect(context, "with --image and a run without labels", "digit")

    import numpy as np

    from vaecli.analysis.images import choose_images
    from vaecli.analysis.sampling import reconstruct as encode_and_decode
    from vaecli.plotting.grids import save_panels, side_by_side

    torch_device = resolve_device(device)
    images = choose_images(
        opened, split, count, label=digit, pictures=image or (), data_dir=data_dir, read=reader(), listen=listener()
    ).to(torch_device)
    note_fewer(context, len(images))
    decoded = encode_and_decode(opened.model.to(torch_device), images, labels_known=not no_label, seed=seed)
    named = names_and_folders([opened])
    if files:
        rows = {"original": decoded.x, "mean": decoded.mean, "draw": decoded.draw}
        about = {"label": images.labels.cpu().numpy(), "name": np.array(images.names or [*map(str, range(len(images)))])}
        written, place = write_images(files, rows, opened.config.image_shape, about, out, opened.path, "reconstructions")
        console.written("reconstruct", named, written, as_json, place)
        return
    path = picture_path(out, opened.path, "reconstruct.png")
    save_panels(
        path, side_by_side([("original", decoded.x), ("mean", decoded.mean), ("draw", decoded.draw)], opened.config.image_shape)
    )
    console.written("reconstruct", named, [path], as_json)
