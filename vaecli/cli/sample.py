"""``vaecli sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vaecli.cli import console
from vaecli.cli.declare import BETWEEN, IMAGES, examples, label_option, optional
from vaecli.cli.image_files import write_images
from vaecli.cli.options import AsJson, DataDir, Device, ImageFiles, OutImages, Quiet, RunName, Seed, without_effect
from vaecli.cli.output_paths import check_images_out, picture_path
from vaecli.cli.reading import listener, reader
from vaecli.cli.runs import names_and_folders, open_run, resolve_device
from vaecli.errors import UsageError
from vaecli.reading import is_folder

if TYPE_CHECKING:
    import torch

    from vaecli.analysis.interpolation import PathKind
    from vaecli.data import Images, Read
    from vaecli.runs.run import Run

HELP = examples(
    "vaecli sample --n 20 --kind mean",
    "vaecli sample baseline --between 0 7 --n 12",
    "vaecli sample baseline --n 1000 --as png --out samples",
)
EVERYDAY = ("n", "kind", "digit", "between", "path", "seed", "out", "files")
N = "Latents to draw from the prior; of a conditional model, for each label. With --between: pictures on the path."
ENDS = "A filmstrip from one image to another instead: numbers of test images, from 0, or picture files."
MOST = 10_000
"""Samples of one picture."""


def sample(
    context: typer.Context,
    run: RunName = None,
    n: Annotated[int, typer.Option(min=1, max=MOST, help=N, rich_help_panel=IMAGES)] = 10,
    kind: Annotated[
        Literal["mean", "draw", "both"],
        typer.Option(help="The decoder's means, draws from its pixels, or means above draws.", rich_help_panel=IMAGES),
    ] = "both",
    digit: Annotated[
        str | None, label_option("The label, of a conditional model: a name or a number; every label if not given.", IMAGES)
    ] = None,
    between: Annotated[tuple[str, str] | None, optional(ENDS, BETWEEN, metavar="A B")] = None,
    path: Annotated[
        Literal["straight", "spherical"],
        typer.Option("--path", help="A line from latent to latent, or a great circle.", rich_help_panel=BETWEEN),
    ] = "straight",
    data_dir: DataDir = None,
    seed: Seed = 0,
    device: Device = "auto",
    out: OutImages = None,
    files: ImageFiles = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Draw images from the prior, means above draws; or images between two others."""
    console.set_quiet(quiet)
    check_images_out(out, files)
    if between:
        without_effect(context, "with --between", "kind", "seed")
        if not any(map(_is_number, between)):
            without_effect(context, "with --between of files", "data_dir")
    else:
        without_effect(context, "without --between", "path", "data_dir")
    opened = open_run(run)

    from vaecli.analysis.images import label_number

    torch_device = resolve_device(device)
    number = None if digit is None else label_number(digit, opened.class_names)
    if number is not None and not opened.model.conditional:
        raise UsageError(
            f"{{label}}: {opened.name} was trained without labels and draws whatever label comes; "
            "expected a conditional model, trained with: vaecli train --labels full",
            label=digit,
        )
    if between:
        written, place = _draw_between(opened, between, n, path, number, data_dir, torch_device, out, files)
    else:
        written, place = _draw(opened, n, kind, number, seed, torch_device, out, files)
    console.written("sample", names_and_folders([opened]), written, as_json, place)


def _draw(
    run: Run, n: int, kind: str, label: int | None, seed: int, device: torch.device, out: Path | None, files: str | None
) -> tuple[list[Path], Path]:  # fmt: skip
    """Draws samples from the prior, and gives the files, and the path to print."""
    import numpy as np

    from vaecli.analysis.sampling import sample as draw_samples
    from vaecli.plotting.grids import Panel, save_panels

    model, names = run.model.to(device), run.class_names
    if label is None and n * model.labels > MOST:
        raise UsageError(
            f"--n {n}: {run.name} has {model.labels:,} labels, expected at most {MOST:,} samples of all; "
            f"take --n {max(1, MOST // model.labels)}, or one label with {{label=}}"
        )
    samples = draw_samples(model, n, labels=() if label is None else (label,), seed=seed)
    about = "" if not samples.labels else f" of {names[label]}" if label is not None else f", {names[0]} to {names[-1]} by row"
    columns = n if len(samples.labels) > 1 else min(n, 10)
    rows = {name: images for name, images in (("mean", samples.mean), ("draw", samples.draw)) if kind in (name, "both")}
    if files:
        arrays = {"z": samples.z.cpu().numpy()}
        if samples.labels:
            arrays["label"] = np.repeat(samples.labels, n)
        if files == "png" and len(samples.labels) > 1:
            rows = {
                f"{name}-{label}": images[at * n : (at + 1) * n]
                for name, images in rows.items() for at, label in enumerate(samples.labels)
            }  # fmt: skip
        return write_images(files, rows, run.config.image_shape, arrays, out, run.path, "samples")
    path = picture_path(out, run.path, "sample.png")
    save_panels(
        path,
        [[Panel(f"samples from the prior{about}: {name}s", images, columns, model.image_shape)] for name, images in rows.items()],
    )
    return [path], path


def _draw_between(
    run: Run, ends: tuple[str, str], n: int, path: PathKind, label: int | None, data_dir: Path | None, device: torch.device,
    out: Path | None, files: str | None,
) -> tuple[list[Path], Path]:  # fmt: skip
    """Draws the filmstrip from one image to another, and gives the files, and the path to print."""
    from vaecli.analysis.interpolation import between
    from vaecli.plotting.panels import save_filmstrip

    read = reader()
    captions, images = zip(*(_end(run, end, label, data_dir, read) for end in ends), strict=True)
    a, b = (image.to(device) for image in images)
    strip = between(run.model.to(device), a, b, n, path, label=label)
    if run.model.conditional and label is None and int(a.labels) != int(b.labels):
        labels = (_label_name(run, image) for image in (a, b))
        console.note(f"The label goes linearly from {' to '.join(labels)}; keep one with --digit")
    if files:
        arrays = {"z": strip.z.cpu().numpy()}
        return write_images(files, {"mean": strip.mean}, run.config.image_shape, arrays, out, run.path, "between")
    file = picture_path(out, run.path, "between.png")
    save_filmstrip(file, strip, captions, path, run.config.image_shape)
    return [file], file


def _end(run: Run, word: str, label: int | None, data_dir: Path | None, read: Read) -> tuple[str, Images]:
    """The caption and the image of a number or of a picture file."""
    from vaecli.analysis.images import choose_images

    if not _is_number(word):
        if is_folder(Path(word)):
            raise UsageError(f"--between {word}: found a folder, expected a picture file, or the number of a test image")
        picture = choose_images(run, label=label, pictures=[Path(word)], listen=listener(), n=1)
        return Path(word).name, picture
    number = int(word)

    def take(labels: torch.Tensor) -> torch.Tensor:
        if number >= len(labels):
            raise UsageError(
                f"--between {word}: expected a number from 0 to {len(labels) - 1:,}, of a test image, or a picture file"
            )
        return labels.new_tensor([number])

    image = run.images("test", data_dir, read, take)
    return f"image {number}" + (f"\n{_label_name(run, image)}" if int(image.labels) >= 0 else ""), image


def _label_name(run: Run, image: Images) -> str:
    return run.class_names[int(image.labels)] if int(image.labels) >= 0 else "unknown"


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) < 10
