"""Grids of images with captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import make_grid

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
    width = max(sum(each.width + margin for each in row) for row in drawn) + margin
    height = sum(max(each.height for each in row) + margin for row in drawn) + margin
    page = Image.new("RGB", (width, height), _PAPER)
    top = margin
    for row in drawn:
        left = margin
        for each in row:
            page.paste(each, (left, top))
            left += each.width + margin
        top += max(each.height for each in row) + margin
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


def _draw(panel: Panel) -> Image.Image:
    images = panel.images.detach().cpu().clamp(0, 1).view(-1, 1, SIDE, SIDE)
    grid = make_grid(images, nrow=panel.columns, padding=_GAP, pad_value=_LINE)
    if len(images) == 1:  # which make_grid leaves without a frame
        grid = F.pad(grid, (_GAP,) * 4, value=_LINE)
    picture = Image.fromarray((grid * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
    picture = picture.resize((picture.width * SCALE, picture.height * SCALE), Image.Resampling.NEAREST)
    font = ImageFont.load_default(_TEXT)
    lines = [printable(line) for line in panel.caption.split("\n")]
    width = int(ImageDraw.Draw(picture).multiline_textbbox((0, 0), "\n".join(lines), font)[2]) + 1
    top = (_TEXT + 6) * len(lines)
    page = Image.new("RGB", (max(picture.width, width), top + picture.height), _PAPER)
    ImageDraw.Draw(page).multiline_text((0, 0), "\n".join(lines), _INK, font)
    page.paste(picture, (0, top))
    return page
