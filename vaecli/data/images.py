"""Images as bytes, the one form in which vaecli passes them on."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vaecli.image_shape import GREY_28, ImageShape

UNKNOWN = -1
"""The label of an image whose label is not known."""

_SOME = 4096
"""Images that are turned grey at a time, so that it takes little memory."""


@dataclass(frozen=True)
class Reading:
    """What became of the files of a person's own pictures when they were read.

    Attributes:
        place: the folder.
        folders: the sub-folders that hold the split; none where it is chosen by hash.
        left_out: files that could not be read.
        cut: pictures of which only the middle was taken.
        scaled: pictures that were made smaller or larger.
        pages: further pages and frames of files, which were left out.
        outside: pictures with values outside the range from black to white.
        pixel_range: the values that are black and white.
        unused: pictures that the folder keeps for validation, of which no use is made.
        untrained: of a test set, labels that no training picture has, with their numbers of pictures.
    """

    place: Path
    folders: tuple[str, ...] = ()
    left_out: int = 0
    cut: int = 0
    scaled: int = 0
    pages: int = 0
    outside: int = 0
    pixel_range: tuple[float, float] = (0, 255)
    unused: int = 0
    untrained: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Images:
    """Images of one shape, grey or in colour, with labels.

    Attributes:
        pixels: uint8, shape (N, D) with D = `shape.size`, 0 black to 255 white; channel by channel, each row by row.
        labels: int64, shape (N,), each an index into `class_names`, or UNKNOWN.
        class_names: the names of the labels; none where the images have no labels.
        shape: of every image.
        names: the name of each image's file; none where the images are not files of their own.
        reading: what became of those files; None where there are none.
    """

    pixels: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    shape: ImageShape = GREY_28
    names: tuple[str, ...] = ()
    reading: Reading | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.pixels)

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of the number of images, their shape, their pixels and their labels."""
        shape = "" if self.shape == GREY_28 else f" {self.shape}"
        digest = hashlib.sha256(f"{len(self)}{shape}\n".encode())
        digest.update(self.pixels.cpu().contiguous().numpy().data)
        digest.update(self.labels.cpu().to(torch.int16).contiguous().numpy().data)
        return digest.hexdigest()

    def __getitem__(self, index: slice | Tensor) -> "Images":
        """The images at `index`: a slice, or a tensor of positions or of booleans."""
        return replace(self, pixels=self.pixels[index], labels=self.labels[index], names=self._names_at(index))

    def _names_at(self, index: slice | Tensor) -> tuple[str, ...]:
        if not self.names:
            return ()
        if isinstance(index, slice):
            return self.names[index]
        positions = index.nonzero().flatten() if index.dtype == torch.bool else index
        return tuple(self.names[position] for position in positions.tolist())

    def to(self, device: torch.device) -> "Images":
        """The same images on another device."""
        return replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))

    def padded(self, shape: ImageShape) -> "Images":
        """The same images in the middle of larger ones, black around them.

        Args:
            shape: at least as high and wide, with as many channels.
        """
        if shape == self.shape:
            return self
        across, down = shape.width - self.shape.width, shape.height - self.shape.height
        around = (across // 2, across - across // 2, down // 2, down - down // 2)
        pixels = self.pixels.view(-1, self.shape.channels, self.shape.height, self.shape.width)
        return replace(self, pixels=F.pad(pixels, around).flatten(1), shape=shape)

    def coloured(self, channels: int) -> "Images":
        """The same images in grey (1 channel) or in red, green and blue (3).

        Grey is the luma of ITU-R BT.601, rounded as Pillow's ``convert("L")`` does.
        """
        shape = replace(self.shape, channels=channels)
        if shape == self.shape:
            return self
        if channels == 3:
            return replace(self, pixels=self.pixels.repeat(1, 3), shape=shape)
        pixels = torch.empty(len(self), shape.size, dtype=torch.uint8)
        for some, grey in zip(self.pixels.split(_SOME), pixels.split(_SOME), strict=True):
            red, green, blue = some.view(-1, 3, shape.size).int().unbind(1)
            grey.copy_((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16)
        return replace(self, pixels=pixels, shape=shape)
