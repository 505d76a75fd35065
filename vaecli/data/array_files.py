"""Arrays in files: .npy, .npz, HDF5, and folders of Hugging Face's ``datasets``.

Nothing of them is run, and sizes are checked before memory is taken.
"""

import math
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from vaecli.data.array import Array, Arrays, Part, images_of
from vaecli.data.array_items import IMAGE_NAMES, LABEL_NAMES, given_arrays, stacked
from vaecli.data.crop import read_cropped, values_of
from vaecli.data.dataset import ReadListener, Request
from vaecli.data.images import Images
from vaecli.data.picture import Prepared, checked_bytes, without_warnings
from vaecli.data.tree import TEST, TRAIN, VALIDATION, find_pictures
from vaecli.errors import DataError, VaecliError, reason
from vaecli.image_shape import ImageShape
from vaecli.memory import SHARE, machine_memory
from vaecli.reading import bytes_on_disk, is_folder, open_file

KINDS = ".npy, .npz or HDF5 file, or a folder of Hugging Face's datasets"
SAVE = "np.savez('FILE.npz', images=..., labels=...)"

_HOLES = 4
"""How many times longer than its bytes on the disk a file may be; some disks compress."""

_HDF5 = (".h5", ".hdf5", ".hdf", ".he5")
_ENDINGS = (".npy", ".npz", *_HDF5)
_FOLDER = ("dataset_dict.json", "state.json")
"""Files of which a folder that ``save_to_disk`` wrote has one."""

_DEFLATED = 1032
"""The most bytes that one byte of a packed file becomes."""

_SPLIT_WORDS = {
    "train": TRAIN, "training": TRAIN, "test": TEST, "testing": TEST,
    "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "dev": VALIDATION,
}  # fmt: skip
_CLASS_NAMES, _MAX_NAMES = "class_names", 1 << 22
"""The array that names the labels 0, 1, ..., as ``vaecli encode`` writes it, and its most bytes."""


class NoFileError(DataError):
    """Arrays are wanted, and no file is given."""

    def of_run(self, name: str) -> DataError:
        """The same mistake, of a run that was trained on arrays of a caller in Python."""
        return DataError(
            f"the run {name} was trained on arrays that were given in Python, and keeps no copy of them; save all of them, such as "
            f"with {SAVE}, and give the file with {{data_dir=FILE.npz}}"
        )


@dataclass(frozen=True)
class ArrayFile:
    """The data set of a person's own arrays."""

    digests: Mapping[str, str] = field(default_factory=dict)

    def class_names(self, folder: Path | None = None) -> tuple[str, ...]:
        """As `Dataset.class_names`."""
        return images_of(read_arrays(folder), Request("array", TRAIN, folder, None)).class_names

    def read(self, request: Request, listen: ReadListener) -> Images:
        """As `Dataset.read`."""
        return images_of(read_arrays(request.folder), request)

    def picture(self, path: Path, shape: ImageShape, pixel_range: tuple[float, float] | None) -> Prepared:
        """As `Dataset.picture`; a picture's values have a range of their own."""
        with without_warnings():
            cropped = read_cropped(path, shape)
        return Prepared(cropped.tensor, cropped.remarks(shape))


ARRAY = ArrayFile()


@dataclass(frozen=True)
class MadeSet(ArrayFile):
    """A data set whose arrays a registered function makes or reads.

    Attributes:
        make: called with the data set's own options; gives ``images`` and, where there are any, ``labels``, ``test_images`` and
            ``test_labels``, as `vaecli.train` takes them.
    """

    make: Callable[..., Mapping[str, Any]] = dict

    def class_names(self, folder: Path | None = None) -> tuple[str, ...]:
        """As `Dataset.class_names`; those that the function gives without arguments."""
        return images_of(self._arrays("images", {}), Request("array", TRAIN, folder, None)).class_names

    def read(self, request: Request, listen: ReadListener) -> Images:
        """As `Dataset.read`.

        Raises:
            DataError: a folder is given, or the function gives no images.
        """
        if request.folder is not None:
            raise DataError(f"{request.folder}: the data set {request.dataset} is made by a function; leave {{data_dir=}} out")
        return images_of(self._arrays(request.dataset, dict(request.options)), request)

    def _arrays(self, name: str, options: dict[str, Any]) -> Arrays:
        made = self.make(**options)
        if not isinstance(made, Mapping) or "images" not in made or made.keys() - _MADE:
            found = ", ".join(map(str, made)) if isinstance(made, Mapping) else type(made).__name__
            raise DataError(
                f"{name}: its function gives {found or 'nothing'}, expected a dict of {', '.join(_MADE)}, or some of them"
            )
        return replace(given_arrays(*map(made.get, _MADE)), place=Path(name))


