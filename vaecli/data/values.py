"""Pictures of numbers, such as 16 bits or floats: which of their values are black and white, settled once for all of a folder."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from vaecli.errors import DataError

BYTE_RANGE = 0.0, 255.0
"""The range of pictures with 8 bits per value."""

DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
"""Pillow's modes of grey with more than 256 levels."""

WHOLE_WHITES = 1, 127, 255, 1023, 4095, 16383, 65535
"""White in pictures of whole numbers: the largest value of 1, 7 (8 with a sign), 8, 10, 12, 14 and 16 bits."""

FLOAT_WHITES = 1, 255, 65535
"""White in pictures of floats."""

OVERSHOOT = 1.05
"""Filters exceed white by a few percent, so floats up to this many times white have it."""

_BITS, _WHITE_IS_ZERO, _SAMPLES, _PLANAR, _SAMPLE_FORMAT = 258, 262, 277, 284, 339
_SIGNED = 2

_BAND = 1 << 20
"""Values of a picture that are computed with at a time."""

_NOT_NATIVE = re.compile(r"(;16|;32)B?(S|F)$")
"""The end of a name that Pillow has for numbers with a sign, or floats, in a stated order of bytes."""

_SPREAD = {"L;2": 85, "L;4": 17}
"""How many shades of 8 bits one of fewer takes, by Pillow's name of how they lie in the file."""


class Extent(NamedTuple):
    """The values of one picture, or of several.

    Attributes:
        kind: ``bytes`` of 256 levels, ``whole`` numbers or ``floats`` of more; ``halved`` for 16-bit colours, of which Pillow reads
            the high 8 bits.
        low: the least value.
        high: the greatest value.
    """

    kind: str
    low: float
    high: float


def is_deep(picture: Image.Image) -> bool:
    """Whether a picture has other values than bytes from 0 to 255."""
    return picture.mode in DEEP or (picture.mode == "L" and _tag(picture, _SAMPLE_FORMAT, 1) == _SIGNED)


def is_halved(picture: Image.Image) -> bool:
    """Whether a picture has 16 bits a colour, which Pillow cuts to 8. Asked before its pixels are unpacked."""
    return picture.format in ("PNG", "TIFF") and not is_deep(picture) and any(";16" in text for text in _raw_modes(picture))


def mend_numbers(picture: ImageFile.ImageFile) -> None:
    """Mends what Pillow gets wrong of numbers in a file, before its pixels are unpacked.

    libtiff gives a packed TIFF file's values in the order of bytes of this machine, which Pillow knows of few kinds; a grey PNG
    of 2 or 4 bits is spread over 8, and its transparent shade is not.
    """
    if picture.format == "TIFF":
        picture.tile = [
            tile._replace(args=tuple(_NOT_NATIVE.sub(r"\1N\2", arg) if isinstance(arg, str) else arg for arg in tile.args))
            if tile.codec_name == "libtiff" and isinstance(tile.args, tuple)
            else tile
            for tile in picture.tile
        ]
    clear, packed = picture.info.get("transparency"), set(_raw_modes(picture))
    if picture.format == "PNG" and isinstance(clear, int) and packed & _SPREAD.keys():
        picture.info["transparency"] = clear * _SPREAD[next(iter(packed & _SPREAD.keys()))]


def numbers(picture: Image.Image) -> NDArray[Any]:
    """The values of a picture that `is_deep`, in the type that they have: shape (height, width)."""
    values = np.asarray(picture)
    if picture.mode == "L":
        values = values.view(np.int8)
    elif picture.mode == "I" and _tag(picture, _SAMPLE_FORMAT, 1) == 1 and _tag(picture, _BITS, 0) == 32:
        values = values.view(np.uint32)  # Pillow has 32 bits with a sign only
    return values


