"""Small stand-ins for published data sets in their formats, and their checksums in the place of the published ones."""

import bz2
import gzip
import hashlib
import io
import pickle
import random
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
import torchvision.datasets as torchvision
from PIL import Image

from vaecli.data import load_images
from vaecli.errors import DataError

SETS = ["kmnist", "emnist-letters", "omniglot", "cifar10", "svhn"]
"""The registered sets that are read through torchvision."""

COUNTS = {"train": 30, "test": 20}
ALPHABETS = {"train": ("Greek", "Anglo-Saxon_Futhorc"), "test": ("Tengwar",)}
"""Of the stand-in for Omniglot, with 15 drawings of one and 20 of the other split's."""


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def numbers(count, classes):
    return (np.arange(count) * 7 + 3) % classes


def idx(values):
    return struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def pixels(shape, split):
    return noise(COUNTS[split], *shape, seed=len(split))


def kmnist(root):
    folder = root / "KMNIST" / "raw"
    folder.mkdir(parents=True)
    for split, stem in ("train", "train"), ("test", "t10k"):
        (folder / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels((28, 28), split))))
        (folder / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(numbers(COUNTS[split], 10))))


def emnist(root, change=lambda name, data: data):
    folder = root / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "gzip.zip", "w") as packed:
        for split, count in COUNTS.items():
            lying = pixels((28, 28), split).transpose(0, 2, 1)
            for kind, values in ("images-idx3", lying), ("labels-idx1", numbers(count, 26) + 1):
                name = f"gzip/emnist-letters-{split}-{kind}-ubyte.gz"
                packed.writestr(name, change(name, gzip.compress(idx(values))))
        packed.writestr("gzip/emnist-digits-train-images-idx3-ubyte.gz", b"others")


def drawing(number):
    """A black stroke on white, of a bit a pixel."""
    page = Image.new("1", (105, 105), 1)
    page.paste(0, (10, 10 + number, 90, 20 + number))
    return page


