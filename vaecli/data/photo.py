"""Photographs, as images of one shape."""

from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor

from vaecli.data.picture import open_picture
from vaecli.image_shape import ImageShape


def read_photo(path: Path, shape: ImageShape) -> Tensor:
    """The middle of a person's own picture, scaled: uint8, shape (shape.size,). Transparency becomes white.

    Raises:
        DataError: it is missing, not a picture, or too large.
    """
    picture = open_picture(path)
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return middle(picture, shape)


def middle(picture: Image.Image, shape: ImageShape) -> Tensor:
    """The largest part in the middle of a picture that has the proportions of `shape`, scaled: uint8, shape (shape.size,)."""
    picture = picture.convert("L" if shape.channels == 1 else "RGB")
    size = shape.width, shape.height
    if picture.size != size:
        picture = ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return pixels.view(-1, shape.channels).T.flatten()
