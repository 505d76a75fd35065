"""One picture, scaled and cut to the shape of the images."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

from vaecli.data.picture import checked_picture
from vaecli.data.values import (
    BYTE_RANGE,
    bands,
    extent,
    has_white_zero,
    in_words,
    is_deep,
    is_for_bytes,
    is_halved,
    numbers,
    settle,
    to_bytes,
)
from vaecli.errors import DataError
from vaecli.image_shape import ImageShape
from vaecli.reading import Slice

MOST_PAGES = 1000
"""Pages of a file that are counted."""

FEW_SHADES = 32
"""A picture whose values become fewer shades than this, and had several times as many, is not shown well by its range."""

_SAMPLED = 1 << 16


class Cropped(NamedTuple):
    """A picture in the shape of the images.

    Attributes:
        pixels: the picture's bytes, channel by channel, each row by row; as many as the shape's size.
        size: width and height that it had, upright.
        cut: whether a part of it was cut off.
        scaled: whether the rest was made smaller or larger.
        pages: how many more pages or frames the file has, MOST_PAGES at the most.
        outside: how many of its values are outside the range from black to white, or no numbers.
        ranged: whether it was given the range that was wanted; a picture of bytes does without one of other numbers.
        range: the values that are black and white; of a picture that is read as it stands, those of bytes.
        flat: the picture's least and greatest value, and the shades that they become, if they are FEW_SHADES in that range.
    """

    pixels: bytes
    size: tuple[int, int]
    cut: bool
    scaled: bool
    pages: int = 0
    outside: int = 0
    ranged: bool = True
    range: tuple[float, float] = BYTE_RANGE
    flat: tuple[float, float, int] | None = None

    @property
    def tensor(self) -> Tensor:
        """The bytes as a tensor: uint8, shape (shape.size,)."""
        return torch.frombuffer(bytearray(self.pixels), dtype=torch.uint8)

    def remarks(self, shape: ImageShape) -> tuple[str, ...]:
        """Phrases about what a person may not expect of the picture, in images of a shape."""
        width, height = self.size
        return (
            *([f"{width} x {height} pixels, of which the middle is taken"] if self.cut else []),
            *([f"{counted_pages(self.pages)} after the first left out"] if self.pages else []),
            *([f"values {in_words(self.range)} are black to white"] if self.range != BYTE_RANGE else []),
            *([f"its own values, {in_words(self.flat[:2])}, become {self.flat[2]} of 256 shades"] if self.flat else []),
            *([f"values outside the range, cut to its ends: {self.outside:,}"] if self.outside else []),
        )


def counted_pages(pages: int) -> str:
    """So many pages, in words."""
    return f"{pages:,}{' or more' if pages >= MOST_PAGES else ''} page{'s' * (pages > 1)}"


def read_cropped(path: Path | Slice, shape: ImageShape, pixel_range: tuple[float, float] | None = None) -> Cropped:
    """The middle of a picture, as large as fits, scaled to `shape`; a picture that has that size keeps its pixels.

    It is turned as its EXIF data say, and of several pages it is the first. Transparency becomes white. It stands inside
    `without_warnings`.

    Args:
        path: the file, or the part of one.
        shape: of the images.
        pixel_range: the values that are black and white; if not given, `vaecli.data.values.settle` decides by this picture alone.

    Raises:
        DataError: it is missing, not a picture, or too large.
    """
    # a JPEG's decoder can halve a picture as it unpacks it; the rest of the way is at least another halving, with a good filter
    with checked_picture(path, (2 * shape.width, 2 * shape.height)) as picture:
        halved = is_halved(picture)
        chosen = pixel_range or settle([extent(picture)])
        if halved and chosen not in (BYTE_RANGE, (0, 65535)):
            raise DataError(
                f"found colours of 16 bits, of which 8 are read, expected values {in_words(chosen)}; convert it to 8 bits a colour"
            )
        if not is_deep(picture) and (chosen == BYTE_RANGE or not is_for_bytes(chosen)):
            result = crop(_upright(picture), shape)._replace(ranged=halved or chosen == BYTE_RANGE)
        else:
            values = values_of(picture)
            result = crop(_upright(_in_bytes(picture, values, chosen)), shape)._replace(
                outside=_outside(values, chosen),
                range=chosen,
                flat=_flattened(values, chosen),
            )
        return result._replace(pages=_more_pages(picture))


def crop(picture: Image.Image, shape: ImageShape) -> Cropped:
    """The middle of a picture of 8 bits, as `read_cropped` gives it of a file."""
    flat = _flat(picture, "L" if shape.channels == 1 else "RGB")
    width, height = _largest(flat, shape)
    left, top = (flat.width - width) // 2, (flat.height - height) // 2
    smaller = width > shape.width
    scaled = flat.resize(
        (shape.width, shape.height),
        Image.Resampling.LANCZOS if smaller else Image.Resampling.BICUBIC,
        (left, top, left + width, top + height),
        reducing_gap=3.0 if smaller else None,
    )
    pixels = b"".join(channel.tobytes() for channel in scaled.split())
    return Cropped(pixels, flat.size, (width, height) != flat.size, (width, height) != (shape.width, shape.height))


def _upright(picture: Image.Image) -> Image.Image:
    """A picture as its EXIF data say that it stands; the same one, where they do not turn it."""
    picture.load()  # they may stand behind the pixels
    return picture if picture.getexif().get(ExifTags.Base.Orientation, 1) == 1 else ImageOps.exif_transpose(picture)


def values_of(picture: Image.Image) -> NDArray[Any]:
    """The values of a picture, of one of bytes on white: shape (height, width) or (height, width, 3)."""
    if is_deep(picture):
        return numbers(picture)
    return np.asarray(_flat(picture, "L" if picture.mode in ("1", "L", "LA") else "RGB"))


def _in_bytes(picture: Image.Image, values: NDArray[Any], pixel_range: tuple[float, float]) -> Image.Image:
    """A picture of these values in 8 bits, with black and white at the ends of a range; it lies as `picture` does."""
    result = Image.fromarray(to_bytes(values, pixel_range, has_white_zero(picture) and is_deep(picture)))
    clear = picture.info.get("transparency")  # of a PNG: the one shade that is transparent
    if isinstance(clear, int) and is_deep(picture):
        result.paste(255, mask=Image.fromarray(values == clear))
    result.getexif().update(picture.getexif())
    return result


def _flattened(values: NDArray[Any], pixel_range: tuple[float, float]) -> tuple[float, float, int] | None:
    """The least and greatest value, and the shades that they become, where a range leaves few shades of many values; else None."""
    some = values.ravel()[:: max(1, values.size // _SAMPLED)]
    some = some[np.isfinite(some)]
    shades = int(np.count_nonzero(np.bincount(to_bytes(some, pixel_range))))
    if shades >= FEW_SHADES or len(np.unique(some)) <= 4 * shades:
        return None
    return float(np.nanmin(some)), float(np.nanmax(some)), shades


def _outside(values: NDArray[Any], pixel_range: tuple[float, float]) -> int:
    """How many values are not in a range."""
    low, high = pixel_range
    return int(values.size - sum(np.count_nonzero((band >= low) & (band <= high)) for band in bands(values)))


def _more_pages(picture: Image.Image) -> int:
    """How many pages or frames a file has after the first; those that cannot be read do not count."""
    if picture.format not in ("TIFF", "GIF", "PNG", "WEBP", "AVIF"):  # further pictures in a camera's file are small copies
        return 0
    pages = 0
    try:
        if picture.format in ("GIF", "PNG"):
            return int(getattr(picture, "is_animated", False)) and min(MOST_PAGES, int(getattr(picture, "n_frames", 1)) - 1)
        while pages < MOST_PAGES:
            picture.seek(pages + 1)
            pages += 1
    except Exception:  # Pillow's readers raise any error on a damaged file
        pass
    return pages


def _largest(picture: Image.Image, shape: ImageShape) -> tuple[int, int]:
    """The largest width and height in a picture with the proportions of `shape`."""
    width = min(picture.width, max(1, round(picture.height * shape.width / shape.height)))
    return width, min(picture.height, max(1, round(width * shape.height / shape.width)))


def _flat(picture: Image.Image, mode: str) -> Image.Image:
    """A picture of 8 bits in mode L or RGB, on white."""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        page = Image.new("RGB", picture.size, "white")
        page.paste(picture, mask=picture.getchannel("A"))
        return page.convert(mode)
    return picture if picture.mode == mode else picture.convert("RGB").convert(mode)  # Pillow does not turn every mode into L