def png(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def omniglot(root, change=lambda name, data: data):
    folder = root / "omniglot-py"
    folder.mkdir(parents=True)
    for split, kind in ("train", "background"), ("test", "evaluation"):
        entries = [
            (f"images_{kind}/{alphabet}/character{character:02}/{character:04}_{person:02}.png", drawing(character * 5 + person))
            for alphabet in ALPHABETS[split]
            for character in range(COUNTS[split] // len(ALPHABETS[split]) // 5)
            for person in range(5)
        ]
        random.Random(0).shuffle(entries)  # the archives are not in order either
        with zipfile.ZipFile(folder / f"images_{kind}.zip", "w") as packed:
            packed.writestr(f"images_{kind}/{ALPHABETS[split][0]}/", b"")
            for name, picture in entries:
                packed.writestr(name, change(name, png(picture)))


class Python2Pickler(pickle._Pickler):
    """Writes bytes and text as Python 2 wrote its strings, which CIFAR-10's are."""

    def save_string(self, value):
        data = value.encode("latin1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch = pickle._Pickler.dispatch | {bytes: save_string, str: save_string}


def pickled(value):
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(value)
    return file.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def cifar10(root, change=lambda name, data: data):
    root.mkdir(parents=True, exist_ok=True)
    parts = {
        f"data_batch_{number + 1}": ("train", slice(COUNTS["train"] // 5 * number, COUNTS["train"] // 5 * (number + 1)))
        for number in range(5)
    }
    parts["test_batch"] = "test", slice(None)
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as packed:
        for name, (split, part) in parts.items():
            labels = numbers(COUNTS[split], 10)[part].tolist()
            batch = {
                "batch_label": name,
                "labels": labels,
                "data": pixels((3072,), split)[part],
                "filenames": ["a.png"] * len(labels),
            }
            add(packed, name, change(name, pickled(batch)))
        add(packed, "batches.meta", pickled({"label_names": ["airplane", "automobile"]}))


def add(packed, name, data):
    entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
    entry.size = len(data)
    packed.addfile(entry, io.BytesIO(data))


def element(kind, data):
    """A part of a MAT-file; up to four bytes stand in the place of their number."""
    if 0 < len(data) <= 4:
        return struct.pack("<HH", kind, len(data)) + data.ljust(4, b"\0")
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(name, values, sizes=None, packed=True):
    """An array in a MAT-file, as MATLAB writes it: the first index varies fastest."""
    body = element(6, struct.pack("<II", 9, 0)) + element(5, struct.pack(f"<{values.ndim}i", *(sizes or values.shape)))
    body += element(1, name.encode()) + element(2, values.astype(np.uint8).tobytes("F"))
    whole = element(14, body)
    return struct.pack("<II", 15, len(data := zlib.compress(whole))) + data if packed else whole


def mat(*matrices):
    return b"MATLAB 5.0 MAT-file, a stand-in".ljust(124) + b"\x00\x01IM" + b"".join(matrices)


def svhn(root, change=lambda name, data: data, packed=True):
    root.mkdir(parents=True, exist_ok=True)
    for split, count in COUNTS.items():
        images = pixels((3, 32, 32), split).transpose(2, 3, 1, 0)
        labels = numbers(count, 10).reshape(-1, 1)
        name = f"{split}_32x32.mat"
        data = mat(matrix("X", images, packed=packed), matrix("y", np.where(labels == 0, 10, labels), packed=packed))
        (root / name).write_bytes(change(name, data))


def usps(root):
    root.mkdir(parents=True, exist_ok=True)
    for split, name in ("train", "usps.bz2"), ("test", "usps.t.bz2"):
        lines = [
            f"{label + 1} " + " ".join(f"{place + 1}:{value / 127.5 - 1:.4f}" for place, value in enumerate(image.ravel()))
            for image, label in zip(pixels((16, 16), split), numbers(COUNTS[split], 10), strict=True)
        ]
        (root / name).write_bytes(bz2.compress("\n".join(lines).encode() + b"\n"))


WRITERS = {"kmnist": kmnist, "emnist-letters": emnist, "omniglot": omniglot, "cifar10": cifar10, "svhn": svhn, "usps": usps}


def md5(data):
    return hashlib.md5(data).hexdigest()


def publish(patch, dataset, root, address="http://stand.in"):
    """Makes torchvision's class list the checksums of the files below `root`, and an address to fetch them from."""
    match dataset:
        case "kmnist":
            names = [name for name, _ in torchvision.KMNIST.resources]
            patch.setattr(torchvision.KMNIST, "resources", [(n, md5((root / "KMNIST/raw" / n).read_bytes())) for n in names])
            patch.setattr(torchvision.KMNIST, "mirrors", [f"{address}/KMNIST/raw/"])
        case "emnist-letters":
            patch.setattr(torchvision.EMNIST, "md5", md5((root / "EMNIST/raw/gzip.zip").read_bytes()))
            patch.setattr(torchvision.EMNIST, "url", f"{address}/EMNIST/raw/gzip.zip")
        case "omniglot":
            kinds = list(torchvision.Omniglot.zips_md5)
            sums = {kind: md5((root / f"omniglot-py/{kind}.zip").read_bytes()) for kind in kinds}
            patch.setattr(torchvision.Omniglot, "zips_md5", sums)
            patch.setattr(torchvision.Omniglot, "download_url_prefix", f"{address}/omniglot-py")
        case "cifar10":
            path = root / "cifar-10-python.tar.gz"
            patch.setattr(torchvision.CIFAR10, "tgz_md5", md5(path.read_bytes()))
            patch.setattr(torchvision.CIFAR10, "url", f"{address}/{path.name}")
            with tarfile.open(path) as packed:
                sums = {entry.name.rpartition("/")[2]: md5(packed.extractfile(entry).read()) for entry in packed}
            patch.setattr(torchvision.CIFAR10, "meta", torchvision.CIFAR10.meta | {"md5": sums.pop("batches.meta")})
            patch.setattr(torchvision.CIFAR10, "test_list", [["test_batch", sums.pop("test_batch")]])
            patch.setattr(torchvision.CIFAR10, "train_list", [[name, value] for name, value in sums.items()])
        case "svhn" | "usps":
            kind = torchvision.SVHN if dataset == "svhn" else torchvision.USPS
            names = {split: kind.split_list[split][1] for split in COUNTS}
            lists = {split: [f"{address}/{name}", name, md5((root / name).read_bytes())] for split, name in names.items()}
            patch.setattr(kind, "split_list", lists)


def failure(dataset, folder=None):
    """The line that says why a set cannot be read."""
    with pytest.raises(DataError) as caught:
        load_images(dataset, "train", folder)
    line = str(caught.value)
    assert line.isprintable()
    return line
