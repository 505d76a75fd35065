"""Grids of images with captions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vaecli.errors import printable
from vaecli.image_shape import ImageShape
from vaecli.plotting.formats import save_image

HEIGHT = 84
"""Screen pixels of an image's height at the least."""

_GAP, _LINE, _TEXT = 1, 0.35, 15
_PAPER, _INK = (255, 255, 255), (40, 40, 40)


@dataclass(frozen=True)
class Panel:
    """Images under a caption.

    Attributes:
        caption: one or more lines above the images.
        images: values in [0, 1], shape (N, D).
        columns: images in a row.
        shape: of each image, of D values.
    """

    caption: str
    images: Tensor
    columns: int
    shape: ImageShape


def save_panels(path: Path, rows: Sequence[Sequence[Panel]]) -> None:
    """Writes panels as one picture, each row of them from left to right, the rows below each other.

    Pixels are enlarged without smoothing, so that each can be seen. The path's suffix is the format: .png, .pdf or .svg.

    Raises:
        VaecliError: the file cannot be written.
    """
    drawn = [[_draw(panel) for panel in row] for row in rows]
    margin = _TEXT
    width = max(sum(picture.width + margin for picture in row) for row in drawn) + margin
    height = sum(max(picture.height for picture in row) + margin for row in drawn) + margin
    page = Image.new("RGB", (width, height), _PAPER)
    top = margin
    for row in drawn:
        left = margin
        for picture in row:
            page.paste(picture, (left, top))
            left += picture.width + margin
        top += max(picture.height for picture in row) + margin
    save_image(path, page)


def side_by_side(columns: Sequence[tuple[str, Tensor]], shape: ImageShape, tall: int = 10) -> list[list[Panel]]:
    """Rows of images of one shape, one column for each of `columns`: its caption and its images, shape (N, D).

    More than `tall` rows go on in a further block to the right, then below.
    """
    blocks = [
        [Panel(caption, images[start : start + tall], 1, shape) for caption, images in columns]
        for start in range(0, len(columns[0][1]), tall)
    ]
    across = max(1, 12 // len(columns))
    return [list(chain(*blocks[start : start + across])) for start in range(0, len(blocks), across)]


def grid(images: Tensor, columns: int, shape: ImageShape) -> Tensor:
    """Images in rows, with a line around each.

    Args:
        images: values in [0, 1], shape (N, D).
        columns: images in a row.
        shape: of each image, of D values.

    Returns:
        Values in [0, 1], shape (channels, height, width) of the whole.
    """
    images = images.detach().cpu().clamp(0, 1).view(-1, shape.channels, shape.height, shape.width)
    columns = min(columns, len(images))
    rows, cell = math.ceil(len(images) / columns), (shape.height + _GAP, shape.width + _GAP)
    page = images.new_full((shape.channels, rows * cell[0] + _GAP, columns * cell[1] + _GAP), _LINE)
    for number, image in enumerate(images):
        top, left = (_GAP + size * place for size, place in zip(cell, divmod(number, columns), strict=True))
        page[:, top : top + shape.height, left : left + shape.width] = image
    return page


def scale_of(shape: ImageShape) -> int:
    """Screen pixels for a pixel of an image: as many as bring its height to HEIGHT or more."""
    return math.ceil(HEIGHT / shape.height)


def _draw(panel: Panel) -> Image.Image:
    values = (grid(panel.images, panel.columns, panel.shape) * 255).round().to(torch.uint8)
    picture = Image.fromarray(values.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())
    scale = scale_of(panel.shape)
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    font = ImageFont.load_default(_TEXT)
    lines = [printable(line) for line in panel.caption.split("\n")]
    width = int(ImageDraw.Draw(picture).multiline_textbbox((0, 0), "\n".join(lines), font)[2]) + 1
    top = (_TEXT + 6) * len(lines)
    page = Image.new("RGB", (max(picture.width, width), top + picture.height), _PAPER)
    ImageDraw.Draw(page).multiline_text((0, 0), "\n".join(lines), _INK, font)
    page.paste(picture, (0, top))
    return page
