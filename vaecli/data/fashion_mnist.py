"""Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747), looked for on this machine, then downloaded."""

import contextlib
import io
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from vaecli.data.dataset import Dataset
from vaecli.errors import DataError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts it."""

_PROOF = "train-images-idx3-ubyte"
_TIMEOUT = 20.0


def cache() -> Path:
    """The folder of downloads: ``vaecli`` in XDG_CACHE_HOME, or in ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "vaecli"


def find() -> Path:
    """The folder of its IDX files.

    Looked for in ``fashion-mnist`` under VAECLI_DATA_DIR, where Debian puts it, and in the cache; else downloaded there.

    Raises:
        DataError: it is in none of these places and cannot be downloaded.
    """
    downloaded = cache() / "FashionMNIST" / "raw"
    places = [DEBIAN, downloaded]
    if own := os.environ.get("VAECLI_DATA_DIR"):
        places.insert(0, Path(own) / "fashion-mnist")
    for place in places:
        if any(place.glob(f"{_PROOF}*")):
            return place

    from torchvision.datasets import FashionMNIST

    try:
        with _patience(_TIMEOUT), contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            FashionMNIST(str(cache()), download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"fashion-mnist: not found on this machine, and it cannot be downloaded ({_reason(error)}); expected its IDX files in "
            "one of these: --data-dir DIR, a folder fashion-mnist under VAECLI_DATA_DIR, Debian's package "
            f"dataset-fashion-mnist ({DEBIAN}), the cache ({downloaded}), or a network to download it"
        ) from None
    return downloaded


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:120]


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


FASHION_MNIST = Dataset(
    class_names=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    digests={
        "train": "7288bac6a281ba62d0deb234d54ebf280bb37069484d5ccda0afde783c1deb7b",
        "test": "4f215d879fce96bd3ec42ee7240e9f78fff1655890f93848c6dc9120eb29b033",
    },
    find=find,
    box=28,
    centred_by_mass=False,
)
