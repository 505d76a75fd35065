"""Grids of images with captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vaecli.arguments import Count, Filled, check, checked, wrong
from vaecli.display import HEIGHT, grid, in_bytes, scale_of
from vaecli.errors import printable
from vaecli.image_shape import ImageShape
from vaecli.plotting.formats import save_image

_TEXT = 15
_PAPER, _INK = (255, 255, 255), (40, 40, 40)


@dataclass(frozen=True)
class Panel:
    """Images under a caption.

    Attributes:
        caption: one or more lines above the images.
        images: values in [0, 1], shape (N, D).
        columns: images in a row.
        shape: of each image, of D values.

    Raises:
        UsageError: a field is of another type, or the images are of another shape or none.
    """

    caption: str
    images: Tensor
    columns: int
    shape: ImageShape

    def __post_init__(self) -> None:
        check("caption", self.caption, str)
        check("columns", self.columns, Count)
        check("shape", self.shape, ImageShape)
        size, images = self.shape.size, self.images
        if not isinstance(images, Tensor) or images.ndim != 2 or images.shape[1] != size or not len(images):
            raise wrong("images", images, f"expected a tensor of values from 0 to 1, shape (N, {size}), with N from 1")


@checked
def save_panels(path: Path, rows: Annotated[Sequence[Annotated[Sequence[Panel], Filled]], Filled]) -> None:
    """Writes panels as one picture, each row of them from left to right, the rows below each other.

    Pixels are enlarged without smoothing, so that each can be seen. The path's suffix is the format: .png, .pdf or .svg.

    Raises:
        VaecliError: the file cannot be written.
    """
    drawn = [[_draw(panel, max(_height(panel.shape) for panel in row)) for panel in row] for row in rows]
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
    across = max(1, 12 * HEIGHT // max(HEIGHT, shape.width * scale_of(shape)) // len(columns))
    return [list(chain(*blocks[start : start + across])) for start in range(0, len(blocks), across)]


def short(text: str, most: int = 40) -> str:
    """A name of at most 40 letters, so that it leaves room for a picture; a longer one loses its middle."""
    tail = most // 3  # 24 letters, dots and 13
    return text if len(text) <= most else f"{text[: most - tail - 3]}...{text[-tail:]}"


def _height(shape: ImageShape) -> int:
    return shape.height * scale_of(shape)


def _draw(panel: Panel, height: int) -> Image.Image:
    """A panel whose rows are this high, so that they stand beside those of others; smaller images are in their middle."""
    shape = panel.shape
    values = grid(in_bytes(panel.images, shape), panel.columns, height // shape.height, height)
    picture = Image.fromarray(values.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())
    font = ImageFont.load_default(_TEXT)
    lines = [printable(line) for line in panel.caption.split("\n")]
    width = int(ImageDraw.Draw(picture).multiline_textbbox((0, 0), "\n".join(lines), font)[2]) + 1
    top = (_TEXT + 6) * len(lines)
    page = Image.new("RGB", (max(picture.width, width), top + picture.height), _PAPER)
    ImageDraw.Draw(page).multiline_text((0, 0), "\n".join(lines), _INK, font)
    page.paste(picture, (0, top))
    return page
