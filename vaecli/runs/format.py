"""The file format of checkpoints: safetensors, whose header also holds the settings and a digest of everything.

A checkpoint is untrusted input. It is tensors and text only, never pickle, never code. Its length, its header and its settings must
agree with each other and with the model that the settings describe, and the digest must be right, before memory is taken for its
tensors.
"""

import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from vaecli import registry
from vaecli.config import MAX_EPOCHS, Config
from vaecli.data.tree import MAX_CLASSES, MAX_NAME
from vaecli.errors import CheckpointError, UsageError, VaecliError, reason
from vaecli.evaluation.soundness import NAMES, Warnings, known
from vaecli.model import VAE, made, skeleton
from vaecli.provenance import PROVENANCE, Provenance
from vaecli.reading import bytes_on_disk, open_file
from vaecli.runs.find import MODEL

FORMAT = 4
"""The version of the format that this file writes, and the newest that it reads.

Version 4 leaves the earlier rows of a long log to ``loss.csv``, has states within an epoch, and names the best epoch in the state
of a run that keeps it. Version 3 added the settings
``prior`` and ``posterior``, whose members may have weights, options of members that others bring, and in ``provenance`` these
members and the run whose weights a run began with; an older file has ``normal`` and ``diagonal``. Version 2 added ``class_names``,
and the settings ``image_size`` and ``colour``; a file of version 1 is of a registered data set of 28 x 28 images, which has names
of its own.
"""

MAX_HEADER = 1 << 20

Shapes = dict[str, tuple[torch.dtype, torch.Size]]

WARNINGS = "warnings"
"""The key of a finished run's warnings."""

ROWS = "rows"
"""The key of the number of rows of a run's log, of which a state has the last."""

MOST_WEIGHT = 65_504
"""No trained weight is larger: those of networks that work are below 100. Half precision, which the explorer's page has, ends."""

BEST = "best"
"""The key of the best epoch, in a state of training: `About.best`."""

_KEY = "vaecli"
_TYPES = {torch.int64: "I64", torch.float32: "F32", torch.uint8: "U8", torch.bool: "BOOL"}
"""The types of tensors, in the order in which safetensors puts them."""

_BLOCK = 1 << 20
_LARGE = 64 << 20
_HOLES = 4
"""How many times longer than its bytes on the disk a file of more than `_LARGE` bytes may be; some disks compress."""
_MAX_RESULT = 1e15


@dataclass(frozen=True)
class About:
    """What a checkpoint says of its run.

    Attributes:
        config: the settings.
        results: of the last finished epoch; of a state within an epoch ``epoch``, ``step`` and ``steps`` alone.
        provenance: the data and the computation; None for a run of a vaecli that did not record them.
        class_names: the names of the images' labels.
        warnings: of a finished run.
        rows: of its log, in a state of training; None in other files and in those of older formats.
        best: the results of the best epoch, in a state of training with `patience`, with ``bound``, by which it was chosen.
    """

    config: Config
    results: dict[str, float]
    provenance: Provenance | None
    class_names: tuple[str, ...]
    warnings: Warnings
    rows: int | None = None
    best: dict[str, float] | None = None


def pack(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Iterator[bytes | memoryview]:
    """The parts of a file of tensors, with a record about them in its header.

    The header, then each tensor, which is not copied. `safetensors` gives the same bytes, but as a copy of all tensors, or in a
    file that takes the place of the one that is written to.

    Args:
        tensors: on the CPU, contiguous, of the types that `unpack` reads; they must not change until all parts are taken.
        about: the record, as JSON values.
    """
    about = {"format": FORMAT, **about}
    digest = _start_digest(about)
    _add(digest, tensors)
    text = json.dumps({**about, "sha256": digest.hexdigest()}, sort_keys=True)
    header: dict[str, Any] = {"__metadata__": {_KEY: text}}
    order, end = list(_TYPES), 0
    names = sorted(tensors, key=lambda name: (order.index(tensors[name].dtype), name))
    for name in names:
        start, end = end, end + tensors[name].nbytes
        header[name] = {"dtype": _TYPES[tensors[name].dtype], "shape": list(tensors[name].shape), "data_offsets": [start, end]}
    data = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    data += b" " * (-len(data) % 8)
    yield struct.pack("<Q", len(data)) + data
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
            header, stated, start = _read_header(file, handle, length)
            digest = stated.pop("sha256", None)
            about = _about(file, stated)
            model = _model(file, about)
            expected = {name: (tensor.dtype, tensor.shape) for name, tensor in wanted(model).items()}
            shapes = _matched(file, header, expected, texts(about), length)
            if length > _LARGE and length > _HOLES * bytes_on_disk(status):
                raise CheckpointError(f"{file}: found {length:,} bytes, most of them holes, expected a whole file: copy it again")
            if digest != _digest_in(handle, header, shapes, start, stated):
                raise CheckpointError(
                    f"{file}: its contents do not match the digest in its header: the file is damaged or was changed"
                )
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


def read_about(file: Path) -> About:
    """What a checkpoint says of its run; its tensors are not looked at.

    Raises:
        CheckpointError: it is missing, damaged or not one that vaecli wrote.
    """
    try:
        with open_file(file) as handle:
            _, stated, _ = _read_header(file, handle, os.fstat(handle.fileno()).st_size)
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({reason(error)})") from None
    return _about(file, {name: value for name, value in stated.items() if name != "sha256"})


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


def _read_header(file: Path, handle: BinaryIO, length: int) -> tuple[dict[str, Any], dict[str, Any], int]:
    """The header's tensors, which end where the file does; vaecli's record about them; and the offset at which they start."""
    start = handle.read(8)
    size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 2 <= size <= min(MAX_HEADER, length - 8):
        raise CheckpointError(f"{file}: found no safetensors header: the file is cut short or not a checkpoint")
    header = _parse(handle.read(size)) or {}
    metadata = header.pop("__metadata__", {})
    if _end(header) != length - 8 - size or not isinstance(metadata, dict):
        raise CheckpointError(f"{file}: its header does not fit its length: the file is cut short or damaged")
    stated = _parse(metadata.get(_KEY))
    if stated is None:
        raise CheckpointError(f"{file}: found safetensors, but none that vaecli wrote: expected a run's {MODEL}")
    if type(stated.get("format")) is not int or not 1 <= stated["format"] <= FORMAT:
        raise CheckpointError(
            f"{file}: found format {str(stated.get('format'))[:20]}, expected 1 to {FORMAT}: upgrade vaecli to read it"
        )
    return header, stated, 8 + size


def _parse(text: object) -> dict[str, Any] | None:
    """A JSON object, or None for anything else."""
    if not isinstance(text, str | bytes):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _end(header: dict[str, Any]) -> int | None:
    """Where the last tensor of a safetensors header ends; None if the header is malformed.

    `safetensors.safe_open` checks more of it, but opens the file anew by its path, and waits for ever at a FIFO put there since.
    """
    end = 0
    for entry in header.values():
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(offset) is int and offset >= 0 for offset in offsets):
            return None
        end = max(end, offsets[1])
    return end


