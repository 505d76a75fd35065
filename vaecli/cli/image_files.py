"""Images that commands write as they are, with ``--as``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaecli.cli import console
from vaecli.cli.output_paths import arrays_path, images_folder

if TYPE_CHECKING:
    from torch import Tensor

    from vaecli.image_shape import ImageShape


def write_images(
    kind: str, images: Mapping[str, Tensor], shape: ImageShape, about: Mapping[str, Any], out: Path | None, folder: Path, name: str
) -> tuple[list[Path], Path]:  # fmt: skip
    """Writes images, and gives the files and the path to print.

    Args:
        kind: ``png`` or ``npz``.
        images: by what they are, values in [0, 1], shape (N, D) each.
        shape: of each image.
        about: further arrays of an .npz file.
        out: the place that a person named.
        folder: the run's, where they named none.
        name: of the file or folder there, without a suffix.
    """
    from vaecli.plotting.image_files import image_array, save_arrays, save_each

    arrays = {what: image_array(some, shape) for what, some in images.items()}
    if kind == "npz":
        path = arrays_path(out, folder, f"{name}.npz")
        save_arrays(path, arrays | dict(about))
        return [path], path
    place = images_folder(out, folder, name)
    with console.bar("images", sum(map(len, arrays.values()))) as bar:
        files = list(save_each(place, arrays, bar))
    if others := len({*place.glob("*.png")} - {*files}):
        console.note(f"{place}: {others:,} other .png file{'s were' if others > 1 else ' was'} there before")
    return files, place
