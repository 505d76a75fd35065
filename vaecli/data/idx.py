"""IDX, the format of MNIST: a magic number, the sizes (big-endian), then bytes. Plain, .gz or .xz."""

import gzip
import io
import lzma
import math
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, BinaryIO

import torch
from torch import Tensor

from vaecli.data.images import Images
from vaecli.errors import DataError, reason
from vaecli.image_shape import GREY_28, ImageShape
from vaecli.reading import bytes_on_disk, open_file

SPLITS = {"train": "train", "test": "t10k"}
"""What the two splits are called in file names."""

MAX_ITEMS = 2_000_000
"""More images than any set of this format has; a larger count is a damaged file, not a reason to take memory."""

_IMAGES, _LABELS = 0x803, 0x801
_BLOCK = 1 << 20
_LARGE = 150 << 20
_MOST_PACKED = 30
"""Times that a set of more than `_LARGE` bytes may be larger than its file; gzip makes MNIST 5 times smaller."""

_XZ_MEMORY = 100 << 20
"""An .xz file says itself how much memory unpacking it takes; a more demanding one than xz makes by its own settings is refused."""


class _Xz(io.RawIOBase):
    """The unpacked bytes of an .xz file of one stream, within `_XZ_MEMORY`.

    `lzma.open` has no such limit: an 88-byte file may make it reserve 1.5 GiB, and one of 260 kB fill them.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data and not self._unpacker.eof:
            packed = self._file.read(_BLOCK) if self._unpacker.needs_input else b""
            if self._unpacker.needs_input and not packed:
                raise EOFError("it ends too early")
            data = self._unpacker.decompress(packed, max_length=len(buffer))
        buffer[: len(data)] = data
        return len(data)


_UNPACKERS: dict[str, Any] = {"": lambda file: file, ".gz": gzip.open, ".xz": lambda file: io.BufferedReader(_Xz(file))}


def read_folder(folder: Path, split: str, class_names: tuple[str, ...], largest: ImageShape = GREY_28) -> Images:
    """Reads one split from a folder of IDX files.

    Args:
        folder: holds ``train-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte`` and so on, plain, .gz or .xz; the spelling
            ``train-images.idx3-ubyte`` is read too.
        split: ``train`` or ``test``.
        class_names: what the labels 0, 1, ... stand for.
        largest: the most height and width that the images may have.

    Raises:
        DataError: a file is missing, damaged or not IDX, the images are larger, or the files do not belong together.
    """
    image_file = _find(folder, split, "images", "idx3")
    label_file = _find(folder, split, "labels", "idx1")
    labels = read_labels(label_file)
    pixels, shape = read_images(image_file, label_file.name, len(labels), largest)
    if len(labels) and int(labels.max()) >= len(class_names):
        raise DataError(f"{label_file}: found label {int(labels.max())}, expected 0 to {len(class_names) - 1}")
    return Images(pixels, labels, class_names, shape)


def read_images(
    path: Path, beside: str = "", labels: int | None = None, largest: ImageShape = GREY_28
) -> tuple[Tensor, ImageShape]:
    """Reads an IDX file of images: uint8, shape (N, height * width), and the shape of each image.

    Args:
        path: the file.
        beside: the name of the file of their labels.
        labels: how many it has, if that is known; checked before the images are read.
        largest: the most height and width that the images may have.

    Raises:
        DataError: the file is not that, or has another number of images.
    """

    def check(count: int) -> None:
        if labels is not None and count != labels:
            raise DataError(
                f"{path.parent}: {path.name} has {count} images but {beside} has {labels} labels: "
                "expected as many labels as images; are the two files from one data set?"
            )

    data, (height, width) = _read(path, _IMAGES, "images", (largest.height, largest.width), check)
    return data.view(-1, height * width), ImageShape(1, height, width)


def read_labels(path: Path) -> Tensor:
    """Reads an IDX file of labels: int64, shape (N,).

    Raises:
        DataError: the file is not that.
    """
    return _read(path, _LABELS, "labels", ())[0].long()


def _find(folder: Path, split: str, what: str, kind: str) -> Path:
    stems = [f"{SPLITS[split]}-{what}{dot}{kind}-ubyte" for dot in "-."]
    try:
        for stem in stems:
            for ending in _UNPACKERS:
                path = folder / (stem + ending)
                if path.exists():
                    return path
        found = "no such folder" if not folder.is_dir() else f"no {stems[0]} there"
    except OSError as error:
        found = f"it cannot be read ({reason(error)})"
    raise DataError(f"{folder}: {found}; expected a folder of IDX files, {stems[0]} among them (plain, .gz or .xz)")


def _read(
    path: Path, magic: int, what: str, largest: tuple[int, ...], check: Callable[[int], None] = lambda count: None
) -> tuple[Tensor, list[int]]:
    """All items' bytes, shape (N * item,), and the sizes of an item; never takes more memory than the file really fills.

    Args:
        path: the file.
        magic: the number that it starts with.
        what: what the file holds, for messages.
        largest: the most that an item's sizes may be.
        check: gets the number of items before they are read.
    """
    try:
        with open_file(path) as packed, _UNPACKERS[path.suffix if path.suffix in _UNPACKERS else ""](packed) as file:
            header = file.read(8 + 4 * len(largest))
            found = struct.unpack(">I", header[:4])[0] if len(header) >= 4 else None
            if found != magic:
                shown = "an empty or cut file" if found is None else f"the magic number {found:#010x}"
                raise DataError(f"{path}: found {shown}, expected {magic:#010x}: this is no IDX file of {what}")
            if len(header) < 8 + 4 * len(largest):
                raise DataError(f"{path}: the file ends within its header: it is cut short, fetch it again")
            count, *sizes = struct.unpack(f">{1 + len(largest)}I", header[4:])
            if count > MAX_ITEMS:
                raise DataError(f"{path}: the header says {count:,} {what}, expected at most {MAX_ITEMS:,}")
            if not all(1 <= size <= most for size, most in zip(sizes, largest, strict=True)):
                expected = " x ".join(map(str, largest))
                hint = f" at most; expected a larger {{image_size={max(sizes)}}}?" if min(sizes) > 0 else ""
                raise DataError(f"{path}: found images of {' x '.join(map(str, sizes))} pixels, expected {expected}{hint}")
            check(count)
            size = count * math.prod(sizes)
            check_packing(path, size, os.fstat(packed.fileno()))
            data = torch.empty(size, dtype=torch.uint8)
            filled = fill(file, data)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{path}: cannot be read ({reason(error)}); expected an IDX file of {what}") from None
        raise DataError(f"{path}: cannot be read ({error or 'it ends too early'}): fetch the file again") from None
    if filled != size:
        short = "fewer" if filled < size else "more"
        raise DataError(f"{path}: the header says {count:,} {what}, but the file holds {short}: it is cut short or damaged")
    return data, sizes


def check_packing(path: Path, size: int, file: os.stat_result) -> None:
    """Refuses a small file that claims to hold much, which damage or malice writes, and nobody's images.

    Raises:
        DataError: it does.
    """
    taken = bytes_on_disk(file)
    if size > max(_LARGE, _MOST_PACKED * taken):
        raise DataError(
            f"{path}: the header says {size:,} bytes, but the file takes {taken:,}, expected at least one for {_MOST_PACKED}; "
            "if its images are real, unpack it"
        )


def fill(file: IO[bytes], data: Tensor) -> int:
    """Reads into `data`, block by block; gives how many bytes came, one more than there is room for where the file goes on."""
    room, filled = data.numpy().data, 0
    while filled < len(room):
        block = file.read(min(_BLOCK, len(room) - filled))
        if not block:
            return filled
        room[filled : filled + len(block)] = block
        filled += len(block)
    return filled + len(file.read(1))
