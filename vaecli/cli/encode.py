"""``vaecli encode``."""

from pathlib import Path
from typing import Annotated

import typer

from vaecli.cli import console
from vaecli.cli.declare import DATA, OUTPUT, examples, flag_option, label_option, optional
from vaecli.cli.options import (
    AsJson,
    Device,
    OtherImages,
    Pictures,
    Quiet,
    RunName,
    Split,
    count_of_pictures,
    note_fewer,
    without_effect,
)
from vaecli.cli.output_paths import check_latents_out, latents_path
from vaecli.cli.reading import listener, reader
from vaecli.cli.runs import names_and_folders, open_run, resolve_device

HELP = examples("vaecli encode --split train --out latents.csv")
FORMATS = "Folder, or .npz, .csv or .safetensors file, for the latents; latents.npz in the run's folder if not given."


def encode(
    context: typer.Context,
    run: RunName = None,
    n: Annotated[
        int | None,
        optional("Images, the first of the split or of a folder of pictures; all if not given.", DATA, min=1, max=2_000_000),
    ] = None,
    split: Split = "test",
    digit: Annotated[str | None, label_option("With --image: the label of your pictures, a name or a number.")] = None,
    image: Pictures = None,
    no_label: Annotated[bool, flag_option("--no-label", "Hide the labels from a conditional model.", DATA)] = False,
    data_dir: OtherImages = None,
    device: Device = "auto",
    out: Annotated[Path | None, optional(FORMATS, OUTPUT, callback=check_latents_out)] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write the latents of images to a file: the posterior's mean and log scale, with label and name."""
    console.set_quiet(quiet)
    count = n
    if image:
        without_effect(context, "with --image", "split", "data_dir", "no_label")
        count = count_of_pictures(context, n, image)
    else:
        without_effect(context, "without --image", "digit")
    opened = open_run(run)
    if not opened.model.conditional:
        without_effect(context, "with a run without labels", "no_label", "digit")

    from vaecli.analysis.encoding import latents_of, split_or_other
    from vaecli.analysis.images import choose_images
    from vaecli.data.images import first
    from vaecli.files import write_file

    torch_device = resolve_device(device)
    if image:
        images = choose_images(opened, n=count, label=digit, pictures=image, listen=listener())
    else:
        images, own = split_or_other(opened, split, data_dir, reader(), first(count))
        if not own:
            console.note(f"{data_dir}: other {split} images than those of the run {opened.name}")
    note_fewer(context, len(images))
    path = latents_path(out, opened.path)
    with console.bar("images", description=f"Encoding {len(images):,} images"):
        latents = latents_of(opened.model.to(torch_device), images.to(torch_device), labels_known=not no_label)
    write_file(path, latents.file(path.suffix.lower()))
    size, latent_dim = latents.mean.shape
    console.written("encode", names_and_folders([opened]), [path], as_json, images=size, latent_dim=latent_dim)
