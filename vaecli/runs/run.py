"""A run: a trained model with its settings, results, log and images."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vaecli import registry
from vaecli.arguments import PathLike, checked
from vaecli.config import Config
from vaecli.data.array_files import NoFileError
from vaecli.data.dataset import Request
from vaecli.data.idx import SPLITS
from vaecli.data.images import UNKNOWN, Images, Take, first, taken
from vaecli.data.load import Read, check_digest, read_split
from vaecli.display import curves_png, picture, table, text
from vaecli.errors import CheckpointError, DataError, UsageError, format_value, printable
from vaecli.evaluation.soundness import Warnings, sentence
from vaecli.files import csv_bytes
from vaecli.model import VAE
from vaecli.provenance import MemberRecord, Origin, Provenance
from vaecli.reading import read_file
from vaecli.registry import SEPARATE
from vaecli.runs.find import FILES, MODEL, PICTURES, RUNS, find_checkpoint, has_epochs, measured_split, read_log, read_rows
from vaecli.runs.folder import locked_folder
from vaecli.runs.format import check_weights, digest_of_weights, filled, unpack, weights_of
from vaecli.runs.objects import open_with
from vaecli.runs.pictures import MAX_BYTES, difference, read_list
from vaecli.runs.state import save_model


@dataclass(frozen=True)
class Run:
    """A trained model with its settings, results and provenance: what `vaecli.load` and `vaecli.train` give.

    One that is made of a model has no folder until it is saved.

    Attributes:
        model: ready to evaluate, on the CPU.
        config: the settings that it was trained with.
        results: of its last epoch: ``epoch``, and bounds in nats per image. Of a run with ``patience`` they are of the best epoch,
            whose weights the model has, and ``last_epoch`` is the last, if it is another. Of a run that was saved within an epoch
            ``epoch``, the epochs done, ``step``, the steps done of the next, and ``steps``, those of each epoch.
        provenance: the run's data and computation; None where they were not recorded.
        class_names: the names of its images' labels; none where they have no labels.
        path: the run's folder.
        warnings: what its numbers say against it, by name, each with its numbers; empty for most runs.
        notes: what was said while it was trained, of a run that `vaecli.train` gave; not kept in its folder.
        sha256: of the weights that its file had; empty for a run that is in no file.

    Example:
        >>> model = vaecli.load("baseline").model
        >>> vaecli.Run(model, vaecli.Config(), {"epoch": 5}).save("checkpoints/mine").name
        'mine'
    """

    model: VAE
    config: Config
    results: dict[str, float] = field(default_factory=dict)
    provenance: Provenance | None = None
    class_names: tuple[str, ...] = ()
    path: Path = Path()
    warnings: Warnings = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sha256: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.path.resolve().name

    @property
    def log(self) -> list[dict[str, float]]:
        """The rows of its ``loss.csv``, one an epoch, by column.

        Raises:
            CheckpointError: it is missing or not such a file.
        """
        return read_log(self.path)

    @property
    def changed_members(self) -> tuple[MemberRecord, ...]:
        """The members of plugins that are loaded in another version than the run was trained with."""
        now = {(it.family, it.name): it.sha256 for it in self.config.members}
        before = self.provenance.members if self.provenance else ()
        return tuple(it for it in before if now.get((it.family, it.name), it.sha256) != it.sha256)

    def _repr_html_(self) -> str:
        """What a notebook shows: the last results, the curves of training, and the settings."""
        settings = table(["setting", "value"], ((name, format_value(value)) for name, value in self.config.to_json().items()))
        results = table(["result", ""], ((name, format_value(value)) for name, value in self.results.items()))
        said = "".join(text(sentence(name, numbers)) for name, numbers in self.warnings.items())
        name = f"{self.path}: " if self.path != Path() else ""
        parameters = sum(weights.numel() for weights in self.model.parameters())
        words = f"{name}{self.config.run_name}, {parameters:,} parameters"
        return f"{text(words)}{results}{self._curves()}{said}<details><summary>settings</summary>{settings}</details>"

    def _curves(self) -> str:
        """The picture of the loss and of -ELBO by epoch; none without a log."""
        try:
            log = self.log
        except CheckpointError:
            return ""
        split = measured_split(log[0]) or "test"
        lines = {"training loss": [row["loss"] for row in log], f"{split} -ELBO": [-row[f"{split}_elbo"] for row in log]}
        return picture(curves_png([row["epoch"] for row in log], lines))

    def check_beside(self, name: str, other: object) -> None:
        """Refuses images that do not fit its model, as `vaecli.VAE.check_beside`."""
        self.model.check_beside(name, other)

    @checked
    def save(self, folder: PathLike, *, overwrite: bool = False) -> "Run":
        """Writes the run into a folder, so that `vaecli.load` and every command open it; gives the run there.

        This is for weights that were changed in Python, such as by a loop of one's own. The results, the warnings and the loss log
        of the weights before are not written then: only the number of epochs is, and in `provenance`, where there is one, the run
        whose weights were changed. A run whose weights are as they were loaded keeps them all.

        The folder gets ``model.safetensors``, ``config.json`` and ``loss.csv``, but no ``training.safetensors``: training cannot
        resume there, but a new run can begin with the weights (``vaecli.train(..., init=folder)``).

        Args:
            folder: made if there is none.
            overwrite: replace the run in the folder.

        Raises:
            CheckpointError: there is a run in the folder.
            UsageError: the weights are not those of the settings, hold values that are no finite numbers, or too large ones.
            VaecliError: another process writes into the folder, or it cannot be written.

        Example:
            >>> run = vaecli.load("baseline")
            >>> _ = run.model.decoder.output.bias.data.add_(0.1)
            >>> run.save("checkpoints/brighter").results
            {'epoch': 5}
        """
        path, weights = Path(folder), weights_of(self.model)
        check_weights("the run", self.config, len(self.class_names), weights)
        same = digest_of_weights(weights) == self.sha256
        with locked_folder(path, (*FILES, PICTURES)) as held:
            if has_epochs(path) and not overwrite:
                raise CheckpointError(f"{path}: found a run there; {{overwrite=}} replaces it")
            kept = self if same or not self.sha256 else self._changed()
            save_model(
                held, weights, kept.config, kept.results, kept.provenance, kept.class_names, kept.warnings,
                self._log() if same else None, self._pictures(),
            )  # fmt: skip
        return read_run(path)

    def _changed(self) -> "Run":
        """The run without the numbers that were measured before its weights were changed."""
        results = {name: value for name, value in self.results.items() if name == "epoch"}
        origin = Origin(str((self.path / MODEL).resolve()), self.sha256, int(results.get("epoch", 0)))
        provenance = None if self.provenance is None else replace(self.provenance, started_from=origin)
        return replace(self, results=results, provenance=provenance, warnings={})

    def _log(self) -> bytes | None:
        """The rows of its ``loss.csv`` up to its last epoch: the run in its folder may have gone on since."""
        try:
            rows = read_rows(self.path)
        except CheckpointError:
            return None
        last = self.results.get("last_epoch", self.results.get("epoch", 0))
        rows = [row for row in rows if float(row["epoch"]) <= last]
        return csv_bytes(rows) if rows else None

    def _pictures(self) -> bytes | None:
        """The list of its pictures."""
        try:
            return read_file(self.path / PICTURES, MAX_BYTES) if self.sha256 else None
        except OSError:
            return None

    @checked
    def images(self, split: str, data_dir: PathLike | None = None, read: Read = read_split, take: Take | None = None) -> Images:
        """The images that the run was trained (``train``) or tested (``test``) on, or the training images that it holds out.

        They are read from the place that the run read them from.

        Args:
            split: ``train``, ``test`` or ``validation``; those held out are among the training images too.
            data_dir: the folder that holds its IDX files or pictures now, or the file that holds its arrays.
            read: reads a split; `vaecli.data.read_once` gives one that several calls and runs can share.
            take: which of them, by `vaecli.data.images.Take`; all if not given. Of pictures that are not prepared yet no others are
                opened where the run's list names these; they are compared with it.

        Raises:
            UsageError: there is no such split, or the run holds nothing out.
            DataError: they cannot be read, or are not the run's.
        """
        take, data_dir = take or first(None), None if data_dir is None else Path(data_dir)
        held = self.config.validation
        if split == "validation":
            if held is None:
                raise UsageError(
                    f"{{split=validation}}: {self.name} holds no images out, expected a run trained with {{validation=10000}}"
                )
            return self._some("train", data_dir, read, lambda labels: torch.arange(len(labels))[-held:][take(labels[-held:])])
        if split not in SPLITS:
            raise UsageError(f"{{split}}: expected {', '.join(SPLITS)} or validation", split=split)
        return self._some(split, data_dir, read, take)

    def _some(self, split: str, data_dir: Path | None, read: Read, take: Take) -> Images:
        """Some images of ``train`` or ``test``."""
        if (listed := self._listed(split, data_dir, read, take)) is not None:
            return listed
        return taken(self._whole(split, data_dir, read), take)

    def _listed(self, split: str, data_dir: Path | None, read: Read, take: Take) -> Images | None:
        """Some pictures that equal those of the run's list; None where there is none, or all are needed or at hand."""
        alone = self.config.has("dataset") and SEPARATE in registry.find("dataset", self.config.dataset).capabilities
        before = read_list(self.path, split) if alone and self.config.pixel_range and self.provenance else {}
        numbers = {name: number for number, name in enumerate(self.class_names)} | {"": UNKNOWN}
        if not before or any(label not in numbers for label, _ in before.values()):
            return None
        labels, names = torch.tensor([numbers[label] for label, _ in before.values()]), list(before)
        positions = take(labels)
        labels, wanted = labels[positions], tuple(names[position] for position in positions.tolist())
        if len(wanted) == len(names):
            return None
        try:
            images = read(replace(self._request(split, data_dir), only=wanted))
        except DataError:  # it is raised again where all are read
            return None
        known = (labels != UNKNOWN) | (not self.model.conditional)  # a model does not see labels that no training picture has
        same = images.names == wanted and torch.equal(images.labels[known], labels[known])
        return replace(images, labels=labels) if same and images.digests == [before[name][1] for name in wanted] else None

    def _request(self, split: str, data_dir: Path | None) -> Request:
        recorded = self.provenance.data.folder if self.provenance else None
        return Request.of(self.config, split, data_dir or (Path(recorded) if recorded else None))

    def _whole(self, split: str, data_dir: Path | None, read: Read) -> Images:
        """All images of ``train`` or ``test``."""
        request = self._request(split, data_dir)
        if self.provenance is None:
            return read(request)
        data = self.provenance.data
        try:
            images = read(request)
        except NoFileError as error:
            raise error.of_run(self.name) from None
        except DataError as error:
            if data_dir or not data.folder:
                raise
            after = f"; the run {self.name} read its images there: if they were moved, give {{data_dir=DIR}}"
            raise error.reworded(DataError, after=after) from None
        place_name = str(request.folder or self.config.dataset)
        check_digest(images, split, getattr(data, split), place_name, self.name, partial(difference, self.path, split, images))
        return images


