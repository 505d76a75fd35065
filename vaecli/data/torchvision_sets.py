"""Data sets that torchvision's own classes read: those that it lists with the checksums of their files.

One line of the registry adds another one: its path ends in the name of torchvision's class, ``vaecli.data.torchvision_sets:USPS``.
The size and the colours of its images are that line's defaults for ``image_size`` and ``colour``; a line without ``colour`` is of
grey drawings, white on black.
"""

import contextlib
import gzip
import io
import pickle
import shutil
import string
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

from vaecli import registry
from vaecli.data.crop import crop, read_cropped
from vaecli.data.dataset import ReadListener, Request
from vaecli.data.images import UNKNOWN, Images
from vaecli.data.picture import Drawing, Prepared, without_warnings
from vaecli.data.published import Archives, find_archives, torchvision_class
from vaecli.errors import DataError, is_out_of_memory, reason
from vaecli.image_shape import COLOURS, GREY_28, ImageShape

_DAMAGE = (OSError, EOFError, ValueError, RuntimeError, pickle.UnpicklingError, tarfile.TarError, zipfile.BadZipFile, zlib.error)
"""What torchvision and Python's readers raise on files that are not what their names say, or on a full disk."""

_INTERVAL = 1000
"""Pictures between two calls of `progress`."""


def _split(kind: Any, folder: Path, split: str) -> Any:
    """A split of a class that takes its name, or whether it is the training set."""
    which = {"split": split} if "split" in signature(kind).parameters else {"train": split == "train"}
    return kind(folder, **which, download=True)  # finds the files, and unpacks them


def _letters(kind: Any, folder: Path, split: str) -> Any:
    """EMNIST's letters. Only their files are unpacked: the class itself would unpack all of EMNIST, 1.8 GB."""
    raw = folder / "EMNIST" / "raw"
    with zipfile.ZipFile(raw / "gzip.zip") as packed:
        for content in ("images-idx3", "labels-idx1"):
            name = f"emnist-letters-{split}-{content}-ubyte"
            with packed.open(f"gzip/{name}.gz") as entry, gzip.open(entry) as source, (raw / name).open("wb") as target:
                shutil.copyfileobj(source, target)
    return kind(folder, "letters", train=split == "train")


class _Drawings:
    """Omniglot's drawings by alphabet, white on black, in the order of their paths, read from the archive.

    torchvision's class has the order of the disk, labels characters, and unpacks 32,460 files.
    """

    def __init__(self, kind: Any, folder: Path, split: str) -> None:
        archives = {path.stem: path for path in (folder / kind.folder).iterdir()}
        self.classes = _alphabets(archives.values())
        self.packed = _opened(archives["images_background" if split == "train" else "images_evaluation"])
        self.paths = _paths(self.packed)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        with self.packed.open(self.paths[index]) as file, Image.open(file) as picture:
            return ImageOps.invert(picture.convert("L")), self.classes.index(_alphabet(self.paths[index]))


def _alphabets(archives: Iterable[Path]) -> tuple[str, ...]:
    """The names of the alphabets of both splits, in the order of their letters."""
    return tuple(sorted({_alphabet(path) for archive in archives for path in _paths(_opened(archive))}))


def _opened(archive: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(archive.read_bytes()))  # 10 MB


def _paths(packed: zipfile.ZipFile) -> list[str]:
    """The paths of the drawings: images_background/ALPHABET/character01/0709_01.png and so on."""
    return sorted(path for path in packed.namelist() if path.endswith(".png"))


def _alphabet(path: str) -> str:
    return path.split("/")[1].replace("_", " ")


