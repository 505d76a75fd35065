"""Checkpoints: how a run's state is written, and how it is read back.

A checkpoint is untrusted input. It is safetensors only: tensors and text, never pickle, never code. Before memory is taken for its
tensors, its length, its header and its settings must agree with each other and with the model that the settings describe.
"""

import hashlib
import io
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from vaecli.adam import Adam
from vaecli.config import Config
from vaecli.data.images import Images
from vaecli.data.load import expect, load_images
from vaecli.errors import CheckpointError, DataError, UsageError, VaecliError
from vaecli.files import RunFolder, csv_bytes
from vaecli.model import VAE, empty, skeleton
from vaecli.provenance import PROVENANCE, Provenance
from vaecli.runs import CONFIG, LOSS, MODEL, TRAINING, rows_of

FORMAT = 1
"""The version of the format that this file writes, and the newest that it reads."""

MAX_HEADER = 1 << 20
_KEY = "vaecli"
_MOMENTS = ("exp_avg", "exp_avg_sq")
_LOG = "log"


@dataclass(frozen=True)
class Checkpoint:
    """A model with where it came from.

    Attributes:
        model: ready to evaluate, on the CPU.
        config: the settings it was trained with.
        results: what its run measured at the end: ``epoch`` and bounds in nats.
        provenance: where its numbers come from; None for a run of a vaecli that did not write it down.
        path: the file it was read from.
    """

    model: VAE
    config: Config
    results: dict[str, float]
    provenance: Provenance | None
    path: Path

    @property
    def name(self) -> str:
        """The run's name: its folder's."""
        return self.path.resolve().parent.name

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.path.parent

    def images(self, split: str, data_dir: Path | None = None) -> Images:
        """The images that the run was trained (``train``) or tested (``test``) on.

        They are looked for where the run found them.

        Args:
            split: ``train`` or ``test``.
            data_dir: where the folder of its IDX files is now.

        Raises:
            DataError: they cannot be read, or are others.
        """
        if self.provenance is None:
            return load_images(self.config.dataset, split, data_dir)
        data = self.provenance.data
        place = data_dir or (Path(data.folder) if data.folder else None)
        try:
            images = load_images(self.config.dataset, split, place)
        except DataError as error:
            if data_dir or not data.folder:
                raise
            raise DataError(
                f"{error}; the run {self.name} read its images there: if they were moved, give --data-dir DIR"
            ) from None
        expect(images, split, getattr(data, split), str(place or self.config.dataset), self.name)
        return images


@dataclass(frozen=True)
class Training:
    """All that a run needs to go on as if it had never stopped.

    Attributes:
        model: with the weights of the last finished epoch, on the CPU.
        config: its settings.
        moments: Adam's, by ``exp_avg.NAME`` and ``exp_avg_sq.NAME``.
        log: the rows of ``loss.csv``, one for each finished epoch, as text.
        results: what the run had measured.
        provenance: where its numbers come from; None for a run of a vaecli that did not write it down.
    """

    model: VAE
    config: Config
    moments: dict[str, Tensor]
    log: list[dict[str, str]]
    results: dict[str, float]
    provenance: Provenance | None

    def restore(self, optimizer: Adam, steps: int) -> None:
        """Gives an optimizer of the model's parameters the moments that it had after so many steps."""
        for kind in _MOMENTS:
            for (name, _), moment in zip(self.model.named_parameters(), getattr(optimizer, kind), strict=True):
                moment.copy_(self.moments[f"{kind}.{name}"])
        for count in optimizer.steps:
            count.fill_(steps)


def save_epoch(
    folder: RunFolder, model: VAE, optimizer: Adam, rows: Sequence[Mapping[str, Any]], results: dict[str, float],
    provenance: Provenance | None,
) -> None:  # fmt: skip
    """Writes a run's state after an epoch: moments, weights, settings and the loss log, each file whole or not at all.

    The first file written holds the whole state, so that a run that is killed between two of them goes on from the newer one.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    moments = {
        f"{kind}.{name}": moment.cpu().contiguous()
        for kind in _MOMENTS
        for (name, _), moment in zip(model.named_parameters(), getattr(optimizer, kind), strict=True)
    }
    for name, data in _files(model.config, weights, moments, rows, results, provenance).items():
        folder.write(name, data)


def save_again(folder: RunFolder, training: Training, results: dict[str, float] | None = None) -> None:
    """Brings a run's files in line with the state that it goes on from, where a crash between two of them left one behind.

    Args:
        folder: the run's.
        training: its state.
        results: to write instead of its own.
    """
    weights = dict(training.model.state_dict())
    results = training.results if results is None else results
    files = _files(training.config, weights, training.moments, training.log, results, training.provenance)
    for name, data in files.items():
        path = folder.path / name
        if not (path.is_file() and path.read_bytes() == data):
            folder.write(name, data)


def save_settings(folder: RunFolder, config: Config, provenance: Provenance) -> None:
    """Writes a run's ``config.json``: what it needs to start again if it is killed before its first epoch."""
    folder.write(CONFIG, _settings(config, provenance))