def _about(file: Path, stated: dict[str, Any]) -> About:
    """What a header says of its run."""
    try:
        provenance = Provenance.from_json(stated[PROVENANCE]) if PROVENANCE in stated else None
    except VaecliError as error:
        raise CheckpointError(f"{file}: {error}: the file is damaged") from None
    try:
        config = Config.from_json(stated.get("config"), provenance.members if provenance else ())
    except UsageError as error:
        raise error.reworded(CheckpointError, before=f"{file}: its settings are not valid: ") from None
    results, best = stated.get("results"), stated.get(BEST)
    if not _are_numbers(results) or not (best is None or (_are_numbers(best) and {"epoch", "bound"} <= best.keys())):
        raise CheckpointError(f"{file}: its results are not finite numbers: the file is damaged or not made by vaecli")
    rows = stated.get(ROWS)
    if rows is not None and (type(rows) is not int or not 0 <= rows <= MAX_EPOCHS):
        raise CheckpointError(f"{file}: its number of rows is not valid: the file is damaged or not made by vaecli")
    return About(config, results, provenance, _class_names(file, stated, config), _warnings(file, stated), rows, best)


def _are_numbers(values: object) -> TypeGuard[dict[str, float]]:
    """Whether these are finite numbers by name."""
    return isinstance(values, dict) and all(type(value) in (int, float) and abs(value) < _MAX_RESULT for value in values.values())


def _warnings(file: Path, stated: dict[str, Any]) -> Warnings:
    warnings = stated.get(WARNINGS, {})
    if not isinstance(warnings, dict) or not all(
        isinstance(numbers, dict) and known(name, numbers) and _are_numbers(numbers) for name, numbers in warnings.items()
    ):
        raise CheckpointError(f"{file}: its warnings are not ones that vaecli wrote: the file is damaged")
    return {name: warnings[name] for name in NAMES if name in warnings}


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


def _matched(file: Path, header: dict[str, Any], expected: Shapes, texts: Mapping[str, int], length: int) -> Shapes:
    """The types and shapes of all tensors, texts included, which the header must have exactly.

    Raises:
        CheckpointError: it has others.
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
    return shapes


def _digest_in(handle: BinaryIO, header: dict[str, Any], shapes: Shapes, start: int, stated: dict[str, Any]) -> str:
    """The digest of a file's record and tensors, read block by block."""
    digest = _start_digest(stated)
    for name in sorted(shapes):
        digest.update(_heading(name, *shapes[name]))
        begin, end = header[name]["data_offsets"]
        handle.seek(start + begin)
        while begin < end and (block := handle.read(min(_BLOCK, end - begin))):
            digest.update(block)
            begin += len(block)
    return digest.hexdigest()


def _start_digest(stated: dict[str, Any]) -> "hashlib._Hash":
    """SHA-256 of the record about the tensors; the caller adds the tensors, sorted by name."""
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode())


def _add(digest: "hashlib._Hash", tensors: Mapping[str, Tensor]) -> None:
    for name in sorted(tensors):
        digest.update(_heading(name, tensors[name].dtype, tensors[name].shape))
        digest.update(_bytes_of(tensors[name]))


def _bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of a tensor on the CPU; not copied where it is contiguous."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data


def _heading(name: str, dtype: torch.dtype, shape: torch.Size) -> bytes:
    return f"{name} {str(dtype).removeprefix('torch.')}[{', '.join(map(str, shape))}]\n".encode()
