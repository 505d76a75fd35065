"""MATLAB's format of 1996, MAT-file level 5, as far as data sets use it: arrays of whole numbers, packed by zlib or not."""

import io
import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from vaecli.data.idx import check_packing, fill
from vaecli.errors import DataError
from vaecli.reading import open_file

_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1: torch.int8, 2: torch.uint8, 3: torch.int16, 5: torch.int32, 9: torch.float64}
"""Of stored values, by their number in the format; MATLAB stores a number in the smallest that holds all of an array."""

_LONGEST = 64
"""Bytes of a name or of an array's sizes; MATLAB's longest name has 63."""

_BLOCK = 1 << 16


class _Inflated(io.RawIOBase):
    """The unpacked bytes of one packed element of a file."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        super().__init__()
        self._file, self._left, self._unpacker = file, size, zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data and not self._unpacker.eof:
            packed = self._unpacker.unconsumed_tail
            if not packed:
                packed = self._file.read(min(_BLOCK, self._left))
                self._left -= len(packed)
                if not packed:
                    raise EOFError("it ends too early")
            data = self._unpacker.decompress(packed, len(buffer))
        buffer[: len(data)] = data
        return len(data)


def read_mat(path: Path, largest: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The arrays of a file that are named in `largest`, each of the shape that MATLAB shows.

    Args:
        path: the file.
        largest: the most that each size of an array may be, by the array's name.

    Raises:
        DataError: the file is not MAT-5, or has not these arrays, or they are larger.
        OSError, EOFError, zlib.error: it is damaged.
    """
    with open_file(path) as file:
        if (header := file.read(128))[124:] != b"\x00\x01IM":
            raise DataError(f"{path}: found {header[:10]!r}, expected a MAT-file of level 5, little-endian")
        arrays: dict[str, Tensor] = {}
        while arrays.keys() != largest.keys():
            kind, size = struct.unpack("<II", _exactly(file, 8))
            end = file.tell() + size
            if kind == _COMPRESSED:
                with io.BufferedReader(_Inflated(file, size)) as element:
                    if struct.unpack("<II", _exactly(element, 8))[0] == _MATRIX:
                        arrays |= _array(path, element, largest, os.fstat(file.fileno()))
            elif kind == _MATRIX:
                arrays |= _array(path, file, largest, os.fstat(file.fileno()))
            file.seek(end)
    return arrays


def _array(path: Path, file: IO[bytes], largest: dict[str, tuple[int, ...]], on_disk: os.stat_result) -> dict[str, Tensor]:
    """The array that a file has next, by its name; nothing if it is not wanted."""
    _small(file)  # its class; the type of the stored values is before them
    sizes = struct.unpack(f"<{len(packed := _small(file)) // 4}i", packed[: len(packed) // 4 * 4])
    name = _small(file).decode("ascii", "replace")
    if name not in largest:
        return {}
    most = largest[name]
    if len(sizes) != len(most) or not all(0 <= size <= limit for size, limit in zip(sizes, most, strict=True)):
        raise DataError(f"{path}: found {name} of {_times(sizes)}, expected at most {_times(most)}")
    kind, size = struct.unpack("<II", _exactly(file, 8))
    if kind >> 16:  # up to four bytes stand in the place of the size
        kind, size, file = kind & 0xFFFF, kind >> 16, io.BytesIO(struct.pack("<I", size))
    stored = _TYPES.get(kind)
    if stored is None or size != math.prod(sizes) * stored.itemsize:
        raise DataError(f"{path}: found {size:,} bytes of type {kind} for {name}, expected {_times(sizes)} whole numbers")
    check_packing(path, size, on_disk)
    data = torch.empty(size, dtype=torch.uint8)
    if fill(file, data) < size:
        raise EOFError("it ends too early")
    return {name: data.view(stored).view(sizes[::-1]).permute(*range(len(sizes))[::-1])}  # the first index varies fastest


def _small(file: IO[bytes]) -> bytes:
    """The data of the next element, which is a short one."""
    kind, size = struct.unpack("<II", head := _exactly(file, 8))
    if kind >> 16:
        return head[4 : 4 + (kind >> 16)]
    if size > _LONGEST:
        raise EOFError(f"found {size:,} bytes where a name or the sizes of an array stand")
    return _exactly(file, size + -size % 8)[:size]


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError("it ends too early")
    return data


def _times(sizes: tuple[int, ...]) -> str:
    return " x ".join(f"{size:,}" for size in sizes)
