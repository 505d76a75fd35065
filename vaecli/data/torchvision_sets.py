"""Any of torchvision's data sets of which it lists the files with their checksums; one line of the registry adds one.

The line's path ends in the name of torchvision's class: ``vaecli.data.torchvision_sets:USPS``. The size and the colours of its
images are that line's defaults for ``image_size`` and ``colour``; a line without ``colour`` is of grey drawings, white on black.
"""

import contextlib
import io
import lzma
import pickle
import shutil
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import TypeVar

import torch

from vaecli import registry
from vaecli.data.crop import crop, read_cropped
from vaecli.data.dataset import ReadListener, Request
from vaecli.data.images import UNKNOWN, Images
from vaecli.data.picture import Drawing, Prepared, without_warnings
from vaecli.data.published import Archives, find_archives, torchvision_class
from vaecli.errors import DataError, reason
from vaecli.image_shape import COLOURS, ImageShape

_T = TypeVar("_T")

Reader = Callable[[Archives, str, ReadListener], Images]
"""Gives a split, by its name, from the published files."""

_DAMAGE = (EOFError, ValueError, lzma.LZMAError, pickle.UnpicklingError, tarfile.TarError, zipfile.BadZipFile, zlib.error)
"""Errors of Python's own readers on files that are not what their names say."""

_INTERVAL = 1000
"""Pictures between two calls of `progress`."""


@dataclass(frozen=True)
class TorchvisionDataset:
    """A data set whose files torchvision knows.

    Nothing is unpacked or parsed before the file's checksum is found to be the published one: for the formats that can run code or
    take memory, pickle among them, that is what makes a file from elsewhere safe.

    Attributes:
        name: in the registry.
        kind: the name of torchvision's class.
        shape: of the images that `reader` gives.
        reader: reads a split; torchvision's own class if not given.
        names: of the labels 0, 1, ..., or a function that reads them; torchvision's if there are none.
        drawing: how a person's own drawing is prepared; None for photographs, whose middle square is taken.
        digests: empty, since those of the images are not published.
    """

    name: str
    kind: str
    shape: ImageShape
    reader: Reader | None = None
    names: tuple[str, ...] | Callable[[Archives], tuple[str, ...]] = ()
    drawing: Drawing | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    def class_names(self, folder: Path | None = None) -> tuple[str, ...]:
        """As `Dataset.class_names`."""
        if callable(self.names):
            return self._read(self.names, folder, ReadListener())
        known = self.names or getattr(torchvision_class(self.kind), "classes", ())
        return tuple(known) or self._images("train", folder, ReadListener()).class_names

    def read(self, request: Request, listen: ReadListener) -> Images:
        """As `Dataset.read`; smaller images get a black border."""
        shape, own = request.shape, self.shape.height
        if shape.height < own:
            raise DataError(f"found images of {own} x {own} pixels, expected {shape}: a size from {{image_size={own}}}")
        return self._images(request.split, request.folder, listen).coloured(shape.channels).padded(shape)

    def _images(self, split: str, folder: Path | None, listen: ReadListener) -> Images:
        reader = self.reader or self._by_torchvision
        return self._read(lambda archives: reader(archives, split, listen), folder, listen)

    def _read(self, read: Callable[[Archives], _T], folder: Path | None, listen: ReadListener) -> _T:
        """What `read` makes of the published files.

        Raises:
            DataError: they are missing, are others, or cannot be read.
        """
        archives = find_archives(self.name, self.kind, folder, listen)
        try:
            return read(archives)
        except (OSError, *_DAMAGE) as error:
            why = reason(error) if isinstance(error, OSError) else error or type(error).__name__
            raise DataError(f"{self.name}: cannot be read from {', '.join(map(str, archives.values()))} ({why})") from None

    def picture(self, path: Path, shape: ImageShape, pixel_range: tuple[float, float] | None) -> Prepared:
        """As `Dataset.picture`."""
        if self.drawing:
            return Prepared(self.drawing.read(path, shape))
        own = ImageShape(shape.channels, self.shape.height, self.shape.width)
        with without_warnings():
            cropped = read_cropped(path, own, pixel_range)
        unlabelled = torch.full((1,), UNKNOWN)
        return Prepared(Images(cropped.tensor.unsqueeze(0), unlabelled, (), own).padded(shape).pixels[0], cropped.remarks(own))

    def _by_torchvision(self, archives: Archives, split: str, listen: ReadListener) -> Images:
        """A split as torchvision's class reads it.

        The class sees the published files alone, in a folder that is removed again: whatever it unpacks comes from them.
        """
        kind = torchvision_class(self.kind)
        which = {"split": split} if "split" in signature(kind).parameters else {"train": split == "train"}
        with tempfile.TemporaryDirectory() as scratch:
            for path, archive in archives.items():
                _put(archive.absolute(), Path(scratch, path))
            with _silence():
                pictures = kind(scratch, **which, download=True)  # finds the files, and unpacks them
            pixels = torch.empty(len(pictures), self.shape.size, dtype=torch.uint8)
            labels = torch.empty(len(pictures), dtype=torch.int64)
            for index in range(len(pictures)):
                picture, labels[index] = pictures[index]
                pixels[index] = crop(picture, self.shape).tensor
                if index % _INTERVAL == 0:
                    listen.progress(index, len(pictures))
        listen.progress(len(pictures), len(pictures))
        names = getattr(pictures, "classes", None)
        if names is None and split == "train":
            names = map(str, range(int(labels.max()) + 1))
        elif names is None:
            names = self._by_torchvision(archives, "train", ReadListener()).class_names
        return Images(pixels, labels, tuple(names), self.shape)


def _put(archive: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.symlink_to(archive)
    except OSError:  # Windows allows links to some users only
        shutil.copyfile(archive, place)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keeps torchvision from printing and warning."""
    nowhere = io.StringIO()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def __getattr__(kind: str) -> TorchvisionDataset:
    """The data set that a line of the registry makes of torchvision's class of this name."""
    for name, member in registry.REGISTRY["dataset"].items():
        if member.path == f"{__name__}:{kind}":
            size, colour = member.defaults["image_size"], member.defaults.get("colour")
            shape = ImageShape(COLOURS[colour or "grey"], size, size)
            return TorchvisionDataset(name, kind, shape, drawing=None if colour else Drawing(box=size, centred_by_mass=False))
    raise AttributeError(f"module {__name__!r} has no attribute {kind!r}")
