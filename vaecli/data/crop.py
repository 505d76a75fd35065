"""One picture, scaled and cut to the shape of the images."""

from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageOps
from torch import Tensor

from vaecli.data.picture import DEEP, checked_picture
from vaecli.image_shape import ImageShape

WHITE = 1.0, 255.0, 65535.0
"""The values of white in pictures of numbers; a picture's white is the least of these that none of its pixels exceeds."""


class Cropped(NamedTuple):
    """A picture in the shape of the images.

    Attributes:
        pixels: its bytes, channel by channel, each row by row; as many as the shape's size.
        cut: whether a part of it was cut off.
    """

    pixels: bytes
    cut: bool

    @property
    def tensor(self) -> Tensor:
        """The bytes as a tensor: uint8, shape (shape.size,)."""
        return torch.frombuffer(bytearray(self.pixels), dtype=torch.uint8)


def read_cropped(path: Path, shape: ImageShape) -> Cropped:
    """The middle of a picture, as large as fits, scaled to `shape`; a picture that has that size keeps its pixels.

    It is turned as its EXIF data say, and of an animation it is the first frame. Transparency becomes white. It stands inside
    `without_warnings`.

    Raises:
        DataError: it is missing, not a picture, or too large.
    """
    with checked_picture(path) as picture:
        # a JPEG's decoder can halve a picture as it unpacks it; the rest of the way is at least another halving, with a good filter
        picture.draft(None, (2 * shape.width, 2 * shape.height))
        return crop(ImageOps.exif_transpose(picture), shape)


def crop(picture: Image.Image, shape: ImageShape) -> Cropped:
    """The middle of a picture, as `read_cropped` gives it of a file."""
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
    return Cropped(b"".join(channel.tobytes() for channel in scaled.split()), (width, height) != flat.size)


def _largest(picture: Image.Image, shape: ImageShape) -> tuple[int, int]:
    """The largest width and height in a picture with the proportions of `shape`."""
    width = min(picture.width, max(1, round(picture.height * shape.width / shape.height)))
    return width, min(picture.height, max(1, round(width * shape.height / shape.width)))


def _flat(picture: Image.Image, mode: str) -> Image.Image:
    """A picture of any mode in mode L or RGB, on white."""
    if picture.mode in DEEP:
        return _shallow(picture).convert(mode)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        page = Image.new("RGB", picture.size, "white")
        page.paste(picture, mask=picture.getchannel("A"))
        return page.convert(mode)
    return picture if picture.mode == mode else picture.convert("RGB").convert(mode)  # Pillow does not turn every mode into L


def _shallow(picture: Image.Image) -> Image.Image:
    """Grey of 256 shades from a mode of `DEEP`; white is 65535 for whole numbers, more if there are larger ones."""
    values = _numbers(picture).nan_to_num(0, 0, 0)
    top = float(values.max())
    white = next((value for value in WHITE if value >= top), top) if picture.mode == "F" else max(WHITE[-1], top)
    bytes_ = (values.clamp(min=0) * (255 / white)).round().clamp(max=255)
    clear = picture.info.get("transparency")  # of a PNG: the one shade that is transparent
    if isinstance(clear, int):
        bytes_[values == clear] = 255
    return Image.frombytes("L", picture.size, bytes_.to(torch.uint8).numpy().tobytes())


def _numbers(picture: Image.Image) -> Tensor:
    """The values of a picture of one channel: float32, shape (height * width,)."""
    return torch.frombuffer(bytearray(picture.convert("F").tobytes()), dtype=torch.float32)
