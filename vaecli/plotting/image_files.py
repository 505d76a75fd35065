"""Images as they are: a .png file for each, or arrays in one .npz file."""

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from vaecli.arguments import checked
from vaecli.files import make_folder, write_file
from vaecli.image_shape import ImageShape

Array = np.ndarray[Any, Any]


@checked
def image_array(images: Tensor, shape: ImageShape) -> Array:
    """Images as NumPy has them: float32 from 0 to 1, shape (N, height, width), with a last axis of 3 where they are in colour.

    Args:
        images: values in [0, 1], shape (N, D).
        shape: of each, of D values.
    """
    array: Array = images.detach().cpu().clamp(0, 1).float().reshape(-1, shape.channels, shape.height, shape.width).numpy()
    return array[:, 0] if shape.channels == 1 else array.transpose(0, 2, 3, 1)


@checked
def save_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Writes arrays into an .npz file, without pickle.

    Raises:
        VaecliError: the file cannot be written.
    """
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    write_file(path, file.getvalue())


def save_each(
    folder: Path, images: Mapping[str, Array], on_image: Callable[[int], object] = lambda done: None
) -> Iterator[Path]:  # fmt: skip
    """Writes each image into a file of its own, and gives their paths: ``mean-07.png`` for the eighth of ``mean``.

    Args:
        folder: made if there is none.
        images: from `image_array`, by what they are; all as many.
        on_image: called with how many are written.

    Raises:
        VaecliError: a file cannot be written.
    """
    make_folder(folder)
    done = 0
    for kind, array in images.items():
        digits = len(str(len(array) - 1))
        for number, image in enumerate((array * 255).round().astype(np.uint8)):
            path = folder / f"{kind}-{number:0{digits}}.png"
            file = io.BytesIO()
            Image.fromarray(image).save(file, "PNG")
            write_file(path, file.getvalue())
            done += 1
            on_image(done)
            yield path
