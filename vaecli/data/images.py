"""Images as bytes, the one form in which vaecli passes them on."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vaecli.arguments import check, wrong
from vaecli.display import across, picture, png, rows_of, text
from vaecli.errors import UsageError
from vaecli.image_shape import COLOURS, GREY_28, ImageShape
from vaecli.seeding import generator

UNKNOWN = -1
"""The label of an image whose label is not known."""

_SOME = 4096
"""Images that are turned grey at a time, so that it takes little memory."""


@dataclass(frozen=True)
class Reading:
    """What became of the files of a person's own pictures when they were read.

    Attributes:
        folder: the folder.
        folders: the sub-folders that hold the split; none where it is chosen by hash.
        left_out: files that could not be read.
        cut: pictures of which only the middle was taken.
        scaled: pictures that were made smaller or larger.
        pages: further pages and frames of files, which were left out.
        outside: pictures with values outside the range from black to white.
        pixel_range: the values that are black and white.
        ranged: pictures for which these count: all but those of bytes beside others.
        flat: names of the pictures that these leave few shades of many values.
        unused: pictures that the folder keeps for validation, of which no use is made.
        untrained: of a test set, labels that no training picture has, with their numbers of pictures.
        array: whether the images come from an array, not from files of their own; then `folder` is its file, or names it, and
            `folders` has the names of arrays.
        kept_in: the folder in which the prepared pictures were kept when they were read, for later commands.
        bordered: of an array, the height and width of its images, if these have a black border now.
    """

    folder: Path
    folders: tuple[str, ...] = ()
    left_out: int = 0
    cut: int = 0
    scaled: int = 0
    pages: int = 0
    outside: int = 0
    pixel_range: tuple[float, float] = (0, 255)
    ranged: int = 0
    flat: tuple[str, ...] = ()
    unused: int = 0
    untrained: tuple[tuple[str, int], ...] = ()
    array: bool = False
    bordered: tuple[int, int] | None = None
    kept_in: Path | None = field(default=None, compare=False)


def sampled(count: int, n: int | None) -> Tensor:
    """The positions of a random `n` of so many images, in order; of all, if there are no more or `n` is None.

    They are the same each time. Those of a smaller `n` are among those of a larger one.
    """
    return torch.randperm(count, generator=generator("cpu", "sampled images"))[:n].sort().values


Take = Callable[[Tensor], Tensor]
"""Gives the positions of some images, int64, of the labels of all, int64, shape (N,)."""


def first(n: int | None) -> Take:
    """The positions of the first `n` images; of all, if it is None."""
    return lambda labels: torch.arange(len(labels))[:n]


def taken(images: "Images", take: Take) -> "Images":
    """Some of the images; those that stand side by side are a slice, which copies nothing."""
    positions = take(images.labels)
    if not len(positions) or not torch.equal(positions, torch.arange(len(positions)) + positions[0]):
        return images[positions]
    start, end = int(positions[0]), int(positions[-1]) + 1
    return images if end - start == len(images) else images[start:end]


@dataclass(frozen=True)
class Images:
    """Images of one shape, grey or in colour, with labels. They are checked when they are made, and not again.

    Attributes:
        pixels: uint8, shape (N, D) with D = `shape.size`, 0 black to 255 white; channel by channel, each row by row.
        labels: int64, shape (N,), each an index into `class_names`, or UNKNOWN.
        class_names: the names of the labels; none where the images have no labels.
        shape: of every image.
        names: the name of each image's file; none where the images are not files of their own.
        reading: what became of those files; None where there are none.

    Raises:
        UsageError: a field is of another type, shape or range.
    """

    pixels: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    shape: ImageShape = GREY_28
    names: tuple[str, ...] = ()
    reading: Reading | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        check("shape", self.shape, ImageShape)
        size = self.shape.size
        if not _is_tensor(self.pixels, torch.uint8, (None, size)):
            raise wrong(
                "pixels", self.pixels, f"expected a tensor of torch.uint8, from 0 black to 255 white, shape (N, {size}) for images "
                f"of {self.shape}",
            )  # fmt: skip
        if not _is_tensor(self.labels, torch.int64, (len(self),)) or self.labels.device != self.pixels.device:
            raise wrong("labels", self.labels, f"expected a tensor of torch.int64, shape ({len(self)},), on {self.pixels.device}")
        check("class_names", self.class_names, tuple[str, ...])
        check("names", self.names, tuple[str, ...])
        if len(self.names) not in (0, len(self)):
            raise UsageError(f"{{names=}}: found {len(self.names):,}, expected one for each of {len(self):,} images, or none")
        self._check_labels()

    def _check_labels(self) -> None:
        if not len(self):
            return
        least, most = (int(value) for value in self.labels.aminmax())
        if not UNKNOWN <= least <= most < len(self.class_names):
            odd = least if least < UNKNOWN else most
            known = f"0 to {len(self.class_names) - 1}, the numbers of `class_names`, or " if self.class_names else ""
            raise UsageError(f"{{labels}}: expected {known}{UNKNOWN} where a label is not known", labels=odd)

    def _changed(self, **changes: Any) -> "Images":
        """The same with other fields, which were made from these and so need no check."""
        made = object.__new__(Images)
        vars(made).update({field.name: getattr(self, field.name) for field in fields(self)} | changes)
        return made

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

    @cached_property
    def digests(self) -> list[str]:
        """BLAKE2b of each image's pixels, 8 bytes in hexadecimal."""
        return [hashlib.blake2b(row, digest_size=8).hexdigest() for row in self.pixels.cpu().contiguous().numpy()]

    def grid(self) -> Tensor:
        """What a notebook shows, bytes of shape (3, height, width): the first images, in two rows.

        Raises:
            UsageError: there are none.
        """
        if not len(self):
            raise UsageError("found no images, expected one to show at least")
        columns = across(self.shape)
        rows = (self.pixels[start : start + columns].float() / 255 for start in (0, columns))
        return rows_of(*rows, shape=self.shape)

    def _repr_html_(self) -> str:
        shown = min(2 * across(self.shape), len(self))
        labels = f", {len(self.class_names)} labels" if self.class_names else ""
        some = f"; the first {shown}" if shown < len(self) else ""
        words = text(f"{len(self):,} image{'s' * (len(self) != 1)} of {self.shape}{labels}{some}")
        return words + (picture(png(self.grid())) if shown else "")

    def know_digest(self, digest: str) -> None:
        """Takes this for the digest, so that it need not be computed."""
        vars(self)["digest"] = digest

    def __getitem__(self, index: slice | Tensor) -> "Images":
        """The images at `index`: a slice, or a tensor of positions or of booleans.

        Raises:
            UsageError: it is another thing, or there is no such image.
        """
        try:
            pixels, labels = self.pixels[index], self.labels[index]
        except (IndexError, TypeError, ValueError):
            pixels = labels = self.pixels[:0, 0]
        if not isinstance(index, slice | Tensor) or pixels.ndim != 2:
            raise wrong("index", index, f"expected a slice, or a tensor of positions below {len(self):,} or of as many booleans")
        return self._changed(pixels=pixels, labels=labels, names=self._names_at(index))

    def _names_at(self, index: slice | Tensor) -> tuple[str, ...]:
        if not self.names:
            return ()
        if isinstance(index, slice):
            return self.names[index]
        positions = index.nonzero().flatten() if index.dtype == torch.bool else index
        return tuple(self.names[position] for position in positions.tolist())

    def to(self, device: torch.device | str) -> "Images":
        """The same images on another device.

        Raises:
            UsageError: it is no device.
        """
        check("device", device, torch.device | str)
        try:
            device = torch.device(device)
        except RuntimeError:
            raise wrong("device", device, "expected a device of PyTorch, such as cpu or cuda") from None
        return self._changed(pixels=self.pixels.to(device), labels=self.labels.to(device))

    def padded(self, shape: ImageShape) -> "Images":
        """The same images in the middle of larger ones, black around them.

        Args:
            shape: at least as high and wide, with as many channels.

        Raises:
            UsageError: it is another.
        """
        check("shape", shape, ImageShape)
        if shape == self.shape:
            return self
        if shape.channels != self.shape.channels or shape.height < self.shape.height or shape.width < self.shape.width:
            raise UsageError(f"{{shape}}: expected at least {self.shape}, with as many channels", shape=shape)
        across, down = shape.width - self.shape.width, shape.height - self.shape.height
        around = (across // 2, across - across // 2, down // 2, down - down // 2)
        pixels = self.pixels.view(-1, self.shape.channels, self.shape.height, self.shape.width)
        return self._changed(pixels=F.pad(pixels, around).flatten(1), shape=shape)

    def coloured(self, channels: int) -> "Images":
        """The same images in grey (1 channel) or in red, green and blue (3).

        Grey is the luma of ITU-R BT.601, rounded as Pillow's ``convert("L")`` does.

        Raises:
            UsageError: there are no images of so many channels.
        """
        if channels not in COLOURS.values():
            raise wrong("channels", channels, "expected 1 for grey or 3 for red, green and blue")
        shape = ImageShape(channels, self.shape.height, self.shape.width)
        if shape == self.shape:
            return self
        if channels == 3:
            return self._changed(pixels=self.pixels.repeat(1, 3), shape=shape)
        pixels = torch.empty(len(self), shape.size, dtype=torch.uint8)
        for some, grey in zip(self.pixels.split(_SOME), pixels.split(_SOME), strict=True):
            red, green, blue = some.view(-1, 3, shape.size).int().unbind(1)
            grey.copy_((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16)
        return self._changed(pixels=pixels, shape=shape)


def _is_tensor(value: object, dtype: torch.dtype, shape: tuple[int | None, ...]) -> bool:
    """Whether this is a tensor of a type and shape, None for any size of a dimension."""
    return (
        isinstance(value, Tensor)
        and value.dtype == dtype
        and value.ndim == len(shape)
        and all(wanted in (None, size) for size, wanted in zip(value.shape, shape, strict=True))
    )