_MADE = ("images", "labels", "test_images", "test_labels")


def looks_like_arrays(path: Path) -> bool:
    """Whether a path is one that `read_arrays` reads, by its name or by the names in it."""
    if is_folder(path):
        return any((path / name).is_file() for name in _FOLDER)
    return path.suffix.casefold() in _ENDINGS


def read_arrays(path: Path | None) -> Arrays:
    """The arrays of a file or folder.

    Raises:
        NoFileError: there is no path.
        DataError: there are no arrays, they cannot be read, or they take too much memory.
    """
    if path is None:
        raise NoFileError(f"found no file of arrays, expected a {KINDS}; give it with {{data_dir=FILE.npz}}; {SAVE} writes one")
    try:
        if is_folder(path):
            return _from_folder(path)
        with open_file(path) as file:
            status = os.fstat(file.fileno())
            if status.st_size > _HOLES * bytes_on_disk(status):
                raise DataError(f"{path}: found {status.st_size:,} bytes, most of them holes, expected a whole file: copy it again")
            head = file.read(8)
            file.seek(0)
            if head.startswith(b"\x93NUMPY"):
                return Arrays(path, Part(_read_npy(path, file, status.st_size), None, str(path)))
            if head.startswith(b"PK"):
                return _from_npz(path, file)
            if head == b"\x89HDF\r\n\x1a\n":
                return _from_hdf5(path, file)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected a {KINDS}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({reason(error)}); expected a {KINDS}") from None
    raise DataError(f"{path}: found no arrays, expected a {KINDS}; {SAVE} writes one")


class _Stored(NamedTuple):
    """An array in a file that is not read yet.

    Attributes:
        shape: as the file says.
        dtype: likewise.
        read: reads it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], Array]

    @property
    def size(self) -> int:
        """Its bytes, unpacked."""
        return math.prod(self.shape) * self.dtype.itemsize


def _role(name: str) -> tuple[str, str] | None:
    """The split and the kind, ``images`` or ``labels``, of an array by its name: ``x_train``, ``test/labels``; None for others."""
    words = [word for word in re.split(r"[/_. -]", name.casefold()) if word]
    splits = [_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS]
    rest = "_".join(word for word in words if word not in _SPLIT_WORDS)
    kind = "images" if rest in IMAGE_NAMES else "labels" if rest in LABEL_NAMES else None
    return None if kind is None or len(splits) > 1 else (splits[0] if splits else "", kind)


def _is_read(name: str, count: int) -> bool:
    """Whether an array, one of so many in a file, is of use by its name; the only one is, whatever it is called."""
    return count == 1 or name == _CLASS_NAMES or _role(name) is not None


def _chosen(path: Path, stored: Mapping[str, _Stored]) -> Arrays:
    """The images and labels among arrays, by their names, read into memory."""
    found: dict[tuple[str, str], str] = {}
    for name in stored:
        if role := ("", "images") if len(stored) == 1 else _role(name):
            if role in found:
                raise DataError(f"{path}: found {found[role]} and {name}, which may both be the {' '.join(filter(None, role))}, "
                                f"expected one of them; {SAVE} names them")  # fmt: skip
            found[role] = name
    plain, train = ("", "images") in found, (TRAIN, "images") in found
    if plain == train:
        there = ", ".join(list(stored)[:8]) or "nothing"
        wanted = "either images or x_train" if plain else "images, or x_train and x_test"
        raise DataError(f"{path}: found {there}, expected {wanted}, with labels beside them; {SAVE} writes such a file")
    for (split, kind), name in found.items():
        if kind == "labels" and (split, "images") not in found:
            raise DataError(f"{path}: found {name} without images of that split, expected both")
    _check_size(path, (stored[name] for name in found.values()))

    def part(split: str) -> Part | None:
        if (split, "images") not in found:
            return None
        name, labels = found[split, "images"], found.get((split, "labels"))
        return Part(stored[name].read(), stored[labels].read() if labels else None, name)

    first = part("" if plain else TRAIN)
    assert first is not None
    named = stored.get(_CLASS_NAMES)
    names = named.read() if named and named.size < _MAX_NAMES else np.empty(0)
    return _with_tests(path, first, part(TEST), part(VALIDATION), tuple(map(str, names)) if names.dtype.kind == "U" else ())


def _with_tests(path: Path, train: Part, test: Part | None, validation: Part | None, names: tuple[str, ...]) -> Arrays:
    """The arrays; images for validation alone beside those for training are the test set, as in a folder."""
    return Arrays(path, train, test or validation, validation if test else None, names)


def _check_size(path: Path, stored: Iterable[_Stored]) -> None:
    """Refuses arrays that this machine's memory does not hold, as they are and as bytes."""
    need = sum(one.size + math.prod(one.shape) for one in stored)
    if need > (most := int(SHARE * machine_memory())):
        raise DataError(
            f"{path}: its arrays take {need / 1e9:,.1f} GB of memory, expected at most {most / 1e9:,.1f}, half of this machine's; "
            "save fewer images, or as uint8"
        )