def _settings(config: Config, provenance: Provenance | None) -> bytes:
    return (json.dumps({**config.to_json(), **_provenance(provenance)}, indent=2) + "\n").encode()


def _provenance(provenance: Provenance | None) -> dict[str, Any]:
    return {} if provenance is None else {PROVENANCE: provenance.to_json()}


def _files(
    config: Config, weights: dict[str, Tensor], moments: dict[str, Tensor], rows: Sequence[Mapping[str, Any]],
    results: dict[str, float], provenance: Provenance | None,
) -> dict[str, bytes]:  # fmt: skip
    log = csv_bytes(rows)
    about = {"config": config.to_json(), "results": results, **_provenance(provenance)}
    state = {f"weight.{name}": tensor for name, tensor in weights.items()} | moments
    return {
        TRAINING: _pack(state | {_LOG: torch.frombuffer(bytearray(log), dtype=torch.uint8)}, about),
        MODEL: _pack(weights, about),
        CONFIG: _settings(config, provenance),
        LOSS: log,
    }


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a ``model.safetensors``.

    Args:
        path: the file, or the run's folder.

    Raises:
        CheckpointError: it is missing, damaged, not a checkpoint of vaecli, or of a newer format.
    """
    file = path / MODEL if path.is_dir() else path
    config, weights, results, provenance = _load(file, lambda weights: weights)
    return Checkpoint(_filled(config, weights).eval(), config, results, provenance, file)


def load_training(folder: Path) -> Training:
    """Reads the ``training.safetensors`` of a run.

    Raises:
        CheckpointError: it is missing, damaged, not a run of vaecli, or of a newer format.
    """
    file = folder / TRAINING
    config, tensors, results, provenance = _load(
        file, lambda weights: {f"{kind}.{name}": value for kind in ("weight", *_MOMENTS) for name, value in weights.items()}, [_LOG]
    )
    log = rows_of(tensors.pop(_LOG).numpy().tobytes(), file)
    if len(log) != results.get("epoch"):
        raise CheckpointError(f"{file}: its log has {len(log)} epochs and its results {results.get('epoch')}: the file is damaged")
    weights = {name.removeprefix("weight."): tensors.pop(name) for name in list(tensors) if name.startswith("weight.")}
    return Training(_filled(config, weights), config, tensors, log, results, provenance)


def _filled(config: Config, weights: dict[str, Tensor]) -> VAE:
    model = empty(config)
    model.load_state_dict(weights)
    return model


_Shapes = dict[str, tuple[torch.dtype, torch.Size]]


def _load(
    file: Path, wanted: Callable[[_Shapes], _Shapes], texts: Sequence[str] = ()
) -> tuple[Config, dict[str, Tensor], dict[str, float], Provenance | None]:
    """The settings, tensors, results and provenance of a file.

    Args:
        file: its path.
        wanted: the tensors that it has to hold, from those of the model's weights.
        texts: names of tensors of bytes that it has to hold beside them, of any length.
    """
    data, about = _read(file)
    try:
        config = Config.from_json(about.get("config"))
        expected = wanted({name: (tensor.dtype, tensor.shape) for name, tensor in skeleton(config).state_dict().items()})
    except UsageError as error:
        raise CheckpointError(f"{file}: its settings are not valid: {error}") from None
    size = sum(shape.numel() * dtype.itemsize for dtype, shape in expected.values())
    if size > len(data):
        raise CheckpointError(f"{file}: its settings need {size:,} bytes of weights, but the file has {len(data):,}")
    tensors = _unpack(file, data, about)
    expected |= {name: (torch.uint8, torch.Size([tensors[name].numel()])) for name in texts if name in tensors}
    if tensors.keys() != expected.keys() | set(texts):
        odd = sorted(tensors.keys() ^ (expected.keys() | set(texts)))[0]
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
    results = about.get("results")
    if not isinstance(results, dict) or not all(type(value) in (int, float) for value in results.values()):
        raise CheckpointError(f"{file}: its results are not numbers: the file is damaged or not made by vaecli")
    try:
        provenance = Provenance.from_json(about[PROVENANCE]) if PROVENANCE in about else None
    except VaecliError as error:
        raise CheckpointError(f"{file}: {error}: the file is damaged") from None
    return config, tensors, results, provenance


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
