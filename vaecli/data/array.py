"""Images in an array: from its layout and its values to bytes, with their splits and labels."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import isqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vaecli.data.dataset import Request
from vaecli.data.images import UNKNOWN, Images, Reading
from vaecli.data.tree import MAX_CLASSES, MAX_NAME, MAX_NAMES, TRAIN, escape_controls, path_hash, split_pictures
from vaecli.data.values import BYTE_RANGE, FLOAT_WHITES, Extent, bands, is_for_bytes, settle, to_bytes
from vaecli.errors import DataError, UsageError
from vaecli.image_shape import COLOURS, ImageShape
from vaecli.registry import IMAGE_SIZE

LAYOUTS = "(N, H, W), (N, H, W, 3), (N, 3, H, W), or (N, D) with D a square"
"""The shapes of an array of images, in words."""

_KINDS = "buif"
"""NumPy's kinds of numbers and bools."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Part:
    """The images of one split, or of all.

    Attributes:
        images: one of LAYOUTS, with 1 or 3 channels; numbers or bools.
        labels: shape (N,), whole numbers from 0 with UNKNOWN, or words with "" for unknown; None where there are none.
        name: of the array, such as ``x_train``.
    """

    images: Array
    labels: Array | None
    name: str


@dataclass(frozen=True)
class Arrays:
    """A person's own arrays.

    Attributes:
        place: the file they are in; for those that are in no file, a word.
        train: the training set, or all images where `test` is None.
        test: the test set; None to choose one image in ten by a hash of its pixels.
        validation: images kept for validation; None where there are none.
        class_names: of the labels 0, 1, ...; empty to take the words, or the numbers, that occur.
    """

    place: Path
    train: Part
    test: Part | None = None
    validation: Part | None = None
    class_names: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        """Those that there are, the training set first."""
        return tuple(part for part in (self.train, self.test, self.validation) if part is not None)


class _Layout(NamedTuple):
    """How the values of an image lie: its shape, and whether the colours of a pixel are side by side."""

    shape: ImageShape
    colours_last: bool


def images_of(arrays: Arrays, request: Request) -> Images:
    """A split of a person's own arrays, in the order of a hash of the pixels, so that the first few are of all labels.

    Equal images have one hash, and so they are in one split where the test set is chosen by it.

    Args:
        arrays: the images.
        request: the split and, where they are stated, the size, the colours and the values of black and white.

    Raises:
        DataError: the arrays hold no images, or cannot be those that are wanted; the message says what to give.
        UsageError: fewer images are kept for validation than the request asks for.
    """
    layouts = list(_layouts(arrays))
    first = layouts[0].shape
    for part, layout in zip(arrays.parts, layouts, strict=True):
        if layout.shape != first:
            raise _wrong(arrays, part, f"found images of {layout.shape}, expected {first}, as {arrays.train.name} has")
    shape = _wanted_shape(arrays, first, request)
    pixel_range = _range(arrays, request.pixel_range)
    labels, class_names = _labels(arrays)
    rows = [_in_bytes(part, layout, pixel_range) for part, layout in zip(arrays.parts, layouts, strict=True)]
    keys = [[blake2b(row.data, digest_size=16).hexdigest() for row in some] for some in rows]
    train, test, kept = _splits(arrays, keys)
    held = _held(arrays, kept, request)
    chosen = train + held if request.split == TRAIN else test
    part_of = np.array([part for part, _ in chosen])
    index_of = np.array([index for _, index in chosen])
    pixels = np.empty((len(chosen), first.size), np.uint8)
    numbers = np.empty(len(chosen), np.int64)
    outside = 0
    for number, part in enumerate(arrays.parts):
        there = part_of == number
        pixels[there] = rows[number][index_of[there]]
        numbers[there] = labels[number][index_of[there]]
        outside += int(_outside(part, pixel_range)[index_of[there]].sum())
    reading = Reading(
        arrays.place,
        _names(arrays, request.split),
        outside=outside,
        pixel_range=pixel_range,
        ranged=sum(part.images.dtype != np.uint8 or _counts(pixel_range) for part in arrays.parts),
        unused=len(kept) if request.split == TRAIN and not request.validation else 0,
        array=True,
        bordered=(first.height, first.width) if (first.height, first.width) != (shape.height, shape.width) else None,
    )
    if request.split != TRAIN:
        trained = {int(labels[part][index]) for part, index in train}
        missing = [number for number in sorted(set(numbers.tolist()) - {UNKNOWN}) if number not in trained]
        reading = replace(reading, untrained=tuple((class_names[it], int((numbers == it).sum())) for it in missing))
        if request.conditional:
            numbers[np.isin(numbers, missing)] = UNKNOWN
    several = len(arrays.parts) > 1
    names = tuple(f"{_SPLITS[part]}/{index}" if several else str(index) for part, index in _named(arrays, chosen))
    images = Images(torch.from_numpy(pixels), torch.from_numpy(numbers), class_names, first, names, reading)
    return images.coloured(shape.channels).padded(shape)


