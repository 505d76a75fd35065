"""A person's own picture: opened with care, and prepared as the images of a data set are."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor

from vaecli.errors import DataError, reason
from vaecli.image_shape import ImageShape
from vaecli.reading import open_file

MAX_PIXELS = 25_000_000
"""Pixels of most cameras' pictures; a larger picture is refused before it is unpacked."""

MAX_BYTES = 4 * MAX_PIXELS
"""Bytes of so many pixels unpacked; Pillow reads as much of a file as the file says."""

LARGE = 1000
"""Pixels a side to which a larger picture is shrunk first."""

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
"""Formats of pictures; Pillow reads some others by starting programs."""

DEEP = ("I", "I;16", "I;16B", "I;16L", "F")
"""Pillow's modes of grey with more than 256 shades."""

_FAINT = 0.1


@dataclass(frozen=True)
class Drawing:
    """How a drawing is prepared, as MNIST's makers prepared theirs (LeCun et al. 1998, section III.A).

    Attributes:
        box: the side of the square, in pixels, that the drawing fits in an image of 28 x 28.
        centred_by_mass: whether the drawing's centre of mass is the middle of its image; else the middle of its outline is.
    """

    box: int
    centred_by_mass: bool

    def read(self, path: Path, shape: ImageShape) -> Tensor:
        """The pixels of a picture, white on black: uint8, shape (shape.size,).

        The drawing is scaled to fit the box with its aspect ratio kept, and placed by its centre; in an image larger than 28 x 28
        a black border surrounds that. A light background is turned dark, transparency counts as background. A picture that has
        the size already is only turned white on black.

        Args:
            path: the file.
            shape: of the images, which are grey and at least 28 x 28.

        Raises:
            DataError: it is missing, not a picture, too large, or blank.
        """
        own = shape.height, shape.width
        grey = _ink(open_picture(path), own)
        drawn = grey > _FAINT
        if not drawn.any():
            raise DataError(f"{path}: the picture is blank: expected a drawing, dark on light or light on dark")
        if grey.shape == own:
            return (grey * 255).round().to(torch.uint8).flatten()
        rows, columns = drawn.any(1).nonzero().flatten(), drawn.any(0).nonzero().flatten()
        digit = grey[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]
        scale = self.box / max(digit.shape)
        size = [max(1, round(side * scale)) for side in digit.shape]
        small = Image.fromarray((digit * 255).round().to(torch.uint8).numpy()).resize(
            (size[1], size[0]), Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
        )
        pixels = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(size).float()
        page = torch.zeros(own)
        masses = [pixels.sum(1 - axis) if self.centred_by_mass else torch.ones(size[axis]) for axis in (0, 1)]
        top, left = (_corner(mass, side) for mass, side in zip(masses, own, strict=True))
        page[top : top + size[0], left : left + size[1]] = pixels * (255 / pixels.max())
        return page.round().to(torch.uint8).flatten()


def read_mask(path: Path, shape: ImageShape) -> Tensor:
    """The pixels that are white in a picture of any size, scaled to that of `shape`: boolean, shape (shape.size,).

    Raises:
        DataError: it is missing, not a picture, or too large.
    """
    picture = open_picture(path).convert("L").resize((shape.width, shape.height), Image.Resampling.BOX)
    white = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8) > 127
    return white.repeat(shape.channels)


def _corner(mass: Tensor, side: int) -> int:
    """The start of a strip of pixels that puts its centre of mass in the middle of a page of this side."""
    centre = float((mass * (torch.arange(len(mass)) + 0.5)).sum() / mass.sum())
    return min(max(round(side / 2 - centre), 0), side - len(mass))


def open_picture(path: Path) -> Image.Image:
    """A picture, upright and not too large, in one of the modes `DEEP` or in RGBA.

    Raises:
        DataError: it is missing, not a picture, or too large.
    """
    with without_warnings(), checked_picture(path) as picture:
        if max(picture.size) > LARGE:
            blended = picture.mode not in ("1", "P", "I;16", "I;16B", "I;16L")  # Pillow averages none of these
            picture.thumbnail((LARGE, LARGE), Image.Resampling.BOX if blended else Image.Resampling.NEAREST)
        upright = ImageOps.exif_transpose(picture)
        return upright if upright.mode in DEEP else upright.convert("RGBA")


@contextmanager
def checked_picture(path: Path) -> Iterator[Image.Image]:
    """A picture of a size that is not too large, its pixels not yet unpacked; the file is closed at the end.

    Pillow warns of some damage, so this stands inside `without_warnings`.

    Raises:
        DataError: it is missing, not a picture, or too large, or what is done with it meanwhile fails.
    """
    try:
        with open_file(path) as file:
            if (size := os.fstat(file.fileno()).st_size) > MAX_BYTES:
                raise DataError(f"{path}: found {size:,} bytes, expected a picture of at most {MAX_BYTES:,}")
            # Pillow asks a file for as many bytes as its contents say, and a file takes the memory for them though it has fewer
            with Image.open(io.BytesIO(file.read(size)), formats=FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise DataError(f"{path}: {picture.width} x {picture.height} pixels, expected at most {MAX_PIXELS:,} in all")
                yield picture
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected a picture") from None
    except Image.DecompressionBombError:
        raise DataError(f"{path}: found far more pixels than the {MAX_PIXELS:,} that a picture may have") from None
    except Exception as error:  # Pillow's readers raise any error on a damaged file
        why = (
            (reason(error) if error.strerror else "not a picture, or cut short")
            if isinstance(error, OSError)
            else f"{type(error).__name__}: {error}"
        )
        raise DataError(f"{path}: cannot be read as a picture ({why[:80]}); expected a PNG, JPEG or the like") from None


@contextmanager
def without_warnings() -> Iterator[None]:
    """While entered, no warning is shown, in any thread; threads may not enter it at the same time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _ink(picture: Image.Image, clean: tuple[int, int]) -> Tensor:
    """The ink of each pixel in [0, 1]; 0 is the background, whether that was light or dark; shape (height, width).

    A picture of the size `clean` whose background is black already is left as it is.
    """
    if picture.mode in DEEP:
        values = torch.tensor(list(picture.convert("F").get_flattened_data()), dtype=torch.float32)
        values = (values / (values.max() if picture.mode in ("I", "F") else 65535)).clamp(0, 1)
        grey = values.view(picture.height, picture.width)
    else:
        alpha = picture.getchannel("A")
        light = picture.convert("L")
        if min(alpha.tobytes()) < 255:
            # transparent pixels are background: white if the drawing is dark, else black
            marks = torch.frombuffer(bytearray(light.tobytes()), dtype=torch.uint8)[
                torch.frombuffer(bytearray(alpha.tobytes()), dtype=torch.uint8) > 127
            ]
            paper = 255 if not len(marks) or float(marks.float().mean()) < 128 else 0
            light = Image.composite(light, Image.new("L", light.size, paper), alpha)
        grey = torch.frombuffer(bytearray(light.tobytes()), dtype=torch.uint8).view(light.height, light.width).float() / 255
    edge = torch.cat((grey[0], grey[-1], grey[:, 0], grey[:, -1])).median()
    if edge > 0.5:
        grey = 1 - grey
        edge = 1 - edge
    if grey.shape == clean and edge == 0:
        return grey
    # paper is uneven: pixels up to a third of the way from it to the darkest ink count as paper
    top = grey.max()
    floor = edge + (top - edge) / 3 if edge > 0 else edge
    return ((grey - floor) / (top - floor).clamp(min=1e-6)).clamp(0, 1) if top - edge > 0.1 else torch.zeros_like(grey)
