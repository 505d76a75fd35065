"""The state that training resumes from, and the files of a run written after an epoch."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaecli.config import MAX_EPOCHS, Config
from vaecli.errors import CheckpointError, VaecliError
from vaecli.evaluation.soundness import Warnings
from vaecli.files import Parts, csv_bytes
from vaecli.model import VAE
from vaecli.provenance import PROVENANCE, Provenance
from vaecli.reading import holds, read_file
from vaecli.runs.find import CONFIG, KEPT_ROWS, LOSS, MODEL, PICTURES, TRAINING, log_bytes, rows_of
from vaecli.runs.folder import Folder
from vaecli.runs.format import MOST_WEIGHT, About, filled, pack, unpack, weights_of
from vaecli.runs.header import BEST, ROWS, WARNINGS
from vaecli.settings import AUTO
from vaecli.training.optimizer import Adam
from vaecli.training.position import Position

_MOMENTS = ("exp_avg", "exp_avg_sq")
_LOG, _POSITION, _SUMS = "log", "position", "sums"
_MOST_BYTES = {_POSITION: 1 << 16, _SUMS: 1 << 25}
"""Of a position's JSON, and of the sums of its steps: 12 bytes a step, of which an epoch has at most 2,000,000."""


@dataclass(frozen=True)
class Best:
    """The epoch whose weights a run with `patience` keeps: that of the best bound so far of the images held out.

    Attributes:
        weights: and buffers, by name, on the CPU.
        results: of that epoch.
        bound: the ELBO by which it was chosen, of a part of these images where there is a `test_limit`; nats per image.
    """

    weights: dict[str, Tensor]
    results: dict[str, float]
    bound: float

    @property
    def epoch(self) -> int:
        """Its number."""
        return int(self.results["epoch"])


@dataclass(frozen=True)
class Training:
    """The state from which a run continues as if it had never stopped.

    Attributes:
        model: with the weights of the last finished epoch, or of a position within the next, on the CPU.
        config: the run's settings.
        moments: Adam's moments, by ``exp_avg.NAME`` and ``exp_avg_sq.NAME``.
        log: the rows of ``loss.csv``, one for each measured epoch, as text.
        lost_rows: how many rows before these are in no file any more.
        position: within an epoch, or after one that was not measured; None for a state after a measured epoch.
        best: the epoch whose weights the run keeps, of one with `patience` that was measured; else it keeps those of `model`.
        results: of the last finished epoch; of a position only the numbers of its epochs and steps.
        provenance: the run's data and computation; None for a run of a vaecli that did not record them.
        class_names: the names of its images' labels.
        warnings: of a finished run (`vaecli.evaluation.soundness`).
    """

    model: VAE
    config: Config
    moments: dict[str, Tensor]
    log: list[dict[str, str]]
    results: dict[str, float]
    provenance: Provenance | None
    class_names: tuple[str, ...]
    warnings: Warnings = field(default_factory=dict)
    lost_rows: int = 0
    position: Position | None = None
    best: Best | None = None

    @property
    def kept(self) -> dict[str, float]:
        """The results of the weights that the run keeps."""
        return self.best.results if self.best else self.results

    @property
    def finished(self) -> int:
        """The epochs that are done and measured."""
        return int(self.log[-1]["epoch"]) if self.log else 0

    def restore(self, optimizer: Adam, steps: int) -> None:
        """Sets the moments and the step count of an optimizer of the model's parameters."""
        for kind in _MOMENTS:
            for (name, _), moment in zip(self.model.named_parameters(), getattr(optimizer, kind), strict=True):
                moment.copy_(self.moments[f"{kind}.{name}"])
        for count in optimizer.steps:
            count.fill_(steps)


def save_epoch(
    folder: Folder, model: VAE, optimizer: Adam, config: Config, rows: Sequence[Mapping[str, Any]], results: dict[str, float],
    provenance: Provenance | None, class_names: tuple[str, ...], warnings: Warnings | None = None, best: Best | None = None,
    ended: bool = True,
) -> None:  # fmt: skip
    """Writes a run's state after an epoch: moments, weights and settings, each file whole or not at all, and the log's last row.

    The first file written holds the whole state and the last rows of the log, so a run that is killed between two files, or within
    that row, continues from the newer state. Only the weights of an earlier `best` epoch are in ``model.safetensors`` alone, which
    is not written again until there is a better one, or training has `ended`.
    """
    weights, moments = weights_of(model), _moments_of(model, optimizer)
    files = _files(config, weights, moments, rows, results, provenance, class_names, warnings, None, best)
    if best and best.epoch != results["epoch"] and not ended:
        del files[MODEL]
    for name, parts in files.items():
        folder.write(name, parts())
    if len(rows) > 1 and list(rows[-1]) == list(rows[0]) and (folder.path / LOSS).exists():
        folder.append(LOSS, csv_bytes(rows[-1:]).partition(b"\n")[2])
    else:  # also the log of a run that is replaced
        folder.write(LOSS, csv_bytes(rows))


