"""The file format of checkpoints: safetensors, whose header also holds the settings and a digest of everything.

A checkpoint is untrusted input. It is tensors and text only, never pickle, never code. Its length, its header and its settings must
agree with each other and with the model that the settings describe, and the digest must be right, before memory is taken for its
tensors.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from vaecli import registry
from vaecli.config import Config
from vaecli.data.tree import MAX_CLASSES, MAX_NAME
from vaecli.errors import CheckpointError, UsageError, reason
from vaecli.model import VAE, made, skeleton
from vaecli.reading import bytes_on_disk, open_file
from vaecli.runs.header import FORMAT, Record, check_digest, header_bytes, heading, read_header, record_of, start_digest

Shapes = dict[str, tuple[torch.dtype, torch.Size]]

MOST_WEIGHT = 65_504
"""No trained weight is larger: those of networks that work are below 100. Half precision, which the explorer's page has, ends."""

_TYPES = {torch.int64: "I64", torch.float32: "F32", torch.uint8: "U8", torch.bool: "BOOL"}
"""The types of tensors, in the order in which safetensors puts them."""

_LARGE = 64 << 20
_HOLES = 4
"""How many times longer than its bytes on the disk a file of more than `_LARGE` bytes may be; some disks compress."""


@dataclass(frozen=True)
class About(Record):
    """What a checkpoint says of its run.

    Attributes:
        class_names: the names of the images' labels.
    """

    class_names: tuple[str, ...] = ()


def pack(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Iterator[bytes | memoryview]:
    """The parts of a file of tensors, with a record about them in its header.

    The header, then each tensor, which is not copied. `safetensors` gives the same bytes, but as a copy of all tensors, or in a
    file that takes the place of the one that is written to.

    Args:
        tensors: on the CPU, contiguous, of the types that `unpack` reads; they must not change until all parts are taken.
        about: the record, as JSON values.
    """
    about = {"format": FORMAT, **about}
    digest = start_digest(about)
    _add(digest, tensors)
    header: dict[str, Any] = {}
    order, end = list(_TYPES), 0
    names = sorted(tensors, key=lambda name: (order.index(tensors[name].dtype), name))
    for name in names:
        start, end = end, end + tensors[name].nbytes
        header[name] = {"dtype": _TYPES[tensors[name].dtype], "shape": list(tensors[name].shape), "data_offsets": [start, end]}
    yield header_bytes(header, about, digest.hexdigest())
    yield from (_bytes_of(tensors[name]) for name in names)


def unpack(
    file: Path, wanted: Callable[[VAE], Mapping[str, Tensor]], texts: Callable[[About], Mapping[str, int]]
) -> tuple[dict[str, Tensor], About]:
    """The tensors of a file, and what it says of its run.

    Args:
        file: the file's path.
        wanted: tensors like those that the file must hold, from the model that its settings describe.
        texts: the names of the byte tensors beside them and the most bytes of each, from what the file says of its run.

    Raises:
        CheckpointError: it cannot be read, is damaged, is not one that vaecli wrote, or has a newer format.
    """
    try:
        with open_file(file) as handle:
            status = os.fstat(handle.fileno())
            length = status.st_size
            header, stated, start = read_header(file, handle, length)
            about = _about(file, stated)
            model = _model(file, about)
            expected = {name: (tensor.dtype, tensor.shape) for name, tensor in wanted(model).items()}
            _match(file, header, expected, texts(about), length)
            if length > _LARGE and length > _HOLES * bytes_on_disk(status):
                raise CheckpointError(f"{file}: found {length:,} bytes, most of them holes, expected a whole file: copy it again")
            check_digest(file, handle, header, stated, start)
            handle.seek(0)
            tensors = load_tensors(handle.read(length))
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({reason(error)})") from None
    except SafetensorError:
        raise CheckpointError(f"{file}: its tensors cannot be read: the file is damaged") from None
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"{file}: tensor {name!r} holds values that are no finite numbers; train the run again")
    return tensors, about


def weights_of(model: VAE) -> dict[str, Tensor]:
    """The weights and buffers of a model, by name, on the CPU; not copied where they are there already."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}


def digest_of_weights(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of weights on the CPU with their names and shapes, in hexadecimal; the same in whatever file they are."""
    digest = hashlib.sha256()
    _add(digest, weights)
    return digest.hexdigest()