def _read_npy(path: Path, file: IO[bytes], length: int, name: str = "") -> Array:
    stored = _npy(path, file, length, name)
    _check_size(path, [stored])
    return stored.read()


def _npy(path: Path, file: IO[bytes], length: int, name: str = "") -> _Stored:
    """The array of an open .npy file of so many bytes, whose header is read."""
    where = f"{path}: {name}" if name else str(path)
    start = file.tell() if not name else 0
    try:
        version = np.lib.format.read_magic(file)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = readers[version](file)
        head = file.tell() - start
        sound = all(type(side) is int and side >= 0 for side in shape)
    except (ValueError, KeyError, TypeError, EOFError, RecursionError, SyntaxError, MemoryError):
        raise DataError(f"{where}: its header is not one of NumPy's: the file is damaged") from None
    if dtype.hasobject or dtype.names:
        raise DataError(f"{where}: found Python objects or records, expected numbers or words; save an array of one type")
    stored = _Stored(shape, dtype, lambda: np.empty(0))
    if not sound or head + stored.size != length:
        raise DataError(
            f"{where}: found {length - head:,} bytes of values, expected {stored.size:,} of shape {shape}: it is damaged"
        )

    def read() -> Array:
        data = bytearray(stored.size)
        view, done = memoryview(data), 0
        while done < len(data) and (got := file.readinto(view[done : done + (1 << 24)])):  # type: ignore[attr-defined]
            done += got
        if done < len(data):
            raise DataError(f"{where}: the file is cut short or damaged")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")

    return stored._replace(read=read)


def _from_npz(path: Path, file: IO[bytes]) -> Arrays:
    try:
        with zipfile.ZipFile(file) as archive, ExitStack() as opened:
            stored = {}
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if name == info.filename or not _is_read(name, len(archive.infolist())):
                    stored[name] = _Stored((), np.dtype("O"), lambda: np.empty(0))
                    continue
                if info.file_size > _DEFLATED * info.compress_size + _DEFLATED:
                    raise DataError(f"{path}: {name}: found more values than so few bytes can hold: the file is damaged")
                stored[name] = _npy(path, opened.enter_context(archive.open(info)), info.file_size, name)
            return _chosen(path, stored)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise DataError(f"{path}: cannot be read as .npz ({str(error)[:80]}): the file is damaged or locked") from None


def _library(name: str, extra: str, path: Path) -> Any:
    """A library that an extra installs."""
    try:
        with without_warnings():
            return import_module(name)
    except ImportError:
        raise DataError(f"{path}: found no {name}, which reads it; install it with: pip install 'vaecli[{extra}]'") from None


def _from_hdf5(path: Path, file: IO[bytes]) -> Arrays:
    """The arrays of an HDF5 file, those of groups one level below the top included."""
    h5py = _library("h5py", "hdf5", path)
    try:
        with h5py.File(file, "r") as top:
            places = {name: (top, name) for name in top}
            for name in list(places):
                if isinstance(top.get(name, getlink=True), h5py.HardLink) and top.get(name, getclass=True) is h5py.Group:
                    del places[name]
                    places |= {f"{name}/{inner}": (top[name], inner) for inner in top[name]}
            stored = {name: _hdf5(h5py, path, name, len(places), *place) for name, place in places.items()}
            return _chosen(path, stored)
    except VaecliError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # h5py raises any of these on a damaged file
        why = str(error).splitlines()[0][:100] if str(error) else "damaged"
        raise DataError(f"{path}: cannot be read as HDF5 ({why}): the file is cut short or damaged") from None


