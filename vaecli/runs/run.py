"""A run: a trained model with its settings, results, log and images."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from vaecli.arguments import PathLike, checked
from vaecli.config import Config
from vaecli.data.array_files import NoFileError
from vaecli.data.dataset import Request
from vaecli.data.idx import SPLITS
from vaecli.data.images import Images
from vaecli.data.load import Read, check_digest, read_split
from vaecli.errors import DataError, UsageError, printable
from vaecli.evaluation.soundness import Warnings
from vaecli.model import VAE
from vaecli.provenance import MemberRecord, Provenance
from vaecli.runs.find import MODEL, RUNS, find_checkpoint, read_log
from vaecli.runs.format import filled, unpack
from vaecli.runs.objects import open_with
from vaecli.runs.pictures import difference


@dataclass(frozen=True)
class Run:
    """A trained model with its settings, results and provenance.

    Attributes:
        model: ready to evaluate, on the CPU.
        config: the settings that it was trained with.
        results: of its last epoch: ``epoch`` and bounds in nats.
        provenance: the run's data and computation; None for a run of a vaecli that did not record them.
        class_names: the names of its images' labels; none where they have no labels.
        path: the run's folder.
        warnings: what its numbers say against it, by name, each with its numbers; empty for most runs.
    """

    model: VAE
    config: Config
    results: dict[str, float]
    provenance: Provenance | None
    class_names: tuple[str, ...]
    path: Path
    warnings: Warnings = field(default_factory=dict)

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

    def check_beside(self, name: str, other: object) -> None:
        """Refuses images that do not fit its model, as `vaecli.VAE.check_beside`."""
        self.model.check_beside(name, other)

    @checked
    def images(self, split: str, data_dir: PathLike | None = None, read: Read = read_split) -> Images:
        """The images that the run was trained (``train``) or tested (``test``) on.

        They are read from the place that the run read them from.

        Args:
            split: ``train`` or ``test``.
            data_dir: the folder that holds its IDX files or pictures now, or the file that holds its arrays.
            read: reads a split; `vaecli.data.read_once` gives one that several calls and runs can share.

        Raises:
            UsageError: there is no such split.
            DataError: they cannot be read, or are not the run's.
        """
        if split not in SPLITS:
            raise UsageError(f"{{split}}: expected {' or '.join(SPLITS)}", split=split)
        data_dir = None if data_dir is None else Path(data_dir)
        if self.provenance is None:
            return read(Request.of(self.config, split, data_dir))
        data = self.provenance.data
        place = data_dir or (Path(data.folder) if data.folder else None)
        try:
            images = read(Request.of(self.config, split, place))
        except NoFileError as error:
            raise error.of_run(self.name) from None
        except DataError as error:
            if data_dir or not data.folder:
                raise
            after = f"; the run {self.name} read its images there: if they were moved, give {{data_dir=DIR}}"
            raise error.reworded(DataError, after=after) from None
        place_name = str(place or self.config.dataset)
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
    weights, about = unpack(file, lambda model: model.state_dict(), lambda config: {})
    model = filled(file, about, weights)
    return Run(model.eval(), about.config, about.results, about.provenance, about.class_names, file.parent, about.warnings)