@checked
def load(
    run: PathLike | None = None, root: PathLike = RUNS, *, arch: Any = None, encoder: Any = None, decoder: Any = None,
    objective: Any = None,
) -> Run:  # fmt: skip
    """Loads a run.

    Args:
        run: the run's name under `root`, its folder, or its ``model.safetensors``; None for the newest run there.
        root: the folder that runs are kept in.
        arch: the architecture of a run that was trained with an object; it and the further ones as for `vaecli.train`.
        encoder: the encoder of such a run.
        decoder: its decoder.
        objective: its objective, which only more training needs.

    Raises:
        CheckpointError: it is missing, damaged, not a run of vaecli, or of a newer format.

    Example:
        >>> vaecli.load("baseline").config.latent_dim
        2
    """
    file, _ = find_checkpoint(None if run is None else str(run), Path(root))
    open_with(file, {"arch": arch, "encoder": encoder, "decoder": decoder, "objective": objective})
    return read_run(file)


@checked
def names_of(runs: Sequence[Run]) -> list[str]:
    """Distinct printable names of runs: their own, or their folders if several share a name."""
    names = [run.name for run in runs]
    return [printable(name if names.count(name) == 1 else str(run.path)) for name, run in zip(names, runs, strict=True)]


@checked
def read_run(file: PathLike) -> Run:
    """Loads the run of a ``model.safetensors``, or of the folder that holds one.

    Raises:
        CheckpointError: it is missing, damaged, not a run of vaecli, or of a newer format.
    """
    file = Path(file)
    file = file / MODEL if file.is_dir() else file
    weights, about = unpack(file, lambda model: model.state_dict(), lambda about: {})
    model = filled(file, about, weights)
    return Run(
        model.eval(), about.config, about.results, about.provenance, about.class_names, file.parent, about.warnings,
        sha256=digest_of_weights(weights),
    )  # fmt: skip
