"""Grids of images with captions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vaecli.data.images import SIDE
from vaecli.errors import printable
from vaecli.plotting.formats import save_image

SCALE = 3
"""Screen pixels for a pixel of an image."""

_GAP, _LINE, _TEXT = 1, 0.35, 15
_PAPER, _INK = (255, 255, 255), (40, 40, 40)


@dataclass(frozen=True)
class Panel:
    """Images under a caption.

    Attributes:
        caption: one or more lines above the images.
        images: values in [0, 1], shape (N, 784).
        columns: images in a row.
    """

    caption: str
    images: Tensor
    columns: int


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


def side_by_side(columns: Sequence[tuple[str, Tensor]], tall: int = 10) -> list[list[Panel]]:
    """Rows of images, one column for each of `columns`: its caption and its images, shape (N, 784).

    More than `tall` rows go on in a further block to the right, then below.
    """
    blocks = [
        [Panel(caption, images[start : start + tall], 1) for caption, images in columns]
        for start in range(0, len(columns[0][1]), tall)
    ]
    across = max(1, 12 // len(columns))
    return [list(chain(*blocks[start : start + across])) for start in range(0, len(blocks), across)]


def grid(images: Tensor, columns: int) -> Tensor:
    """Images of shape (N, 784) in rows of `columns`, with a line around each: values in [0, 1], shape (height, width)."""
    images = images.detach().cpu().clamp(0, 1).view(-1, SIDE, SIDE)
    columns = min(columns, len(images))
    rows, cell = math.ceil(len(images) / columns), SIDE + _GAP
    page = images.new_full((rows * cell + _GAP, columns * cell + _GAP), _LINE)
    for number, image in enumerate(images):
        top, left = (_GAP + cell * place for place in divmod(number, columns))
        page[top : top + SIDE, left : left + SIDE] = image
    return page


def _draw(panel: Panel) -> Image.Image:
    picture = Image.fromarray((grid(panel.images, panel.columns) * 255).round().to(torch.uint8).numpy()).convert("RGB")
    picture = picture.resize((picture.width * SCALE, picture.height * SCALE), Image.Resampling.NEAREST)
    font = ImageFont.load_default(_TEXT)
    lines = [printable(line) for line in panel.caption.split("\n")]
    width = int(ImageDraw.Draw(picture).multiline_textbbox((0, 0), "\n".join(lines), font)[2]) + 1
    top = (_TEXT + 6) * len(lines)
    page = Image.new("RGB", (max(picture.width, width), top + picture.height), _PAPER)
    ImageDraw.Draw(page).multiline_text((0, 0), "\n".join(lines), _INK, font)
    page.paste(picture, (0, top))
    return page