def check_weights(what: str, config: Config, classes: int, weights: Mapping[str, Tensor]) -> None:
    """Refuses weights that no file of a run with these settings may hold.

    Args:
        what: whose they are, for the message.
        config: the settings.
        classes: how many labels the images have.
        weights: from `weights_of`.

    Raises:
        UsageError: their names, shapes or types are not those of the settings, or they hold values that are no finite numbers or
            too large.
    """
    expected = {name: (tensor.dtype, tensor.shape) for name, tensor in skeleton(config, classes).state_dict().items()}
    found = {name: (tensor.dtype, tensor.shape) for name, tensor in weights.items()}
    if odd := sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)):
        there, wanted = (_in_words(shapes.get(odd[0])) for shapes in (found, expected))
        raise UsageError(f"{what}: its weights are not those of its settings: {odd[0]} is {there}, expected {wanted}")
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise UsageError(f"{what}: {name} holds values that are no finite numbers; expected trained weights")
        if tensor.is_floating_point() and (most := float(tensor.abs().max())) > MOST_WEIGHT:
            raise UsageError(f"{what}: {name} holds {most:g}, expected weights of at most {MOST_WEIGHT:,}")


def _in_words(shape: tuple[torch.dtype, torch.Size] | None) -> str:
    return "not there" if shape is None else f"{str(shape[0]).removeprefix('torch.')} {list(shape[1])}"


def filled(file: Path, about: About, weights: dict[str, Tensor]) -> VAE:
    """The model of a file, on the CPU.

    Raises:
        CheckpointError: its weights are finite, but no training gives such.
    """
    model = made(about.config, len(about.class_names))
    model.load_state_dict(weights)
    for name, weight in model.named_parameters():
        if (most := float(weight.detach().abs().max())) > MOST_WEIGHT:
            raise CheckpointError(
                f"{file}: tensor {name!r} holds {most:g}, expected weights of at most {MOST_WEIGHT:,}; train the run again, "
                "such as with a smaller {lr=}"
            )
    return model


def _model(file: Path, about: About) -> VAE:
    """The model of a header's settings, without memory for its weights."""
    try:
        about.config.check_loaded("arch", "prior", "posterior", "likelihood")
    except UsageError as error:
        raise error.reworded(CheckpointError, before=f"{file}: ") from None
    try:
        return skeleton(about.config, len(about.class_names))
    except UsageError as error:  # such as more convolutions than the image can be halved
        raise error.reworded(CheckpointError, before=f"{file}: its settings are not valid: ") from None


def _about(file: Path, stated: dict[str, Any]) -> About:
    """What a header says of its run."""
    record = record_of(file, stated)
    return About(**vars(record), class_names=_class_names(file, stated, record.config))


def _class_names(file: Path, stated: dict[str, Any], config: Config) -> tuple[str, ...]:
    """The names of the labels in a header; those of the data set where it has none, as in format 1."""
    names = stated.get("class_names")
    if names is None and stated["format"] == 1 and not registry.find("dataset", config.dataset).own_labels:
        return registry.load("dataset", config.dataset).class_names()
    if (
        not isinstance(names, list)
        or len(names) > MAX_CLASSES
        or not all(isinstance(name, str) and len(name) <= MAX_NAME for name in names)
    ):
        raise CheckpointError(f"{file}: its names of labels are not valid: the file is damaged or not made by vaecli")
    return tuple(names)


def _match(file: Path, header: dict[str, Any], expected: Shapes, texts: Mapping[str, int], length: int) -> None:
    """Refuses a header that has other tensors than those expected and the texts, or of other types or shapes.

    Raises:
        CheckpointError: it has.
    """
    size = sum(shape.numel() * dtype.itemsize for dtype, shape in expected.values())
    if size > length:
        raise CheckpointError(f"{file}: its settings need {size:,} bytes of weights, but the file has {length:,}")
    if header.keys() != expected.keys() | texts.keys():
        odd = sorted(header.keys() ^ (expected.keys() | texts.keys()))[0]
        there = "has an unexpected tensor" if odd in header else "lacks the tensor"
        raise CheckpointError(f"{file}: {there} {odd[:60]!r}: its weights are not those of its settings")
    shapes = dict(expected)
    for name, entry in header.items():
        stored = entry["data_offsets"][1] - entry["data_offsets"][0]
        if name in texts:
            shapes[name] = torch.uint8, torch.Size([max(0, min(stored, texts[name]))])
        dtype, shape = shapes[name]
        if entry.get("dtype") != _TYPES[dtype] or entry.get("shape") != list(shape):
            stated = f"{entry.get('dtype')} {entry.get('shape')}"[:60]
            raise CheckpointError(f"{file}: tensor {name!r} is {stated}, its settings need {_TYPES[dtype]} {list(shape)}")
        if stored != shape.numel() * dtype.itemsize:
            raise CheckpointError(f"{file}: its header does not fit its length: the file is cut short or damaged")


def _add(digest: "hashlib._Hash", tensors: Mapping[str, Tensor]) -> None:
    for name in sorted(tensors):
        digest.update(heading(name, str(tensors[name].dtype).removeprefix("torch."), tensors[name].shape))
        digest.update(_bytes_of(tensors[name]))


def _bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of a tensor on the CPU; not copied where it is contiguous."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