def save_within(
    folder: Folder, model: VAE, optimizer: Adam, config: Config, rows: Sequence[Mapping[str, Any]], position: Position, steps: int,
    provenance: Provenance, class_names: tuple[str, ...], best: Best | None = None,
) -> bool:  # fmt: skip
    """Writes a run's state between two records, as `save_epoch` does; whether it did.

    It does not where a weight or a moment is no finite number or too large to be read again: the next step's loss says so. The
    results are the epochs and the steps that are done, and the `steps` of an epoch: numbers of other weights are no numbers of
    these.
    """
    weights, moments = weights_of(model), _moments_of(model, optimizer)
    if not all(tensor.isfinite().all() for tensor in (*weights.values(), *moments.values())) or not _is_trained(model):
        return False
    files = _files(config, weights, moments, rows, position.results(steps), provenance, class_names, None, position, best)
    if best:
        del files[MODEL]
    for name, parts in files.items():
        folder.write(name, parts())
    if not rows:
        (folder.path / LOSS).unlink(missing_ok=True)  # of a run that is replaced
    return True


def _is_trained(model: VAE) -> bool:
    return all(bool((weight.detach().abs() <= MOST_WEIGHT).all()) for weight in model.parameters())


def _moments_of(model: VAE, optimizer: Adam) -> dict[str, Tensor]:
    return {
        f"{kind}.{name}": moment.cpu().contiguous()
        for kind in _MOMENTS
        for (name, _), moment in zip(model.named_parameters(), getattr(optimizer, kind), strict=True)
    }


def save_again(folder: Folder, training: Training, more: Mapping[str, float] | None = None) -> None:
    """Rewrites the files of a run that differ from its state, as a crash between two of them leaves them.

    Args:
        folder: the run's.
        training: the state of training.
        more: results that are added to the state's own.
    """
    weights, more, best = dict(training.model.state_dict()), dict(more or {}), training.best
    files = _files(
        training.config, weights, training.moments, training.log, training.results | more, training.provenance,
        training.class_names, training.warnings, training.position, best and replace(best, results=best.results | more),
    )  # fmt: skip
    if training.log:
        files[LOSS] = lambda: [csv_bytes(training.log)]
    else:
        (folder.path / LOSS).unlink(missing_ok=True)  # of a run that is replaced
    for name, parts in files.items():
        if not holds(folder.path / name, parts()):
            folder.write(name, parts())


def save_model(
    folder: Folder, weights: dict[str, Tensor], config: Config, results: dict[str, float], provenance: Provenance | None,
    class_names: tuple[str, ...], warnings: Warnings, log: bytes | None, pictures: bytes | None,
) -> None:  # fmt: skip
    """Writes a run that does not go on: weights, settings, and its log and the list of its pictures where there are any.

    The files of another run in the folder go: first its state of training, from which its weights would be written anew. The file
    of the weights, which alone holds a whole run, is replaced in one step.
    """
    (folder.path / TRAINING).unlink(missing_ok=True)
    folder.write(MODEL, pack(weights, _about(config, results, provenance, class_names, warnings)))
    folder.write(CONFIG, _settings(config, provenance))
    for name, data in ((LOSS, log), (PICTURES, pictures)):
        if data is None:
            (folder.path / name).unlink(missing_ok=True)
        else:
            folder.write(name, data)


def save_settings(folder: Folder, config: Config, provenance: Provenance) -> None:
    """Writes a run's ``config.json``, from which it starts again if it is killed before its first epoch ends."""
    folder.write(CONFIG, _settings(config, provenance))


def _settings(config: Config, provenance: Provenance | None) -> bytes:
    return (json.dumps({**config.to_json(), **_provenance(provenance)}, indent=2) + "\n").encode()


def _provenance(provenance: Provenance | None) -> dict[str, Any]:
    return {} if provenance is None else {PROVENANCE: provenance.to_json()}


def _about(
    config: Config,
    results: dict[str, float],
    provenance: Provenance | None,
    class_names: tuple[str, ...],
    warnings: Warnings | None,
) -> dict[str, Any]:
    about = {"config": config.to_json(), "results": results, "class_names": list(class_names), **_provenance(provenance)}
    return about | ({WARNINGS: warnings} if warnings else {})


def _files(
    config: Config, weights: dict[str, Tensor], moments: dict[str, Tensor], rows: Sequence[Mapping[str, Any]],
    results: dict[str, float], provenance: Provenance | None, class_names: tuple[str, ...], warnings: Warnings | None = None,
    position: Position | None = None, best: Best | None = None,
) -> dict[str, Callable[[], Parts]]:  # fmt: skip
    """What gives the parts of each file; those of the weights are of the best epoch, if it is given."""
    texts = {_LOG: csv_bytes(rows[-KEPT_ROWS:]) if rows else b""}
    if position:
        texts |= {_POSITION: json.dumps(position.to_json()).encode(), _SUMS: position.rows.numpy().tobytes()}
    about = _about(config, results, provenance, class_names, warnings)
    chosen = {BEST: best.results | {"bound": best.bound}} if best else {}
    state = {f"weight.{name}": tensor for name, tensor in weights.items()} | moments
    state |= {name: _bytes(text) for name, text in texts.items()}
    return {
        TRAINING: partial(pack, state, about | chosen | {ROWS: len(rows)}),
        MODEL: partial(pack, best.weights, about | {"results": best.results}) if best else partial(pack, weights, about),
        CONFIG: lambda: [_settings(config, provenance)],
    }


