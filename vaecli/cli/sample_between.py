"""``vaecli sample --between``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vaecli.cli import console
from vaecli.cli.options import without_effect
from vaecli.cli.output_paths import picture_path
from vaecli.cli.reading import listener, reader
from vaecli.errors import UsageError
from vaecli.reading import is_folder

if TYPE_CHECKING:
    import torch

    from vaecli.analysis.interpolation import Way
    from vaecli.data import Images, Read
    from vaecli.runs.run import Run


def check(context: typer.Context, ends: tuple[str, str]) -> None:
    """Refuses options that have no effect with ``--between``, before a run is opened."""
    without_effect(context, "with --between", "kind")
    if not any(map(_is_number, ends)):
        without_effect(context, "with --between of files", "data_dir")


def check_run(context: typer.Context, run: Run) -> None:
    """Refuses a seed that has no effect on this run's images."""
    if run.config.binarize != "stochastic":
        without_effect(context, "with --between and pixels that are not drawn at random", "seed")


def draw(
    run: Run, ends: tuple[str, str], n: int, way: Way, label: int | None, data_dir: Path | None, seed: int,
    device: torch.device, out: Path | None,
) -> Path:  # fmt: skip
    """Draws the filmstrip from one image to another, and gives the path of the picture."""
    from vaecli.analysis.interpolation import between
    from vaecli.plotting.panels import save_filmstrip

    read = reader()
    captions, images = zip(*(_end(run, end, label, data_dir, read) for end in ends), strict=True)
    path = picture_path(out, run.path, "between.png")
    a, b = (image.to(device) for image in images)
    strip = between(run.model.to(device), a, b, n, way, label=label, seed=seed)
    if run.model.conditional and label is None and int(a.labels) != int(b.labels):
        labels = (_label_name(run, image) for image in (a, b))
        console.note(f"The label goes linearly from {' to '.join(labels)}; keep one with --digit")
    save_filmstrip(path, strip, captions, way, run.config.image_shape)
    return path


def _end(run: Run, word: str, label: int | None, data_dir: Path | None, read: Read) -> tuple[str, Images]:
    """The caption and the image of a number or of a picture file."""
    from vaecli.analysis.images import choose_images

    if not _is_number(word):
        if is_folder(Path(word)):
            raise UsageError(f"--between {word}: found a folder, expected a picture file, or the number of a test image")
        picture = choose_images(run, label=label, pictures=[Path(word)], listen=listener(), n=1)
        return Path(word).name, picture
    images, number = run.images("test", data_dir, read), int(word)
    if number >= len(images):
        raise UsageError(f"--between {word}: expected a number from 0 to {len(images) - 1:,}, of a test image, or a picture file")
    image = images[number : number + 1]
    return f"image {number}" + (f"\n{_label_name(run, image)}" if int(image.labels) >= 0 else ""), image


def _label_name(run: Run, image: Images) -> str:
    return run.class_names[int(image.labels)] if int(image.labels) >= 0 else "unknown"


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) < 10