_SPLITS = ("train", "test", "validation")
_Picks = list[tuple[int, int]]
"""Images as pairs: the number of the part in `Arrays.parts`, and the index in its array."""


def _named(arrays: Arrays, chosen: _Picks) -> Iterator[tuple[int, int]]:
    """The same pairs, with the number of the split that a part is."""
    kinds = [number for number, part in enumerate((arrays.train, arrays.test, arrays.validation)) if part is not None]
    return ((kinds[part], index) for part, index in chosen)


def _names(arrays: Arrays, split: str) -> tuple[str, ...]:
    """The arrays that hold a split; none where it is chosen by hash."""
    if arrays.test is None:
        return ()
    return ((arrays.train if split == TRAIN else arrays.test).name,)


def _splits(arrays: Arrays, keys: list[list[str]]) -> tuple[_Picks, _Picks, _Picks]:
    """The images for training, for testing, and kept for validation, each in the order of their hashes."""
    ordered = [
        [(number, index) for _, index in sorted((path_hash(key), index) for index, key in enumerate(some))]
        for number, some in enumerate(keys)
    ]
    if arrays.test is not None:
        return ordered[0], ordered[1], ordered[2] if arrays.validation else []
    parted = split_pictures(keys[0], lambda key: True)
    train, test = set(parted.train), set(parted.test)
    of = {split: [pick for pick in ordered[0] if keys[0][pick[1]] in some] for split, some in ((0, train), (1, test))}
    return of[0], of[1], ordered[1] if arrays.validation else []


def _held(arrays: Arrays, kept: _Picks, request: Request) -> _Picks:
    """The images that are held out of training, of those kept for it; of others the last ones of the training set are."""
    count = request.validation or 0
    if kept and count > len(kept):
        assert arrays.validation is not None
        raise UsageError(
            f"{{validation}}: found {len(kept):,} images in {arrays.validation.name} of {arrays.place}, expected as many or more; "
            f"hold them all out with {{validation={len(kept)}}}", validation=count,
        )  # fmt: skip
    return kept[:count]


def _wrong(arrays: Arrays, part: Part, text: str, **settings: object) -> DataError:
    """A mistake in one of the arrays."""
    where = part.name if arrays.place == Path(part.name) else f"{arrays.place}: {part.name}"
    return DataError(f"{where}: {text}", **settings)


def _layouts(arrays: Arrays) -> Iterator[_Layout]:
    """The layout of each part; images of the shape that the training set's have lie as these do."""
    first = _layout(arrays, arrays.train)
    for part in arrays.parts:
        same = len(part.images) and part.images.shape[1:] == arrays.train.images.shape[1:] and part.images.dtype.kind in _KINDS
        yield first if same else _layout(arrays, part)


def _layout(arrays: Arrays, part: Part) -> _Layout:
    """How the images of an array lie, where its shape leaves no doubt."""
    values, dims = part.images, part.images.shape
    if values.dtype.kind not in _KINDS:
        raise _wrong(arrays, part, f"found values of type {values.dtype}, expected whole numbers, floats or bools")
    if dims and not dims[0]:
        raise _wrong(arrays, part, "found no image, expected at least one")
    refused = _wrong(arrays, part, f"found shape {_said(dims)}, expected {LAYOUTS}{_hint(dims)}")
    if not all(dims):
        raise refused
    if len(dims) == 2 and isqrt(dims[1]) ** 2 == dims[1]:
        return _Layout(ImageShape(1, isqrt(dims[1]), isqrt(dims[1])), False)
    if len(dims) == 3 and not _hint(dims):
        return _Layout(ImageShape(1, *dims[1:]), False)
    first, last = (len(dims) == 4 and dims[axis] in COLOURS.values() for axis in (1, -1))
    if first and last and dims[1] == dims[-1] == 1:  # a column of pixels, either way
        return _Layout(ImageShape(1, dims[2], 1), False)
    if first == last:
        raise refused
    return _Layout(ImageShape(dims[-1], *dims[1:3]), True) if last else _Layout(ImageShape(*dims[1:]), False)