def _bytes(text: bytes) -> Tensor:
    return torch.frombuffer(bytearray(text), dtype=torch.uint8) if text else torch.zeros(0, dtype=torch.uint8)


def load_training(folder: Path) -> Training:
    """Reads the ``training.safetensors`` of a run.

    Raises:
        CheckpointError: it is missing, damaged, not a run of vaecli, or of a newer format.
    """
    file = folder / TRAINING
    tensors, about = unpack(
        file,
        _tensors_of,
        lambda about: {
            _LOG: log_bytes(MAX_EPOCHS if about.config.epochs == AUTO else about.config.number("epochs")),
            **(_MOST_BYTES if "step" in about.results else {}),
        },
    )
    texts = {name: tensors.pop(name).numpy().tobytes() for name in (_LOG, *_MOST_BYTES) if name in tensors}
    position = _position(file, about, texts) if _POSITION in texts else None
    last = [] if position and not texts[_LOG] else rows_of(texts[_LOG], file)
    log = _earlier_rows(folder, last, about.rows) + last
    finished, stated = int(log[-1]["epoch"]) if log else 0, about.results.get("epoch")
    if stated != finished and not (position and finished <= position.epochs == stated):
        raise CheckpointError(f"{file}: its log has {finished} epochs and its results {stated}: the file is damaged")
    weights = {name.removeprefix("weight."): tensors.pop(name) for name in list(tensors) if name.startswith("weight.")}
    model = filled(file, about, weights)
    best = _best(folder, about, weights, position is None, finished)
    lost = max(0, (about.rows or 0) - len(log)) if log else 0
    return Training(
        model, about.config, tensors, log, about.results, about.provenance, about.class_names, about.warnings, lost, position, best
    )


def _best(folder: Path, about: About, weights: dict[str, Tensor], measured: bool, finished: int) -> Best | None:
    """The best epoch of the run of a state: it is the last that was measured, or its weights are in ``model.safetensors``.

    Args:
        folder: the run's.
        about: the state.
        weights: the state's.
        measured: whether the state is that after an epoch that was measured.
        finished: that epoch, or the last before.

    Raises:
        CheckpointError: the weights are not there, or the state's record is not one that vaecli wrote.
    """
    if (about.best is None) != (about.config.patience is None or not finished):
        raise CheckpointError(f"{folder / TRAINING}: its best epoch is not that of its log: the file is damaged")
    if about.best is None:
        return None
    results = {name: value for name, value in about.best.items() if name != "bound"}
    if not (measured and results["epoch"] == finished):
        file = folder / MODEL
        weights, kept = unpack(file, lambda model: model.state_dict(), lambda about: {})
        if kept.results.get("epoch") != results["epoch"] or _but_length(kept.config) != _but_length(about.config):
            raise CheckpointError(f"{file}: found other weights than those of the best epoch, {results['epoch']}; train it anew")
    return Best(weights, results, about.best["bound"])


def _but_length(config: Config) -> Config:
    """The settings without those that may change when a run goes on."""
    return replace(config, epochs=1, patience=None)


def _position(file: Path, about: About, texts: Mapping[str, bytes]) -> Position:
    """The position in the texts of a state.

    Raises:
        CheckpointError: it is not one, or not that of the results.
    """
    try:
        sums = torch.frombuffer(bytearray(texts[_SUMS]), dtype=torch.float32) if texts[_SUMS] else torch.zeros(0)
        position = Position.from_json(json.loads(texts[_POSITION]), sums)
    except (ValueError, RecursionError):
        raise CheckpointError(f"{file}: its position within an epoch cannot be read: the file is damaged") from None
    except VaecliError as error:
        raise CheckpointError(f"{file}: {error}: the file is damaged") from None
    if (position.epochs, position.steps) != (about.results.get("epoch"), about.results["step"]):
        raise CheckpointError(f"{file}: its position within an epoch is not that of its results: the file is damaged")
    return position


def _earlier_rows(folder: Path, last: list[dict[str, str]], rows: int | None) -> list[dict[str, str]]:
    """The rows of a run's ``loss.csv`` before the last ones, of so many in all; none if it does not have exactly these."""
    if not last or (missing := (rows or 0) - len(last)) <= 0:
        return []
    try:
        text = read_file(folder / LOSS, log_bytes(MAX_EPOCHS))
        earlier = rows_of(b"\n".join(text.split(b"\n")[: 1 + missing]), folder / LOSS)
    except (OSError, CheckpointError):
        return []
    return earlier if len(earlier) == missing and float(earlier[-1]["epoch"]) < float(last[0]["epoch"]) else []


def _tensors_of(model: VAE) -> dict[str, Tensor]:
    """Tensors like those of a state: weights and buffers, and two moments of each weight."""
    moments = {f"{kind}.{name}": weight for kind in _MOMENTS for name, weight in model.named_parameters()}
    return {f"weight.{name}": tensor for name, tensor in model.state_dict().items()} | moments
