"""The latents of images, to go on with elsewhere."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor

from vaecli.arguments import checked, wrong
from vaecli.data import Images, Read, read_split
from vaecli.data.dataset import Request
from vaecli.data.images import UNKNOWN, Take, first, taken
from vaecli.evaluation.encode import encode
from vaecli.files import csv_bytes
from vaecli.model import VAE
from vaecli.runs.run import Run


@dataclass(frozen=True)
class Latents:
    """The posteriors q(z | x, y) of N images, and what the images are.

    Attributes:
        mean: their means, float32, shape (N, latent_dim).
        log_scale: the logarithms of their standard deviations, float32, shape (N, latent_dim).
        label: int64, shape (N,), each an index into `class_names`, or -1 where it is not known.
        names: of the images' files; their numbers in the split, from 0, where they are not files of their own.
        class_names: the names of the labels.
    """

    mean: Tensor
    log_scale: Tensor
    label: Tensor
    names: tuple[str, ...]
    class_names: tuple[str, ...]

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """The fields as arrays, ``names`` as ``name``."""
        tensors = {"mean": self.mean, "log_scale": self.log_scale, "label": self.label}
        texts = {"name": self.names, "class_names": self.class_names}
        return {name: tensor.numpy() for name, tensor in tensors.items()} | {
            name: np.array(text, dtype=np.str_) for name, text in texts.items()
        }

    def rows(self) -> list[dict[str, Any]]:
        """The rows of a .csv: name, label, its name where there are any, ``mean_1``, ..., ``log_scale_1``, ..."""
        latents = range(1, self.mean.shape[1] + 1)
        columns = [f"{kind}_{number}" for kind in ("mean", "log_scale") for number in latents]
        values = torch.cat((self.mean, self.log_scale), 1).tolist()
        return [
            {"name": name, "label": label} | self._label_name(label) | dict(zip(columns, row, strict=True))
            for name, label, row in zip(self.names, self.label.tolist(), values, strict=True)
        ]

    def _label_name(self, label: int) -> dict[str, str]:
        if not self.class_names:
            return {}
        return {"label_name": "" if label == UNKNOWN else self.class_names[label]}

    def file(self, suffix: str) -> bytes:
        """The bytes of a file: ``.npz`` without pickle, ``.csv``, or ``.safetensors`` with names as JSON in its metadata.

        Raises:
            UsageError: it is none of these.
        """
        if suffix not in _FORMATS:
            raise wrong("suffix", suffix, f"expected one of {', '.join(_FORMATS)}")
        return _FORMATS[suffix](self)


@checked
def latents_of(model: VAE, images: Images, *, labels_known: bool = True) -> Latents:
    """The latents of images.

    Args:
        model: on the same device as `images`.
        images: with their labels.
        labels_known: whether a conditional model sees them.
    """
    seen = images if labels_known else replace(images, labels=torch.full_like(images.labels, UNKNOWN))
    q = encode(model, seen)
    names = images.names or tuple(map(str, range(len(images))))
    return Latents(q.mean, q.stddev.log(), images.labels.cpu(), names, images.class_names)


def split_or_other(
    run: Run, split: str, data_dir: Path | None, read: Read = read_split, take: Take | None = None
) -> tuple[Images, bool]:
    """The images of a split that `take` takes, all if not given, and whether they are the run's; those in `data_dir` may be others.

    Labels of other images are those of the run by name: the run does not know others.

    Raises:
        DataError: the images cannot be read.
    """
    take = take or first(None)
    if data_dir is None or run.provenance is None or split == "validation":
        return run.images(split, data_dir, read, take), True
    request = Request.of(run.config, split, data_dir)
    images = read(request)
    if images.digest == getattr(run.provenance.data, split):
        return taken(images, take), True
    return taken(with_labels_of(run, read(replace(request, limit=None, validation=None))), take), False


def with_labels_of(run: Run, images: Images) -> Images:
    """The same images with the labels of a run, by name; UNKNOWN where the run has none of that name."""
    numbers = {name: number for number, name in enumerate(run.class_names)}
    known = torch.tensor([numbers.get(name, UNKNOWN) for name in images.class_names] + [UNKNOWN])  # the last is that of UNKNOWN
    return replace(images, labels=known[images.labels], class_names=run.class_names)


def _npz(latents: Latents) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **latents.arrays())
    return file.getvalue()


def _safetensors(latents: Latents) -> bytes:
    texts = json.dumps({"name": latents.names, "class_names": latents.class_names})  # safetensors writes several in any order
    return save({name: array for name, array in latents.arrays().items() if array.dtype.kind != "U"}, {"images": texts})


_FORMATS: Mapping[str, Callable[[Latents], bytes]] = {
    ".npz": _npz,
    ".csv": lambda latents: csv_bytes(latents.rows()),
    ".safetensors": _safetensors,
}
