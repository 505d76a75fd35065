"""A person's own picture: opened with care, and prepared as the images of a data set are."""

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from pi_heif import HeifImageFile
from PIL import Image, ImageOps, TiffImagePlugin
from torch import Tensor

from vaecli.data.values import check_samples, extent, has_white_zero, is_deep, mend_numbers, numbers, settle, to_bytes
from vaecli.errors import DataError, reason
from vaecli.image_shape import ImageShape
from vaecli.memory import machine_memory
from vaecli.reading import Slice, open_place

MAX_BYTES = 1 << 28
"""Bytes of a file that is read; Pillow reads as much of a file as the file says."""

MAX_MEMORY = 5 << 28
"""Bytes of memory that all pictures which are unpacked at one time may take, and so the most that one may."""

LARGE = 1000
"""Pixels per side to which a larger picture is shrunk first."""

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "AVIF", "TIFF", "PPM")
"""Formats of pictures that Pillow opens here; it reads some others by starting programs."""

KINDS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "AVIF", "HEIC", "TIFF", "PPM")
"""Formats of pictures, for messages."""

MEMORY_OF = {
    "JPEG": (12, 12), "PNG": (12, 22), "GIF": (12, 16), "BMP": (13, 22), "WEBP": (18, 30), "AVIF": (13, 26), "HEIF": (10, 22),
    "TIFF": (18, 28), "PPM": (13, 28),
}  # fmt: skip
"""Bytes of memory per pixel that unpacking and preparing a picture takes at the most, by its format: of an ordinary one, and of one
with transparency or more than 256 levels. A test measures some of them."""

_PROGRESSIVE = 8
"""Bytes per pixel of the whole picture that a progressive JPEG takes, also where it is shrunk as it is unpacked."""

_SIGNATURES = (
    (b"\x89PNG", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF8", "GIF"), (b"BM", "BMP"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"), (b"MM\0+", "TIFF"), (b"%PDF", "PDF"), (b"8BPS", "Photoshop"), (b"\x89HDF", "HDF5"), (b"\x93NUMPY", "NumPy"),
    (b"PK\3\4", "ZIP"), (b"\0\0\0\x0cjP", "JPEG 2000"), (b"\xff\x0a", "JPEG XL"), (b"\0\0\0\x0cJXL", "JPEG XL"),
    (b"\x76\x2f\x31\x01", "OpenEXR"), (b"<svg", "SVG"), (b"<?xml", "XML"), (b"SIMPLE  =", "FITS"), (b"\0\0\1\0", "ICO"),
)  # fmt: skip
"""How files begin, by their format."""

_HEAD = 25
"""Bytes of a PNG up to its number of bits, the last of them."""

_FAINT = 0.1