def _hint(dims: tuple[int, ...]) -> str:
    """What to do about a shape that is none of LAYOUTS, or may be another thing; empty where nothing is known."""
    if len(dims) == 2 and dims[1] % 3 == 0 and isqrt(dims[1] // 3) ** 2 == dims[1] // 3:
        side = isqrt(dims[1] // 3)
        return f"; colours may lie in two orders: reshape to (N, 3, {side}, {side}) or (N, {side}, {side}, 3)"
    if len(dims) == 3 and ((dims[-1] in (1, 3, 4) and dims[1] != dims[2]) or dims[0] == 3):
        return "; of one colour image give images[None], of grey ones images[:, None]"
    if len(dims) == 4 and 4 in (dims[1], dims[-1]):
        return "; leave transparency out, such as images[..., :3]"
    return ""


def _said(dims: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, dims))}{',' * (len(dims) == 1)})"


def _wanted_shape(arrays: Arrays, own: ImageShape, request: Request) -> ImageShape:
    """The square shape of the images, as stated or as large as the array's."""
    least, most = max(own.height, own.width), int(IMAGE_SIZE.high)
    if least > most:
        raise _wrong(arrays, arrays.train, f"found images of {own}, expected at most {most} x {most}: cut or shrink them before")
    side = request.image_size or max(least, int(IMAGE_SIZE.low))
    if side < least:
        raise _wrong(
            arrays, arrays.train,
            f"found images of {own}, expected {{image_size}} to be {least} or more, which gives them a black border: cut or shrink "
            f"them before, or leave {{image_size=}} out", image_size=request.image_size,
        )  # fmt: skip
    return ImageShape(COLOURS[request.colour] if request.colour else own.channels, side, side)


def _is_bytes(part: Part) -> bool:
    return part.images.dtype in (np.bool_, np.uint8)


def _range(arrays: Arrays, stated: tuple[float, float] | None) -> tuple[float, float]:
    """The values that are black and white in all arrays.

    Bytes and bools that are all 0 or 1 have 1 as white; the rest is as `settle` has it of a folder, but floats whose range is a
    guess are refused.
    """
    extents = [_extent(arrays, part) for part in arrays.parts]
    if stated:
        return stated
    if all(map(_is_bytes, arrays.parts)):
        return (0.0, 1.0) if max(int(part.images.max()) for part in arrays.parts) <= 1 else BYTE_RANGE
    try:
        settled = settle(extents)
    except DataError as error:
        raise error.reworded(DataError, before=f"{arrays.place}: ") from None
    floats = [extent for extent in extents if extent.kind == "floats"]
    if floats:
        low, high = min(extent.low for extent in floats), max(extent.high for extent in floats)
        if not (settled[0] == 0 and settled[1] in FLOAT_WHITES) and (low, high) != (-1, 1):
            raise DataError(
                f"{arrays.place}: found floats from {low:.6g} to {high:.6g}, which may be scaled in several ways; state the values "
                f"of black and white, such as {{pixel_range={low:.4g},{high:.4g}}}"
            )
    return settled


def _extent(arrays: Arrays, part: Part) -> Extent:
    """The least and the greatest value of an array, all of which are finite."""
    if _is_bytes(part):
        return Extent("bytes", *BYTE_RANGE)
    low, high, whole, start = np.inf, -np.inf, True, 0
    with np.errstate(over="ignore"):  # of float64 to float32
        for band in bands(part.images):
            if not (finite := np.isfinite(band).reshape(len(band), -1).all(1)).all():
                odd = start + int(np.argmin(finite))
                raise _wrong(arrays, part, f"found NaN or infinite values, the first in image {odd}; expected finite numbers")
            low, high = min(low, float(band.min())), max(high, float(band.max()))
            whole = whole and (part.images.dtype.kind != "f" or bool((band == np.rint(band)).all()))
            start += len(band)
    return Extent("whole" if whole and (part.images.dtype.kind != "f" or high > 1) else "floats", low, high)