def _hdf5(h5py: Any, path: Path, name: str, beside: int, group: Any, key: str) -> _Stored:
    """One data set of an HDF5 file; links to other files, and values in them, are not followed."""
    unused = _Stored((), np.dtype("O"), lambda: np.empty(0))
    if not _is_read(name, beside):
        return unused
    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise DataError(f"{path}: {name}: found a link, expected the values themselves; copy them into the file")
    if group.get(key, getclass=True) is not h5py.Dataset:
        return unused
    values = group[key]
    if values.external or values.is_virtual:
        raise DataError(f"{path}: {name}: found values that are in another file, expected them in this one; copy them")
    if h5py.check_string_dtype(values.dtype) and len(values.shape or ()) == 1 and _role(name) != ("", "images"):
        return _Stored(values.shape, np.dtype("U64"), lambda: np.array(values.asstr(errors="replace")[:], np.str_))
    if values.dtype.hasobject or values.dtype.names or values.shape is None:
        raise DataError(f"{path}: {name}: found values of type {values.dtype}, expected numbers or words")
    stored = _Stored(values.shape, values.dtype, lambda: np.asarray(values[()]))
    if stored.size > _DEFLATED**2 * values.id.get_storage_size():  # packed twice at most
        raise DataError(f"{path}: {name}: found {stored.size:,} bytes that are not in the file, expected its values")
    return stored


def _from_folder(path: Path) -> Arrays:
    """The arrays of a folder that ``save_to_disk`` wrote."""
    if not looks_like_arrays(path):
        if find_pictures(path).pictures:
            raise DataError(f"{path}: found a folder of pictures, which {{dataset=folder}} reads; expected a {KINDS}")
        raise DataError(f"{path}: found a folder, expected a {KINDS}")
    library = _library("datasets", "huggingface", path)
    try:
        with without_warnings():
            loaded = library.load_from_disk(str(path.absolute()))
            tables = dict(loaded) if isinstance(loaded, library.DatasetDict) else {"": loaded}
            parts = {
                split: _from_table(library, path, name, table)
                for name, table in tables.items()
                if (split := _SPLIT_WORDS.get(name.casefold(), TRAIN if len(tables) == 1 else None)) is not None
            }
    except VaecliError:
        raise
    except Exception as error:  # its libraries raise any error on a damaged folder
        why = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise DataError(f"{path}: cannot be read as a folder of Hugging Face's datasets ({why})") from None
    if TRAIN not in parts:
        raise DataError(f"{path}: found the splits {', '.join(tables)}, expected one called train")
    named: tuple[str, ...] = next((names for _, names in parts.values() if names), ())
    test, validation = (parts[split][0] if split in parts else None for split in (TEST, VALIDATION))
    return _with_tests(path, parts[TRAIN][0], test, validation, named)


def _from_table(library: Any, path: Path, split: str, table: Any) -> tuple[Part, tuple[str, ...]]:
    """The images of one table, and the names of its labels."""
    columns = {kind: [name for name in table.column_names if (_role(name) or ("", ""))[1] == kind] for kind in ("images", "labels")}
    if len(columns["images"]) != 1 or len(columns["labels"]) > 1:
        names = ", ".join(table.column_names[:8])
        raise DataError(f"{path}: found the columns {names}, expected one called image, and label beside it at most")
    column, features = columns["images"][0], table.features
    name = f"{split}/{column}" if split else column
    if isinstance(features[column], library.Image):
        table = table.cast_column(column, library.Image(decode=False))  # which else opens any path or address in it
        values, _ = stacked(_Pictures(table.select_columns([column]), path, name), f"{path}: {name}")
    else:
        values = np.asarray(table.with_format("numpy", columns=[column])[:][column])
    if not columns["labels"]:
        return Part(values, None, name), ()
    label = columns["labels"][0]
    numbers = np.asarray(table.with_format(None).select_columns([label])[:][label])
    named = getattr(features[label], "names", None)
    return Part(values, numbers, name), tuple(map(str, named)) if named else ()


class _Pictures:
    """The pictures of a column of files' bytes."""

    def __init__(self, table: Any, path: Path, name: str) -> None:
        self._table, self._path, self._name = table.with_format(None), path, name

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> Array:
        (cell,) = self._table[index].values()
        data = cell["bytes"] if cell else None
        where = Path(f"{self._path}: {self._name} {index}")
        if data is None:
            raise DataError(f"{where}: found a path or nothing, expected a picture inside the folder; save_to_disk embeds them")
        with checked_bytes(data, where) as picture:
            return values_of(picture)