class Prepared(NamedTuple):
    """A person's own picture in the form of a data set's images.

    Attributes:
        pixels: uint8, shape (shape.size,).
        remarks: phrases about what was changed that a person may not expect, such as what was cut off.
    """

    pixels: Tensor
    remarks: tuple[str, ...] = ()


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

    Of two shades the lighter one is white, whatever it is: masks of 0 and 1 look black.

    Raises:
        DataError: it is missing, not a picture, or too large.
    """
    picture = open_picture(path).convert("L")
    if len(picture.getcolors() or ()) == 2:
        picture = ImageOps.autocontrast(picture)
    picture = picture.resize((shape.width, shape.height), Image.Resampling.BOX)
    white = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8) > 127
    return white.repeat(shape.channels)


def _corner(mass: Tensor, side: int) -> int:
    """The start of a strip of pixels that puts its centre of mass in the middle of a page of this side."""
    centre = float((mass * (torch.arange(len(mass)) + 0.5)).sum() / mass.sum())
    return min(max(round(side / 2 - centre), 0), side - len(mass))


def open_picture(path: Path) -> Image.Image:
    """A picture, upright and not too large, in grey or RGBA of 8 bits; values of more bits fill the range from black to white.

    Raises:
        DataError: it is missing, not a picture, or too large.
    """
    with without_warnings(), checked_picture(path) as opened:
        picture = opened
        if is_deep(opened):
            grey = to_bytes(numbers(opened), settle([extent(opened)]), has_white_zero(opened))
            picture = Image.fromarray(grey)
        blended = picture.mode not in ("1", "P", "PA")  # Pillow averages none of these
        if max(picture.size) > LARGE:
            picture.thumbnail((LARGE, LARGE), Image.Resampling.BOX if blended else Image.Resampling.NEAREST)
        upright = ImageOps.exif_transpose(picture)
        return upright if upright.mode == "L" and not upright.has_transparency_data else upright.convert("RGBA")


@contextmanager
def checked_picture(path: Path | Slice, least: tuple[int, int] | None = None) -> Iterator[Image.Image]:
    """A picture that takes not too much memory, its pixels not yet unpacked; the file is closed at the end.

    Pillow warns of some damage, so this stands inside `without_warnings`.

    Args:
        path: the file, or the part of one.
        least: width and height in pixels; a JPEG is shrunk as it is unpacked, to no less than these.

    Raises:
        DataError: it is missing, not a picture, or too large, or what is done with it meanwhile fails.
    """
    try:
        with open_place(path) as (file, size):
            if size > MAX_BYTES:
                raise DataError(f"{path}: found {size:,} bytes, expected a picture of at most {MAX_BYTES:,}")
            # Pillow trusts the size that a file declares, and takes memory for it; so no more bytes are read than there are
            data = file.read(size)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected a picture") from None
    except OSError as error:
        raise _unreadable(path, error, b"") from None
    with checked_bytes(data, path, least) as picture:
        yield picture


@contextmanager
def checked_bytes(data: bytes, path: Path | Slice, least: tuple[int, int] | None = None) -> Iterator[Image.Image]:
    """As `checked_picture`, of a file's bytes; `path` names them in messages.

    Raises:
        DataError: it is not a picture, or too large, or what is done with it meanwhile fails.
    """
    try:
        with _opened(data) as picture:
            whole = picture.width * picture.height
            if least:
                picture.draft(None, least)
            check_samples(picture)
            kinds = MEMORY_OF.get(picture.format or "", MEMORY_OF["JPEG"])
            need = kinds[is_deep(picture) or picture.has_transparency_data] * picture.width * picture.height
            need += _PROGRESSIVE * whole if picture.info.get("progressive") else 0
            if need > _memory().most:
                raise DataError(
                    f"{path}: {picture.width:,} x {picture.height:,} pixels may take {need / 1e9:.1f} GB of memory, expected at "
                    "most "
                    f"{_memory().most / 1e9:.1f}; make the picture smaller"
                )
            with _memory().taken(need):
                yield picture
    except DataError as error:
        if str(error).startswith(f"{path}: "):
            raise
        raise DataError(f"{path}: {error.message}", **error.settings) from None
    except Image.DecompressionBombError:
        raise DataError(
            f"{path}: found more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, the most that Pillow opens; make it smaller"
        ) from None
    except Exception as error:  # Pillow's readers raise any error on a damaged file
        raise _unreadable(path, error, data) from None


def looks_like_bytes(path: Path | Slice) -> bool:
    """Whether a picture begins as a JPEG or as a PNG of at most 8 bits, whose values are bytes if it can be read at all."""
    try:
        with open_place(path) as (file, size):
            head = file.read(min(size, _HEAD))
    except OSError:
        return False
    return head.startswith(b"\xff\xd8\xff") or (
        head[:8] == b"\x89PNG\r\n\x1a\n" and head[12:16] == b"IHDR" and head[24:25] <= b"\x08"
    )


def _unreadable(path: Path | Slice, error: Exception, data: bytes) -> DataError:
    why = reason(error) if isinstance(error, OSError) and error.strerror else _why(error, data, path.name)
    return DataError(f"{path}: cannot be read as a picture ({why[:120]}); expected a PNG, JPEG or the like")


def _opened(data: bytes) -> Image.Image:
    """A picture of any of KINDS, its pixels not yet unpacked."""
    if data[4:8] == b"ftyp" and data[8:12] not in (b"avif", b"avis"):
        picture: Image.Image = HeifImageFile(io.BytesIO(data))
        return picture
    picture = Image.open(io.BytesIO(data), formats=FORMATS)
    mend_numbers(picture)
    return picture


def _why(error: Exception, data: bytes, file_name: str) -> str:
    """Why Pillow cannot read a file with these bytes."""
    head = data[:16]
    name = next((name for start, name in _SIGNATURES if head.startswith(start)), None)
    if name is None and head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        name = "WEBP"
    if name is None and head[4:8] == b"ftyp":
        name = "AVIF" if head[8:11] == b"avi" else "HEIC"
    if (
        name is None
        and head[:1] == b"P"
        and head[1:2] in b"123456fF"
        and file_name.lower().endswith((".pbm", ".pgm", ".ppm", ".pnm", ".pfm"))
    ):
        name = "three-colour PFM" if head[1:2] == b"F" else "PPM"
    if not head:
        return "the file is empty"
    if name is None:
        return "not a picture"
    if name not in KINDS:
        return f"a {name} file, which vaecli does not read"
    if name == "TIFF":
        return _why_tiff(data) or "a TIFF file that is cut short or damaged, or packed in a way that Pillow does not know"
    return f"a {name} file that is cut short or damaged"


def _why_tiff(data: bytes) -> str:
    """What Pillow does not know of a TIFF file's pixels; empty if it knows them."""
    try:
        file = io.BytesIO(data)
        head = file.read(8)
        if head[2:3] == b"+":
            head += file.read(8)
        tags = TiffImagePlugin.ImageFileDirectory_v2(head)
        file.seek(tags.next)
        tags.load(file)
        bits, samples = tags.get(258, (1,)), tags.get(277, 1)
        kinds = {1: "unsigned", 2: "signed", 3: "floats", 5: "complex", 6: "complex"}
        sample = tags.get(339, (1,))[0]
        kind = kinds.get(sample, "other")
    except Exception:  # the file's own tags are damaged
        return ""
    known = {(key[0], key[1], key[2][0], key[4]) for key in TiffImagePlugin.OPEN_INFO}
    if (b"II" if head[:2] == b"II" else b"MM", tags.get(262, 0), sample, tuple(bits)) in known:
        return ""
    what = f"{bits[0]}-bit floats" if kind == "floats" else f"{kind} values of {bits[0]} bits"
    return f"a TIFF file that Pillow does not read: {samples} value{'s' * (samples > 1)} per pixel, {what}"


@cache
class _Memory:
    """Memory that several threads share: each takes a part of it and waits until there is enough.

    Attributes:
        most: bytes in all, at most a quarter of what the machine has.
    """

    def __init__(self) -> None:
        self.most = min(MAX_MEMORY, machine_memory() // 4)
        self._left = self.most
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, need: int) -> Iterator[None]:
        """Waits until so many bytes are left, and takes them while entered."""
        with self._changed:
            self._changed.wait_for(lambda: self._left >= need)
            self._left -= need
        try:
            yield
        finally:
            with self._changed:
                self._left += need
                self._changed.notify_all()


_memory = cache(_Memory)
"""The memory that is shared by all threads that unpack pictures."""


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
    light = picture
    if picture.mode == "RGBA":
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
