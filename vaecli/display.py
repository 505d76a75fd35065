"""How images and numbers look where no file is written: in a notebook, in a terminal, in the log of a run."""

import io
import math
import os
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from vaecli.errors import printable
from vaecli.image_shape import ImageShape

if TYPE_CHECKING:
    from rich.console import Console
    from torch import Tensor

HEIGHT = 84
"""Screen pixels of an image's height at the least."""

WIDTH = 900
"""Screen pixels of a notebook's grid, if two images fit into it."""

ACROSS = 10
"""Images in a row of it at the most."""

_GAP, _LINE, _ROWS = 3, 89, 5


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


def across(shape: ImageShape) -> int:
    """How many images of this shape a notebook shows in a row."""
    return max(1, min(ACROSS, WIDTH // (shape.width * scale_of(shape) + _GAP)))


def rows_of(*rows: "Tensor", shape: ImageShape, columns: int = 0) -> "Tensor":
    """The grid of rows of images, below each other.

    Args:
        rows: values in [0, 1], shape (N, D); of rows that are too long the first images, a single one goes on below.
        shape: of each image.
        columns: images in a row, of a single row that goes on below to its end; as many as fit a notebook if not given.

    Returns:
        Bytes, shape (3, height, width).
    """
    import torch

    most = columns or across(shape)
    images = rows[0] if columns else torch.cat([row[: most * (_ROWS if len(rows) == 1 else 1)] for row in rows])
    columns = min(most, len(rows[0]))
    return grid(in_bytes(images, shape), columns, scale_of(shape) if columns <= ACROSS else 1).expand(3, -1, -1)


def png(pixels: "Tensor") -> bytes:
    """The PNG of bytes of shape (3, height, width)."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()).save(file, "PNG", optimize=True)
    return file.getvalue()


def curves_png(epochs: Sequence[float], lines: Mapping[str, Sequence[float]]) -> bytes:
    """The PNG of lines over epochs, in nats per image, by name."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5, 2.4), layout="constrained")
    axes = figure.add_subplot()
    for name, values in lines.items():
        axes.plot(epochs, values, marker="." if len(epochs) < 100 else "", label=name)
    axes.set_xlabel("epoch")
    axes.set_ylabel("nats per image")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def picture(file: bytes) -> str:
    """HTML that shows a PNG, which is inside it."""
    return f'<img alt="" src="data:image/png;base64,{b64encode(file).decode()}">'


def text(words: str) -> str:
    """HTML of words, which may hold anything."""
    return f"<div>{escape(printable(words))}</div>"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """HTML of a table; its cells may hold anything."""
    head, *body = (
        "".join(f"<{kind}>{escape(printable(str(cell)))}</{kind}>" for cell in row)
        for kind, row in [("th", headings), *(("td", row) for row in rows)]
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in body)}</tbody></table>"
