"""IDX, the format of MNIST: a magic number, the sizes (big-endian), then bytes. Plain, .gz or .xz."""

import gzip
import io
import lzma
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from vaecli.data.images import SIDE, Images
from vaecli.errors import DataError

SPLITS = {"train": "train", "test": "t10k"}
"""What the two splits are called in file names."""

MAX_ITEMS = 2_000_000
"""More images than any set of this format has; a larger count is a damaged file, not a reason to take memory."""

_IMAGES, _LABELS = 0x803, 0x801
_BLOCK = 1 << 20
_XZ_MEMORY = 100 << 20
"""An .xz file says itself how much memory unpacking it takes; a more demanding one than xz makes by its own settings is refused."""


class _Xz(io.RawIOBase):
    """The unpacked bytes of an .xz file of one stream, within `_XZ_MEMORY`."""

    def __init__(self, path: Path, mode: str) -> None:
        super().__init__()
        self._file = path.open(mode)
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

    def close(self) -> None:
        self._file.close()
        super().close()


_OPENERS: dict[str, Any] = {"": open, ".gz": gzip.open, ".xz": lambda path, mode: io.BufferedReader(_Xz(path, mode))}


def read_folder(folder: Path, split: str, class_names: tuple[str, ...]) -> Images:
    """Reads one split from a folder of IDX files.

    Args:
        folder: holds ``train-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte`` and so on, plain, .gz or .xz; the spelling
            ``train-images.idx3-ubyte`` is read too.
        split: ``train`` or ``test``.
        class_names: what the labels 0, 1, ... stand for.

    Raises:
        DataError: a file is missing, damaged or not IDX, the images are not 28 x 28, or the files do not belong together.
    """
    image_file = _find(folder, split, "images", "idx3")
    label_file = _find(folder, split, "labels", "idx1")
    pixels, labels = read_images(image_file), read_labels(label_file)
    if len(pixels) != len(labels):
        raise DataError(
            f"{folder}: {image_file.name} has {len(pixels)} images but {label_file.name} has {len(labels)} labels: "
            "expected as many labels as images; are the two files from one data set?"
        )
    if len(labels) and int(labels.max()) >= len(class_names):
        raise DataError(f"{label_file}: found label {int(labels.max())}, expected 0 to {len(class_names) - 1}")
    return Images(pixels, labels, class_names)


def read_images(path: Path) -> Tensor:
    """Reads an IDX file of 28 x 28 images: uint8, shape (N, 784).

    Raises:
        DataError: the file is not that.
    """
    count, (height, width), data = _read(path, _IMAGES, "images", sizes=2)
    if (height, width) != (SIDE, SIDE):
        raise DataError(f"{path}: found images of {height} x {width} pixels, expected {SIDE} x {SIDE}")
    return data.view(count, SIDE * SIDE)


def read_labels(path: Path) -> Tensor:
    """Reads an IDX file of labels: int64, shape (N,).

    Raises:
        DataError: the file is not that.
    """
    return _read(path, _LABELS, "labels", sizes=0)[2].long()


def _find(folder: Path, split: str, what: str, kind: str) -> Path:
    stems = [f"{SPLITS[split]}-{what}{dot}{kind}-ubyte" for dot in "-."]
    for stem in stems:
        for ending in _OPENERS:
            path = folder / (stem + ending)
            if path.is_file():
                return path
    found = "no such folder" if not folder.is_dir() else f"no {stems[0]} there"
    raise DataError(f"{folder}: {found}; expected a folder of IDX files, {stems[0]} among them (plain, .gz or .xz)")


def _read(path: Path, magic: int, what: str, sizes: int) -> tuple[int, tuple[int, ...], Tensor]:
    """The number of items, the sizes of one, and all bytes; never takes more memory than the file really fills."""
    try:
        with _OPENERS[path.suffix if path.suffix in _OPENERS else ""](path, "rb") as file:
            header = file.read(8 + 4 * sizes)
            found = struct.unpack(">I", header[:4])[0] if len(header) >= 4 else None
            if found != magic:
                shown = "an empty or cut file" if found is None else f"the magic number {found:#010x}"
                raise DataError(f"{path}: found {shown}, expected {magic:#010x}: this is no IDX file of {what}")
            if len(header) < 8 + 4 * sizes:
                raise DataError(f"{path}: the file ends within its header: it is cut short, fetch it again")
            count, *shape = struct.unpack(f">{1 + sizes}I", header[4:])
            if count > MAX_ITEMS:
                raise DataError(f"{path}: the header says {count:,} {what}, expected at most {MAX_ITEMS:,}")
            item = 1
            for size in shape:
                item *= size
                if size > 4096:
                    raise DataError(f"{path}: found images of {' x '.join(map(str, shape))} pixels, expected {SIDE} x {SIDE}")
            data = _read_at_most(file, count * item + 1)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error or 'it ends too early'}): fetch the file again") from None
    if len(data) != count * item:
        short = "fewer" if len(data) < count * item else "more"
        raise DataError(f"{path}: the header says {count:,} {what}, but the file holds {short}: it is cut short or damaged")
    return count, tuple(shape), torch.frombuffer(data, dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)


def _read_at_most(file: IO[bytes], size: int) -> bytearray:
    data = bytearray()
    while len(data) < size and (block := file.read(min(_BLOCK, size - len(data)))):
        data += block
    return data
