"""The list of a run's pictures, ``pictures.csv``: what a later command needs to say which of them have changed."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from vaecli.data.images import Images
from vaecli.files import csv_bytes
from vaecli.reading import read_file
from vaecli.runs.find import PICTURES

MAX_BYTES = 1 << 30
"""Bytes of a list that are read."""

_NAMED = 3
"""The most pictures of a kind that a message names."""


def picture_list(splits: Mapping[str, Images]) -> bytes:
    """The list of the images of some splits: a row for each, with its split, its file's name, its label and its digest."""
    rows = [
        {"split": split, "name": name, "label": label, "digest": digest}
        for split, images in splits.items()
        for name, (label, digest) in _described(images).items()
    ]
    return csv_bytes(rows)


def difference(folder: Path, split: str, images: Images) -> str:
    """What is different about images that are not those of the run in a folder: names and numbers.

    Empty where that is not known: the run has no list, or one that cannot be read.
    """
    before = read_list(folder, split)
    if not before:
        return ""
    now = _listed(picture_list({split: images}), split)  # as the list spells names
    changes = {
        "missing": [name for name in before if name not in now],
        "new": [name for name in now if name not in before],
        "with other pixels": [name for name in before if name in now and before[name][1] != now[name][1]],
        "with another label": [name for name in before if name in now and before[name][0] != now[name][0]],
    }
    texts = [
        f"{len(names):,} {what} ({', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''})"
        for what, names in changes.items()
        if names
    ]
    return f"of its {len(before):,} {split} pictures, {', '.join(texts)}" if texts else ""


def read_list(folder: Path, split: str) -> dict[str, tuple[str, str]]:
    """The label and the digest of each picture of a split of the run in a folder, by its file's name, in their order.

    Empty if the run has no list, or one that cannot be read.
    """
    try:
        return _listed(read_file(folder / PICTURES, MAX_BYTES), split)
    except (OSError, ValueError, KeyError, csv.Error):
        return {}


def _listed(data: bytes, split: str) -> dict[str, tuple[str, str]]:
    """The label and the digest of each image of a split, by its file's name, as a list has them."""
    rows = csv.DictReader(io.StringIO(data.decode(errors="strict"), newline=""))
    return {row["name"]: (row["label"], row["digest"]) for row in rows if row["split"] == split}


def _described(images: Images) -> dict[str, tuple[str, str]]:
    """The label and the digest of each image, by its file's name."""
    labels = [images.class_names[number] if number >= 0 else "" for number in images.labels.tolist()]
    return {name: (label, digest) for name, label, digest in zip(images.names, labels, images.digests, strict=True)}