def _counts(pixel_range: tuple[float, float]) -> bool:
    """Whether a range holds for bytes; those beside deeper numbers keep 0 to 255, as pictures do."""
    return pixel_range == BYTE_RANGE or is_for_bytes(pixel_range)


def _numbers(part: Part) -> Array:
    return part.images.view(np.uint8) if part.images.dtype == np.bool_ else part.images


def _in_bytes(part: Part, layout: _Layout, pixel_range: tuple[float, float]) -> NDArray[np.uint8]:
    """The images as bytes, channel by channel: shape (N, D)."""
    values, shape = _numbers(part), layout.shape
    if values.dtype != np.uint8 or (pixel_range != BYTE_RANGE and _counts(pixel_range)):
        values = to_bytes(values, pixel_range)
    if layout.colours_last:
        values = values.reshape(-1, shape.height, shape.width, shape.channels).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(values).reshape(-1, shape.size)


def _outside(part: Part, pixel_range: tuple[float, float]) -> NDArray[np.bool_]:
    """Which images have values that are not in a range: shape (N,)."""
    low, high = BYTE_RANGE if _is_bytes(part) and not _counts(pixel_range) else pixel_range
    some = [((band < low) | (band > high)).reshape(len(band), -1).any(1) for band in bands(_numbers(part))]
    return np.concatenate(some)


def _labels(arrays: Arrays) -> tuple[list[NDArray[np.int64]], tuple[str, ...]]:
    """The labels of each part, int64, shape (N,), and their names."""
    given = [None if part.labels is None else _row(arrays, part) for part in arrays.parts]
    there = [labels for labels in given if labels is not None]
    kinds = {labels.dtype.kind for labels in there}
    if len(kinds) > 1:
        raise DataError(f"{arrays.place}: found labels that are words beside labels that are numbers, expected one kind")
    names = arrays.class_names
    if kinds == {"U"}:
        names = tuple(sorted({escape_controls(str(word)) for labels in there for word in np.unique(labels)} - {""}))
        numbers = {name: number for number, name in enumerate(names)} | {"": UNKNOWN}
        given = [None if labels is None else np.array([numbers[escape_controls(str(word))] for word in labels]) for labels in given]
    elif there:
        least, most = min(int(labels.min()) for labels in there), max(int(labels.max()) for labels in there)
        last = (len(names) or MAX_CLASSES) - 1
        if least < UNKNOWN or most > last:
            raise DataError(
                f"{arrays.place}: found a label {least if least < UNKNOWN else most}, expected 0 to {last:,}, or {UNKNOWN} where "
                "it is not known"
            )
        names = names or tuple(map(str, range(most + 1)))
    if len(names) > MAX_CLASSES or any(len(name) > MAX_NAME for name in names) or len(json.dumps(names)) > MAX_NAMES:
        raise DataError(
            f"{arrays.place}: found {len(names):,} labels, expected at most {MAX_CLASSES:,}, of {MAX_NAME} letters each and "
            f"{MAX_NAMES:,} in all"
        )
    return [
        np.full(len(part.images), UNKNOWN) if labels is None else labels.astype(np.int64)
        for part, labels in zip(arrays.parts, given, strict=True)
    ], names if there else ()


def _row(arrays: Arrays, part: Part) -> Array:
    """The labels of a part, whole numbers or text, shape (N,)."""
    labels = np.asarray(part.labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "backslashreplace")
    if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels.flat):
        labels = labels.astype(np.str_)
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        raise _wrong(
            arrays, part,
            f"found labels of type {labels.dtype}, shape {_said(labels.shape)}, expected whole numbers from 0 or words, "
            f"shape ({len(part.images)},)",
        )  # fmt: skip
    if len(labels) != len(part.images):
        raise _wrong(arrays, part, f"found {len(part.images):,} images beside {len(labels):,} labels, expected as many of both")
    return labels