def bands(values: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    """The values as float32, some rows at a time, so that they take little memory."""
    rows = max(1, _BAND // max(1, values[0].size))
    for start in range(0, len(values), rows):
        yield values[start : start + rows].astype(np.float32)


def has_white_zero(picture: Image.Image) -> bool:
    """Whether 0 is white in a picture that `is_deep`: in a TIFF file, whose tags say so."""
    return _tag(picture, _WHITE_IS_ZERO, 1) == 0


def extent(picture: Image.Image) -> Extent:
    """The least and the greatest value of a picture; numbers that are not finite are left out."""
    if is_halved(picture):
        ranges = picture.getextrema()
        pairs = [pair for pair in ranges if isinstance(pair, tuple)]
        return Extent("halved", 0, float(max(pair[1] for pair in pairs[:3])))
    if not is_deep(picture):
        return Extent("bytes", *BYTE_RANGE)
    low, high, whole = np.inf, -np.inf, True
    for band in bands(numbers(picture)):
        finite = band[np.isfinite(band)]
        if len(finite):
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
            whole = whole and (picture.mode != "F" or bool((finite == np.rint(finite)).all()))
    if low > high:  # no finite number
        return Extent("floats", 0, 0)
    if picture.format == "PPM" and picture.mode == "I":  # Pillow scales its values so that white is 65535
        low, high = 0, 65535
    return Extent("whole" if whole and (picture.mode != "F" or high > 1) else "floats", low, high)


def settle(extents: Iterable[Extent]) -> tuple[float, float]:
    """The values that are black and white in pictures of these extents, read as one folder.

    Bytes have 0 and 255. Whole numbers have white at the least of WHOLE_WHITES that holds the greatest of them,
    floats at 1, 255 or 65535; where that is far above the greatest (four times, of floats twice), the greatest is white. Where a
    value is below 0, black is the least and white the greatest value.

    Raises:
        DataError: no range suits them all; the message says why, and names no file.
    """
    of = dict[str, Extent]()
    for kind, low, high in extents:
        before = of.get(kind, Extent(kind, low, high))
        of[kind] = Extent(kind, min(low, before.low), max(high, before.high))
    if "halved" in of and of["halved"].high < 64:
        top = 256 * int(of["halved"].high + 1)
        raise DataError(
            f"found colours of 16 bits that end below {top:,}, of which only the high 8 bits can be read; expected colours of 8 "
            "bits: convert the pictures so that white is 255"
        )
    settled = {kind: _settled(of[kind]) for kind in ("whole", "floats") if kind in of}
    if not settled:
        return BYTE_RANGE
    first, *others = settled.values()
    if others and others[0] != first:
        raise DataError(
            f"found whole numbers {in_words(first)} beside floats {in_words(others[0])}, expected one kind: convert some of the "
            "pictures, or give the values of black and white with {pixel_range=LOW,HIGH}"
        )
    if ("bytes" in of or "halved" in of) and first[1] <= 255 and first != BYTE_RANGE:
        raise DataError(
            f"found pictures of 8 bits beside numbers {in_words(first)}, which one range does not suit; expected one kind: convert "
            "some of the pictures"
        )
    return first


def in_words(pair: tuple[float, float]) -> str:
    """A range of values as text, such as ``from 0 to 4,095``."""
    return f"from {pair[0]:,.6g} to {pair[1]:,.6g}"


def is_for_bytes(pixel_range: tuple[float, float]) -> bool:
    """Whether a range is one of bytes; pictures of 8 bits beside deeper ones keep 0 to 255."""
    return pixel_range[0] >= 0 and pixel_range[1] <= 255


def to_bytes(values: NDArray[Any], pixel_range: tuple[float, float], inverted: bool = False) -> NDArray[np.uint8]:
    """Values with black at the low end of the range and white at its high end, as bytes; values outside are cut to its ends.

    Values that are no numbers become black.
    """
    (low, high), result, start = pixel_range, np.empty(values.shape, np.uint8), 0
    for band in bands(values):
        scaled = np.nan_to_num((band - low) * (255 / (high - low)), nan=0, posinf=255, neginf=0)
        scaled = np.rint(scaled.clip(0, 255))
        result[start : start + len(band)] = 255 - scaled if inverted else scaled
        start += len(band)
    return result


def _settled(of: Extent) -> tuple[float, float]:
    whole = of.kind == "whole"
    if of.low < 0 and (whole or of.low < 1 - OVERSHOOT):
        return of.low, max(of.high, of.low + 1e-6 * abs(of.low))
    whites, slack, near = (WHOLE_WHITES, 1.0, 4) if whole else (FLOAT_WHITES, OVERSHOOT, 2)
    white = next((white for white in whites if of.high <= white * slack), of.high)
    if of.high <= 0:
        return 0.0, 1.0
    return 0.0, float(white if near * of.high > white else of.high)


def check_samples(picture: Image.Image) -> None:
    """Refuses a TIFF file with more values per pixel than Pillow reads of it.

    Raises:
        DataError: it has; the message is a phrase.
    """
    samples = _tag(picture, _SAMPLES, 1)
    unnamed = [len(match[0]) for text in _raw_modes(picture) if (match := re.match("RGBX+", text))]
    if picture.format == "TIFF" and samples > max([len(picture.getbands()), *unnamed]):
        raise DataError(f"found {samples} values per pixel, of which Pillow reads {len(picture.getbands())}; expected grey or RGB")
    if picture.format == "TIFF" and samples > 1 and _tag(picture, _PLANAR, 1) == 2 and _tag(picture, _BITS, 8) != 8:
        raise DataError("found colours in planes of their own, which Pillow reads of 8 bits only; save them pixel by pixel")


def _tag(picture: Image.Image, number: int, default: int) -> int:
    """The first number of a TIFF file's tag."""
    value = getattr(picture, "tag_v2", {}).get(number, default)
    first = value[0] if isinstance(value, tuple) and value else value
    return first if isinstance(first, int) else default


def _raw_modes(picture: Image.Image) -> list[str]:
    """How the pixels lie in the file, as Pillow writes it: ``RGB;16L``. Asked before they are unpacked."""
    tiles = (tile[3] for tile in getattr(picture, "tile", ()))
    return [part for value in tiles for part in (value if isinstance(value, tuple) else (value,)) if isinstance(part, str)]
