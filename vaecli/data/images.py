"""Images as bytes, the one form in which vaecli passes them on."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

SIDE = 28
"""Height and width of every image, in pixels."""

CLASSES = 10
"""The number of labels of each data set."""

UNKNOWN = -1
"""The label of an image whose label is not known."""


@dataclass(frozen=True)
class Images:
    """Grey images with labels.

    Attributes:
        pixels: uint8, shape (N, 784), 0 black to 255 white, row by row from the top left.
        labels: int64, shape (N,), each an index into `class_names`, or UNKNOWN.
        class_names: the names of the labels.
    """

    pixels: Tensor
    labels: Tensor
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of the number of images, their pixels and their labels."""
        digest = hashlib.sha256(f"{len(self)}\n".encode())
        digest.update(self.pixels.cpu().contiguous().numpy().data)
        digest.update(self.labels.cpu().to(torch.int16).contiguous().numpy().data)
        return digest.hexdigest()

    def __getitem__(self, index: slice | Tensor) -> "Images":
        """The images at `index`: a slice, or a tensor of positions or of booleans."""
        return replace(self, pixels=self.pixels[index], labels=self.labels[index])

    def to(self, device: torch.device) -> "Images":
        """The same images on another device."""
        return replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))
