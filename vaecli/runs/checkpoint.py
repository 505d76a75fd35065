"""Checkpoints: how a run's state is written, and how it is read back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaecli.config import Config
from vaecli.data.images import Images
from vaecli.data.load import expect, load_images
from vaecli.errors import CheckpointError, DataError
from vaecli.model import VAE, empty
from vaecli.provenance import PROVENANCE, Provenance
from vaecli.reading import holds
from vaecli.runs.files import RunFolder, csv_bytes
from vaecli.runs.find import CONFIG, LOSS, MODEL, TRAINING, log_bytes, rows_of
from vaecli.runs.format import pack, unpack
from vaecli.training.optimizer import Adam

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
        if not holds(folder.path / name, data):
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
        TRAINING: pack(state | {_LOG: torch.frombuffer(bytearray(log), dtype=torch.uint8)}, about),
        MODEL: pack(weights, about),
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
    weights, (config, results, provenance) = unpack(file, lambda weights: weights, lambda config: {})
    return Checkpoint(_filled(config, weights).eval(), config, results, provenance, file)


def load_training(folder: Path) -> Training:
    """Reads the ``training.safetensors`` of a run.

    Raises:
        CheckpointError: it is missing, damaged, not a run of vaecli, or of a newer format.
    """
    file = folder / TRAINING
    tensors, (config, results, provenance) = unpack(
        file,
        lambda weights: {f"{kind}.{name}": value for kind in ("weight", *_MOMENTS) for name, value in weights.items()},
        lambda config: {_LOG: log_bytes(config.epochs)},
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
