"""The published files of torchvision's data sets: their addresses and checksums, found on this machine or downloaded.

Addresses and checksums are torchvision's own. The rest is not: its download has no time limit, prints, and leaves damaged files
where they are taken for whole.
"""

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from vaecli.data import download
from vaecli.data.dataset import ReadListener
from vaecli.errors import DataError, VaecliError, is_out_of_memory, reason
from vaecli.reading import open_file

_MEGABYTES = {"FashionMNIST": 60, "KMNIST": 40, "EMNIST": 700, "Omniglot": 40, "CIFAR10": 250, "SVHN": 250}
"""Sizes that no file of these classes has; of others it is `download.MOST`.

Downloads in public logs: 26.4 (FashionMNIST), 18.2, 561.8, 170.5 and 182.0 MB. Of Omniglot's files none was found.
"""

Archives = Mapping[str, Path]
"""Files whose checksums are the published ones, by the path at which torchvision keeps them."""


@dataclass(frozen=True)
class Published:
    """One file of a data set.

    Attributes:
        path: where torchvision keeps it, below its root.
        urls: where it can be downloaded, the same file at each address.
        md5: its checksum, in hexadecimal.
        limit: bytes that it has at most.
    """

    path: str
    urls: tuple[str, ...]
    md5: str
    limit: int = download.MOST

    @property
    def name(self) -> str:
        """The name of the file."""
        return PurePosixPath(self.path).name

    def find(self, folder: Path) -> Path | None:
        """The file in a folder: where torchvision keeps it, or in the folder itself; None if there is none."""
        return next((path for path in (folder / self.path, folder / self.name) if os.path.lexists(path)), None)

    def check(self, path: Path) -> None:
        """Refuses a file that is not the published one.

        Raises:
            DataError: it is another one, or cannot be read.
        """
        try:
            found = path.stat()
            md5 = _md5(path, found.st_size, found.st_mtime_ns, found.st_ino)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({reason(error)}); expected the file from {self.urls[0]}") from None
        if md5 != self.md5:
            raise DataError(
                f"{path}: found MD5 {md5}, expected {self.md5}: it is cut short, damaged or another file; "
                f"fetch it again from {self.urls[0]}"
            )


def find_archives(dataset: str, kind: str, folder: Path | None, listen: ReadListener) -> Archives:
    """The published files of a data set, from the first place that has them.

    If `folder` is given, that is the only place. Otherwise the places are the folder of the data set's name under
    VAECLI_DATA_DIR, if it has one of the files, and the cache, into which what is missing or damaged there is downloaded.

    Args:
        dataset: the data set's name in the registry.
        kind: the name of torchvision's class.
        folder: where the files are.
        listen: gets a note when a download begins.

    Raises:
        DataError: a file is missing or damaged and cannot be downloaded.
    """
    files = files_of(kind)
    if folder is None and (named := os.environ.get("VAECLI_DATA_DIR")):
        own = Path(named) / dataset
        folder = own if any(file.find(own) for file in files) else None
    if folder is None:
        return _cached(dataset, files, download.cache(dataset) / dataset, listen)
    return {file.path: _there(dataset, file, folder, files) for file in files}


def _there(dataset: str, file: Published, folder: Path, files: Iterable[Published]) -> Path:
    path = file.find(folder)
    if path is None:
        found = f"no {file.name} there" if folder.is_dir() else "no such folder"
        raise DataError(
            f"{folder}: {found}; expected {dataset}'s files as torchvision keeps them, or side by side: {_wanted(files)}"
        )
    file.check(path)
    return path


def _cached(dataset: str, files: Iterable[Published], folder: Path, listen: ReadListener) -> Archives:
    found = {}
    for file in files:
        try:
            found[file.path] = _there(dataset, file, folder, files)
        except DataError:
            try:
                found[file.path] = folder / file.path
                found[file.path].parent.mkdir(parents=True, exist_ok=True)
                _fetch(dataset, file, found[file.path], listen)
            except (VaecliError, OSError) as error:
                raise DataError(
                    f"{dataset}: found no whole copy on this machine, and cannot download one ({error}); "
                    f"put {_wanted(files)} into {folder}, or into {dataset}/ of a folder that VAECLI_DATA_DIR names"
                ) from None
    return found


def _fetch(dataset: str, file: Published, path: Path, listen: ReadListener) -> None:
    """Downloads a file from the first of its addresses that sends it."""
    for url in file.urls:

        def note(size: int | None, url: str = url) -> None:
            megabytes = f" ({size / 1e6:,.1f} MB)" if size else ""
            listen.note(f"{dataset}: downloading {file.name}{megabytes} from {urlsplit(url).hostname} into {path.parent}")

        try:
            return download.download(path, url, file.md5, note, file.limit)
        except DataError:
            if url == file.urls[-1]:
                raise
    return None


def _wanted(files: Iterable[Published]) -> str:
    """The names of files and where they come from: ``train.gz, test.gz from http://...``."""
    names = ", ".join(file.name for file in files)
    places = dict.fromkeys(file.urls[0].rpartition("/")[0] for file in files)
    return f"{names} from {' and '.join(places)}"


@cache
def _md5(path: Path, size: int, changed: int, inode: int) -> str:
    """The MD5 of a file as it is now, computed once."""
    with open_file(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def torchvision_class(kind: str) -> Any:
    """A class of `torchvision.datasets`; imports it, which takes seconds.

    Raises:
        AttributeError: there is no such class.
        DataError: torchvision is not installed, or goes with another PyTorch.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            datasets = import_module("torchvision.datasets")
    except (ImportError, RuntimeError) as error:  # RuntimeError: an operator of another version of PyTorch
        if is_out_of_memory(error):
            raise
        raise DataError(f"torchvision cannot be imported ({error}); install the one that goes with your PyTorch") from None
    return getattr(datasets, kind)


def files_of(kind: str) -> tuple[Published, ...]:
    """The published files of the training and the test set of one of torchvision's classes, as it lists them.

    Raises:
        DataError: it lists no checksums.
    """
    made = torchvision_class(kind)
    limit = _MEGABYTES[kind] * 10**6 if kind in _MEGABYTES else download.MOST
    files = tuple(Published(*listed, limit) for listed in _listed(made, kind))
    if not files:
        raise DataError(f"torchvision's {kind} gives no checksums of its files, which vaecli needs")
    return files


def _listed(made: Any, kind: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """The paths, addresses and checksums that a class of torchvision lists; there are five ways in which it does."""
    raw = f"{kind}/raw/" if hasattr(made, "raw_folder") else ""
    if md5 := getattr(made, "tgz_md5", None) or getattr(made, "md5", None):  # CIFAR10, CIFAR100, STL10; EMNIST
        yield raw + getattr(made, "filename", made.url.rpartition("/")[2]), (made.url,), md5
    elif isinstance(lists := getattr(made, "resources", None), list):  # MNIST, KMNIST
        yield from ((raw + name, tuple(mirror + name for mirror in made.mirrors), md5) for name, md5 in lists)
    elif isinstance(lists, dict):  # QMNIST
        for url, md5 in chain(lists["train"], lists["test"]):
            yield raw + url.rpartition("/")[2], (url,), md5
    elif lists := getattr(made, "split_list", None):  # SVHN, USPS
        yield from ((lists[split][1], (lists[split][0],), lists[split][2]) for split in ("train", "test"))
    elif lists := getattr(made, "zips_md5", None):  # Omniglot
        for name, md5 in lists.items():
            yield f"{made.folder}/{name}.zip", (f"{made.download_url_prefix}/{name}.zip",), md5
