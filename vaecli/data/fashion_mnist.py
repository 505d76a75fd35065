"""Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747), looked for on this machine, then downloaded."""

import os
import tempfile
import zlib
from pathlib import Path

from vaecli.data.dataset import IdxDataset
from vaecli.data.download import cache, download
from vaecli.data.idx import SPLITS, read_folder
from vaecli.data.images import Images
from vaecli.data.picture import Drawing
from vaecli.errors import DataError, VaecliError
from vaecli.files import write_file

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""The folder of Debian's package dataset-fashion-mnist."""

MIRROR = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
"""The makers' own. Files from there must have the digests of the published images."""

_LIMIT = 64 << 20
"""Bytes; the largest file has 47 million."""


def read(split: str) -> Images:
    """One split, from the first place that has it.

    The places are the folder ``fashion-mnist`` under VAECLI_DATA_DIR, which may hold any images; Debian's folder and the cache, if
    they hold the published images; the network, whose files go into the cache.

    Raises:
        DataError: none of them has it.
    """
    if named := os.environ.get("VAECLI_DATA_DIR"):
        own = Path(named) / "fashion-mnist"
        if any(own.glob("train-images-idx3-ubyte*")):
            return read_folder(own, split, FASHION_MNIST.names)
    images = FASHION_MNIST.published(DEBIAN, split)
    if images is None:
        cached = cache("fashion-mnist") / "FashionMNIST" / "raw"
        images = FASHION_MNIST.published(cached, split) or _downloaded(cached, split)
    return images


def _downloaded(folder: Path, split: str) -> Images:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in SPLITS:  # both, since the other may be needed later without a network
            if FASHION_MNIST.published(folder, name) is None:
                _fetch(folder, name)
    except (VaecliError, OSError) as error:
        raise DataError(
            f"fashion-mnist: found no whole copy on this machine, and cannot download one ({error}); "
            "install Debian's package dataset-fashion-mnist, or put its IDX files into fashion-mnist/ of a folder that "
            "VAECLI_DATA_DIR names"
        ) from None
    return read_folder(folder, split, FASHION_MNIST.names)


def _fetch(folder: Path, split: str) -> None:
    """Puts the two files of a split into a folder, unpacked, over any damaged ones."""
    names = [f"{SPLITS[split]}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]
    packed = {name: download(f"{MIRROR}/{name}.gz", _LIMIT) for name in names}
    with tempfile.TemporaryDirectory() as beside:
        for name in names:
            try:
                data = zlib.decompressobj(wbits=31).decompress(packed[name], _LIMIT)
            except zlib.error:
                data = b""
            (Path(beside) / name).write_bytes(data)
        if FASHION_MNIST.published(Path(beside), split) is None:
            raise DataError(f"what {MIRROR} sent is not the published data set")
        for name in names:
            write_file(folder / name, (Path(beside) / name).read_bytes())


FASHION_MNIST = IdxDataset(
    names=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    digests={
        "train": "7288bac6a281ba62d0deb234d54ebf280bb37069484d5ccda0afde783c1deb7b",
        "test": "4f215d879fce96bd3ec42ee7240e9f78fff1655890f93848c6dc9120eb29b033",
    },
    own=read,
    drawing=Drawing(box=28, centred_by_mass=False),
)
