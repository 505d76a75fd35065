"""The pixels of an image that are seen: one half of it, or what is white in a picture."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from vaecli.arguments import checked
from vaecli.data.picture import read_mask
from vaecli.errors import UsageError
from vaecli.image_shape import ImageShape

Half = Literal["top", "bottom", "left", "right"]


@checked
def half(name: Half, shape: ImageShape) -> Tensor:
    """The pixels of one half of an image of this shape, boolean, shape (D,).

    Raises:
        UsageError: there is no half of this name.
    """
    page = torch.zeros(shape.channels, shape.height, shape.width, dtype=torch.bool)
    middle = (shape.height if name in ("top", "bottom") else shape.width) // 2
    first = slice(0, middle) if name in ("top", "left") else slice(middle, None)
    if name in ("top", "bottom"):
        page[:, first] = True
    else:
        page[:, :, first] = True
    return page.flatten()


def white_pixels(picture: Path, shape: ImageShape) -> Tensor:
    """The pixels of an image of this shape that are white in a picture, boolean, shape (D,).

    Raises:
        DataError: it cannot be read.
        UsageError: it is white all over, or black all over.
    """
    observed = read_mask(picture, shape)
    if observed.all() or not observed.any():
        colour = "white" if observed.all() else "black"
        raise UsageError(
            f"{{mask}}: it is {colour} all over; expected white where pixels are seen and black where they are missing",
            mask=picture,
        )
    return observed
