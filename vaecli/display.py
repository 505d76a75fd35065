"""How images and numbers look where no file is written: in a notebook, in a terminal, in the log of a run."""

import math
import os
from typing import TYPE_CHECKING

from vaecli.image_shape import ImageShape

if TYPE_CHECKING:
    from rich.console import Console
    from torch import Tensor

HEIGHT = 84
"""Screen pixels of an image's height at the least."""

_GAP, _LINE = 3, 89


def animates(console: "Console") -> bool:
    """Whether a line can be written again there: in a terminal, but not in a notebook's cell, which keeps each of its states.

    A notebook's kernel gives the programs that a cell starts a terminal, or FORCE_COLOR, which rich takes for one.
    """
    return console.is_terminal and console.file.isatty() and "JPY_PARENT_PID" not in os.environ


def in_bytes(images: "Tensor", shape: ImageShape) -> "Tensor":
    """Bytes, shape (N, channels, height, width), of images of this shape: values in [0, 1], shape (N, D)."""
    values = (images.detach().cpu().clamp(0, 1) * 255).round().byte()
    return values.view(-1, shape.channels, shape.height, shape.width)


def grid(images: "Tensor", columns: int, scale: int = 1, height: int = 0, gap: int = _GAP) -> "Tensor":
    """Images in rows, with a line around each.

    Args:
        images: bytes, shape (N, channels, height, width).
        columns: images in a row.
        scale: pixels per side that a pixel of an image gets.
        height: of a row without lines, in pixels; images that are less high stand in its middle.
        gap: the width of a line, in pixels.

    Returns:
        Bytes, shape (channels, height, width) of the whole.
    """
    columns, channels = min(columns, len(images)), images.shape[1]
    high, wide = (side * scale for side in images.shape[2:])
    height = max(height, high)
    rows = math.ceil(len(images) / columns)
    page = images.new_full((channels, rows * (height + gap) + gap, columns * (wide + gap) + gap), _LINE)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top, left = gap + row * (height + gap) + (height - high) // 2, gap + column * (wide + gap)
        enlarged = image.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
        page[:, top : top + high, left : left + wide] = enlarged
    return page


def scale_of(shape: ImageShape) -> int:
    """Screen pixels for a pixel of an image: as many as bring its height to HEIGHT or more."""
    return math.ceil(HEIGHT / shape.height)
