"""Checkpoints: how a run's state is written, and how it is read back.

A checkpoint is untrusted input. It is safetensors only: tensors and text, never pickle, never code. Before memory is taken for its
tensors, its length, its header and its settings must agree with each other and with the model that the settings describe.
"""

import hashlib
import io
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor
from torch.optim import Adam

from vaecli.config import Config
from vaecli.errors import CheckpointError, UsageError
from vaecli.files import csv_bytes, write_file
from vaecli.model import VAE, empty, skeleton
from vaecli.runs import CONFIG, LOSS, MODEL, TRAINING

FORMAT = 1
"""The version of the format that this file writes, and the newest that it reads."""

MAX_HEADER = 1 << 20
_KEY = "vaecli"


@dataclass(frozen=True)
class Checkpoint:
    """A model with where it came from.

    Attributes:
        model: ready to evaluate, on the CPU.
        config: the settings it was trained with.
        results: what its run measured at the end: ``epoch`` and bounds in nats.
        path: the file it was read from.
    """

    model: VAE
    config: Config
    results: dict[str, float]
    path: Path

    @property
    def name(self) -> str:
        """The run's name: its folder's."""
        return self.path.resolve().parent.name

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.path.parent


def save_epoch(folder: Path, model: VAE, optimizer: Adam, rows: Sequence[Mapping[str, Any]], results: dict[str, float]) -> None:
    """Writes what a run has come to: moments, weights, settings and the loss log, each file whole or not at all."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    moments = {
        f"{kind}.{name}": optimizer.state[parameter][kind].detach().cpu().contiguous()
        for name, parameter in model.named_parameters()
        for kind in ("exp_avg", "exp_avg_sq")
    }
    state = moments | {f"weight.{name}": tensor for name, tensor in weights.items()}
    write_file(folder / TRAINING, _pack(state, {"config": model.config.to_json(), "results": results, "rows": list(rows)}))
    write_file(folder / MODEL, _pack(weights, {"config": model.config.to_json(), "results": results}))
    write_file(folder / CONFIG, (json.dumps(model.config.to_json(), indent=2) + "\n").encode())
    write_file(folder / LOSS, csv_bytes(rows))


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a ``model.safetensors``.

    Args:
        path: the file, or the run's folder.

    Raises:
        CheckpointError: it is missing, damaged, not a checkpoint of vaecli, or of a newer format.
    """
    file = path / MODEL if path.is_dir() else path
    data, about = _read(file)
    try:
        config = Config.from_json(about.get("config"))
        expected = {name: (tensor.dtype, tensor.shape) for name, tensor in skeleton(config).state_dict().items()}
    except UsageError as error:
        raise CheckpointError(f"{file}: its settings are not valid: {error}") from None
    size = sum(shape.numel() * dtype.itemsize for dtype, shape in expected.values())
    if size > len(data):
        raise CheckpointError(f"{file}: its settings need {size:,} bytes of weights, but the file has {len(data):,}")
    tensors = _unpack(file, data, about)
    if tensors.keys() != expected.keys():
        odd = sorted(tensors.keys() ^ expected.keys())[0]
        there = "has an unexpected tensor" if odd in tensors else "lacks the tensor"
        raise CheckpointError(f"{file}: {there} {odd[:60]!r}: its weights are not those of its settings")
    for name, (dtype, shape) in expected.items():
        found = tensors[name]
        if (found.dtype, found.shape) != (dtype, shape):
            raise CheckpointError(
                f"{file}: tensor {name!r} is {_kind(found.dtype, found.shape)}, its settings need {_kind(dtype, shape)}"
            )
        if not found.isfinite().all():
            raise CheckpointError(f"{file}: tensor {name!r} holds values that are no finite numbers; train the run again")
    model = empty(config)
    model.load_state_dict(tensors)
    model.eval()
    results = about.get("results")
    if not isinstance(results, dict) or not all(isinstance(value, int | float) for value in results.values()):
        raise CheckpointError(f"{file}: its results are not numbers: the file is damaged or not made by vaecli")
    return Checkpoint(model, config, results, file)


def _pack(tensors: dict[str, Tensor], about: dict[str, Any]) -> bytes:
    about = {"format": FORMAT, **about}
    text = json.dumps({**about, "sha256": _digest(tensors, about)}, sort_keys=True)
    return save_tensors(tensors, metadata={_KEY: text})


def _read(file: Path) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a file whose header fits its length, and what vaecli wrote about it."""
    try:
        with file.open("rb") as handle:
            length = handle.seek(0, io.SEEK_END)
            handle.seek(0)
            start = handle.read(8)
            size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= size <= min(MAX_HEADER, length - 8):
                raise CheckpointError(f"{file}: found no safetensors header: the file is cut short or not a checkpoint")
            text = handle.read(size)
            header = _parse(text)
            end = _tensor_bytes(header)
            if header is None or end is None or end != length - 8 - size:
                raise CheckpointError(f"{file}: its header does not fit its length: the file is cut short or damaged")
            about = _parse((header.get("__metadata__") or {}).get(_KEY))
            if about is None:
                raise CheckpointError(f"{file}: found safetensors, but none that vaecli wrote: expected a run's {MODEL}")
            if about.get("format") != FORMAT:
                raise CheckpointError(
                    f"{file}: found format {str(about.get('format'))[:20]}, expected {FORMAT}: upgrade vaecli to read it"
                )
            return start + text + handle.read(length - 8 - size), about
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({error.strerror})") from None


def _parse(text: object) -> dict[str, Any] | None:
    """A JSON object, or None for anything else."""
    if not isinstance(text, str | bytes):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _tensor_bytes(header: dict[str, Any] | None) -> int | None:
    """Where the last tensor of a safetensors header ends; None where the header is not one."""
    if header is None or not isinstance(header.get("__metadata__", {}), dict):
        return None
    end = 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(offset) is int for offset in offsets):
            return None
        end = max(end, offsets[1])
    return end


def _unpack(file: Path, data: bytes, about: dict[str, Any]) -> dict[str, Tensor]:
    try:
        tensors = load_tensors(data)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError):
        raise CheckpointError(f"{file}: its tensors cannot be read: the file is damaged") from None
    stated = about.pop("sha256", None)
    if stated != _digest(tensors, about):
        raise CheckpointError(f"{file}: its contents do not match the digest in its header: the file is damaged or was changed")
    return tensors


def _digest(tensors: dict[str, Tensor], about: dict[str, Any]) -> str:
    """SHA-256 over the tensors, sorted by name, and everything said about them."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {_kind(tensor.dtype, tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _kind(dtype: torch.dtype, shape: torch.Size) -> str:
    return f"{str(dtype).removeprefix('torch.')}[{', '.join(map(str, shape))}]"