@dataclass(frozen=True)
class TorchvisionDataset:
    """A data set whose files torchvision knows.

    Nothing is unpacked or parsed before the file's checksum is found to be the published one. CIFAR's classes unpickle what they
    read, which may run any code: the checksum is what makes that the code that CIFAR's makers published.

    Attributes:
        name: in the registry.
        kind: the name of torchvision's class.
        shape: of its images.
        opened: gives a split of the class, by its name, from the folder that holds the files: pairs of a picture and a label.
        arrays: all its bytes, shape (N, channels, height, width), and labels, where it keeps them: much faster than one by one.
        names: of the labels 0, 1, ..., or a function that reads them from the files; torchvision's if there are none.
        drawing: how a person's own drawing is prepared; None for photographs, whose middle square is taken.
        module: what the class imports beside torchvision; the extra of the data set's name installs it.
        digests: empty, since those of the images are not published.
    """

    name: str
    kind: str
    shape: ImageShape
    opened: Callable[[Any, Path, str], Any] = _split
    arrays: Callable[[Any], tuple[Any, Any]] | None = None
    names: tuple[str, ...] | Callable[[Iterable[Path]], tuple[str, ...]] = ()
    drawing: Drawing | None = None
    module: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)

    def class_names(self, folder: Path | None = None) -> tuple[str, ...]:
        """As `Dataset.class_names`."""
        if callable(self.names):
            archives = find_archives(self.name, self.kind, folder, ReadListener())
            with self._worded(archives):
                return self.names(archives.values())
        known = self.names or getattr(torchvision_class(self.kind), "classes", ())
        return tuple(known) or self._images("train", folder, ReadListener()).class_names

    def read(self, request: Request, listen: ReadListener) -> Images:
        """As `Dataset.read`; smaller images get a black border."""
        shape, own = request.shape, self.shape.height
        if shape.height < own:
            raise DataError(f"found images of {own} x {own} pixels, expected {shape}: a size from {{image_size={own}}}")
        return self._images(request.split, request.folder, listen).coloured(shape.channels).padded(shape)

    def picture(self, path: Path, shape: ImageShape, pixel_range: tuple[float, float] | None) -> Prepared:
        """As `Dataset.picture`."""
        if self.drawing:
            return Prepared(self.drawing.read(path, shape))
        own = ImageShape(shape.channels, self.shape.height, self.shape.width)
        with without_warnings():
            cropped = read_cropped(path, own, pixel_range)
        unlabelled = torch.full((1,), UNKNOWN)
        return Prepared(Images(cropped.tensor.unsqueeze(0), unlabelled, (), own).padded(shape).pixels[0], cropped.remarks(own))

    def _images(self, split: str, folder: Path | None, listen: ReadListener) -> Images:
        """A split as torchvision's class reads it.

        The class sees the published files alone, in a folder that is removed again: whatever it unpacks comes from them.

        Raises:
            DataError: they are missing, are others, or cannot be read.
        """
        if self.module and find_spec(self.module) is None:
            raise DataError(
                f"{self.name}: found no {self.module}, which reads its files; install it with: pip install 'vaecli[{self.name}]'"
            )
        archives = find_archives(self.name, self.kind, folder, listen)
        with self._worded(archives), tempfile.TemporaryDirectory() as scratch:
            for path, archive in archives.items():
                _put(archive.absolute(), Path(scratch, path))
            with _silence():
                pictures = self.opened(torchvision_class(self.kind), Path(scratch), split)
            pixels, labels = self._arrays(pictures, listen)
            names = self.names(archives.values()) if callable(self.names) else self.names or getattr(pictures, "classes", None)
        if names is None and split == "train":
            names = map(str, range(int(labels.max()) + 1))
        elif names is None:
            names = self._images("train", folder, ReadListener()).class_names
        return Images(pixels, labels, tuple(names), self.shape)

    def _arrays(self, pictures: Any, listen: ReadListener) -> tuple[Tensor, Tensor]:
        """The pixels and labels of a split, as `Images` has them."""
        if self.arrays:
            values, numbers = self.arrays(pictures)
            return torch.as_tensor(values).flatten(1).contiguous(), torch.as_tensor(numbers, dtype=torch.int64)
        pixels = torch.empty(len(pictures), self.shape.size, dtype=torch.uint8)
        labels = torch.empty(len(pictures), dtype=torch.int64)
        for index in range(len(pictures)):
            picture, labels[index] = pictures[index]
            pixels[index] = crop(picture, self.shape).tensor
            if index % _INTERVAL == 0:
                listen.progress(index, len(pictures))
        listen.progress(len(pictures), len(pictures))
        return pixels, labels

    @contextlib.contextmanager
    def _worded(self, archives: Archives) -> Iterator[None]:
        """Turns a reader's errors into one line that names the files."""
        try:
            yield
        except _DAMAGE as error:
            if is_out_of_memory(error):
                raise
            why = reason(error) if isinstance(error, OSError) else error or type(error).__name__
            raise DataError(f"{self.name}: cannot be read from {', '.join(map(str, archives.values()))} ({why})") from None


def _put(archive: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(archive)
    except OSError:  # Windows allows links to some users only
        shutil.copyfile(archive, target)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keeps torchvision from printing and warning."""
    nowhere = io.StringIO()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


EMNIST_LETTERS = TorchvisionDataset(
    "emnist-letters", "EMNIST", GREY_28, _letters,
    arrays=lambda letters: (letters.data.mT, letters.targets - 1),  # upright, and without the label "N/A"
    names=tuple(string.ascii_lowercase), drawing=Drawing(box=24, centred_by_mass=False),
)  # fmt: skip

OMNIGLOT = TorchvisionDataset(
    "omniglot", "Omniglot", GREY_28, _Drawings, names=_alphabets, drawing=Drawing(box=20, centred_by_mass=False)
)

CIFAR10 = TorchvisionDataset(
    "cifar10", "CIFAR10", ImageShape(3, 32, 32),
    arrays=lambda pictures: (pictures.data.transpose(0, 3, 1, 2), pictures.targets),
    names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)  # fmt: skip

SVHN = TorchvisionDataset(
    "svhn",
    "SVHN",
    ImageShape(3, 32, 32),
    arrays=lambda digits: (digits.data, digits.labels),
    names=tuple("0123456789"),
    module="scipy",
)


def __getattr__(kind: str) -> TorchvisionDataset:
    """The data set that a line of the registry makes of torchvision's class of this name."""
    for name, member in registry.REGISTRY["dataset"].items():
        if member.path == f"{__name__}:{kind}":
            size, colour = member.defaults["image_size"], member.defaults.get("colour")
            shape = ImageShape(COLOURS[colour or "grey"], size, size)
            return TorchvisionDataset(name, kind, shape, drawing=None if colour else Drawing(box=size, centred_by_mass=False))
    raise AttributeError(f"module {__name__!r} has no attribute {kind!r}")
