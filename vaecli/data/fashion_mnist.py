"""Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747), looked for on this machine, then downloaded."""

import os
from pathlib import Path

from vaecli.data.dataset import IdxDataset, ReadListener
from vaecli.data.download import cache
from vaecli.data.idx import read_folder
from vaecli.data.images import Images
from vaecli.data.picture import Drawing
from vaecli.data.published import find_archives
from vaecli.errors import DataError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""The folder of Debian's package dataset-fashion-mnist."""


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
    for folder in (DEBIAN, cache("fashion-mnist") / "FashionMNIST" / "raw"):  # the second is where earlier vaecli kept it
        if images := FASHION_MNIST.published(folder, split):
            return images
    try:
        files = find_archives("fashion-mnist", "FashionMNIST", None, ReadListener())
    except DataError as error:
        raise DataError(f"{error}; or install Debian's package dataset-fashion-mnist") from None
    return read_folder(next(iter(files.values())).parent, split, FASHION_MNIST.names)


FASHION_MNIST = IdxDataset(
    names=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    digests={
        "train": "7288bac6a281ba62d0deb234d54ebf280bb37069484d5ccda0afde783c1deb7b",
        "test": "4f215d879fce96bd3ec42ee7240e9f78fff1655890f93848c6dc9120eb29b033",
    },
    own=read,
    drawing=Drawing(box=28, centred_by_mass=False),
)
