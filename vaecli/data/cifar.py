"""CIFAR-10 (Krizhevsky 2009, Learning multiple layers of features from tiny images)."""

import hashlib
import io
import pickle
import tarfile
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaecli.data.dataset import ReadListener
from vaecli.data.images import Images
from vaecli.data.published import Archives, torchvision_class
from vaecli.data.torchvision_sets import TorchvisionDataset
from vaecli.errors import DataError
from vaecli.image_shape import ImageShape

SHAPE = ImageShape(3, 32, 32)
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_RECONSTRUCT = np.empty(0).__reduce__()[0]  # numpy.core.multiarray._reconstruct, by whatever name this NumPy has it

_LARGEST = 64 << 20
"""Bytes; of a file of 10,000 images, which is half of that."""


class _Unpickler(pickle.Unpickler):
    """Reads arrays of numbers only. vaecli unpickles nothing else: these files are published as pickles.

    It gets bytes whose checksum is the published one, and even then calls nothing but NumPy's makers of arrays.
    """

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle may name."""
        match module, name:
            case "numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct":
                return _RECONSTRUCT
            case "numpy", "ndarray" | "dtype":
                return getattr(np, name)
        raise pickle.UnpicklingError(f"found {module}.{name}, expected NumPy's arrays only")


def read(archives: Archives, split: str, listen: ReadListener) -> Images:
    """A split from the archive of pickled files, which is not unpacked on the disk."""
    kind = torchvision_class("CIFAR10")
    md5s = {f"{kind.base_folder}/{name}": md5 for name, md5 in (kind.train_list if split == "train" else kind.test_list)}
    batches: dict[str, tuple[Tensor, Tensor]] = {}
    path = archives[kind.filename]
    with tarfile.open(path, "r:gz") as packed:
        for entry in packed:
            file = packed.extractfile(entry) if entry.name in md5s and entry.size <= _LARGEST else None
            if file is not None:
                batches[entry.name] = _batch(f"{path}: {entry.name}", file.read(), md5s[entry.name])
                listen.progress(len(batches), len(md5s))
    if missing := md5s.keys() - batches.keys():
        raise DataError(f"{path}: found no {', '.join(sorted(missing))} of at most {_LARGEST:,} bytes in it")
    pixels, labels = (torch.cat([batches[name][part] for name in md5s]) for part in (0, 1))
    return Images(pixels, labels, NAMES, SHAPE)


def _batch(where: str, data: bytes, md5: str) -> tuple[Tensor, Tensor]:
    """The pixels and labels in a file of this checksum."""
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
        raise DataError(f"{where}: found another file than the published one")
    batch = _Unpickler(io.BytesIO(data), encoding="latin1").load()
    pixels, labels = torch.from_numpy(batch["data"]), torch.tensor(batch["labels"], dtype=torch.int64)
    if pixels.dtype != torch.uint8 or pixels.shape != (len(labels), SHAPE.size):
        raise DataError(f"{where}: found {pixels.dtype} of {tuple(pixels.shape)}, expected bytes of {len(labels)} x {SHAPE.size}")
    return pixels, labels


CIFAR10 = TorchvisionDataset("cifar10", "CIFAR10", SHAPE, read, NAMES)
