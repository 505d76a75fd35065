"""One run's training, from its start or from where it stands, with what is said and kept after every epoch."""

import re
import shlex
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaecli.cli import console
from vaecli.cli.options import RUNS, check_device
from vaecli.cli.signals import Interruption
from vaecli.config import Config, flag, merge, read_config
from vaecli.errors import CheckpointError, Interrupted, TrainingError, UsageError
from vaecli.provenance import DataRecord, Provenance
from vaecli.runs.files import RunFolder, locked_folder
from vaecli.runs.find import CONFIG, FILES, MODEL, TRAINING, read_log

if TYPE_CHECKING:
    import torch

    from vaecli.data import Source
    from vaecli.evaluation.importance import Evaluation
    from vaecli.runs.checkpoint import Training
    from vaecli.training.loop import EpochRecord

Show = Callable[[int, str | None], None]


@dataclass(frozen=True)
class Start:
    """Where training begins.

    Attributes:
        config: the settings.
        data_dir: the folder of IDX files that the user names; None for the place that `made` has, or the data set's own.
        made: what an earlier run wrote down of its data and computation, to compute the same again.
        same_data: whether the images must be those of `made`.
        training: the state to go on from; None for a run without a finished epoch.
    """

    config: Config
    data_dir: Path | None = None
    made: Provenance | None = None
    same_data: bool = True
    training: "Training | None" = None

    @property
    def recorded(self) -> DataRecord | None:
        """What the images must be; None where any will do."""
        return self.made.data if self.made and self.same_data else None

    @property
    def place(self) -> Path | None:
        """The folder of IDX files to read; None for the data set's own place."""
        if self.data_dir or not self.recorded or not self.recorded.folder:
            return self.data_dir
        return Path(self.recorded.folder)


def has_epochs(folder: Path) -> bool:
    """Whether a folder holds a run with a finished epoch."""
    return any((folder / name).exists() for name in (MODEL, TRAINING))


def run_name(start: Start) -> str:
    """The name of a run that is given none: made from its settings, and from the folder where that holds a person's own images.

    Raises:
        DataError: that folder cannot be read.
    """
    if start.place is None:
        return start.config.run_name

    from vaecli.data import Source

    if not Source(start.config.dataset, start.place).own:
        return start.config.run_name
    words = re.sub("[^A-Za-z0-9._]+", "-", start.place.absolute().name).strip("-.")[:40]
    return start.config.name_for(f"own-{words}" if words else "own")


def train_run(
    folder: Path, start: Start, given: dict[str, Any] | None, device: str,
    bar: Callable[[int, str], AbstractContextManager[Show]],
) -> dict[str, float]:  # fmt: skip
    """Trains a run and keeps it.

    Args:
        folder: the run's.
        start: where a new run begins.
        given: to go on with the run in the folder, if there is one: the settings that it must have; None to start anew.
        device: the name of one.
        bar: makes a progress bar of a number of batches.

    Returns:
        The results of its last epoch.

    Raises:
        Interrupted: by Ctrl-C or SIGTERM; the message says where the run stands.
        TrainingError: it diverged; the last good epoch is kept, and marked.
        VaecliError: settings, data or files are at fault.
    """
    where = check_device(device)
    with locked_folder(folder, FILES) as held, Interruption() as interruption:
        if not held.locked:
            console.note(f"{folder}: this file system has no locks, so nothing keeps a second vaecli from writing into this run")
        begun, replaced = start, _written(folder) if given is None else None
        try:
            if given is not None:
                begun = _resumed(held, given, start)
            return _train(held, begun, interruption, where, bar)
        except KeyboardInterrupt:
            if replaced is not None and _written(folder) == replaced:
                said = f"no epoch is finished; {folder} keeps the run that was there"
            else:
                said = f"{_standing(folder)}{_line_to_go_on(folder, begun, device)}"
            raise Interrupted(f"interrupted: {said}", interruption.signal or signal.SIGINT) from None


def _resumed(folder: RunFolder, given: dict[str, Any], start: Start) -> Start:
    """Where the run in a folder stands; `start` where there is none.

    Raises:
        UsageError: settings that were given are not the run's.
        CheckpointError: it is damaged, or would diverge again.
    """
    path = folder.path
    if not has_epochs(path):
        if not (path / CONFIG).exists():
            return start
        settings, made = read_config(path / CONFIG)
        run = Config(**settings)
        console.note(f"{path}: no epoch is finished yet; starting it with its settings")
        return Start(_agreed(path, run, made, given), start.data_dir, made)

    from vaecli.runs.checkpoint import load_training, save_again

    training = load_training(path)
    save_again(folder, training)
    run, made = training.config, training.provenance
    chosen = _agreed(path, run, made, given)
    if "diverged_epoch" in training.results:
        raise CheckpointError(
            f"{path}: the run diverged in epoch {training.results['diverged_epoch']} and would again; "
            f"train anew with a smaller learning rate, such as --lr {run.lr / 10:g} --overwrite"
        )
    if chosen.epochs != run.epochs and run.lr_schedule != "constant":
        console.note(
            f"The learning rate goes on as the {run.lr_schedule} schedule of {chosen.epochs} epochs has it, not of {run.epochs}"
        )
    training.model.config = chosen
    return Start(chosen, start.data_dir, made, training=replace(training, config=chosen))


def _agreed(folder: Path, run: Config, made: Provenance | None, given: dict[str, Any]) -> Config:
    """The run's settings with the epochs that were given.

    Raises:
        UsageError: another setting that was given is not the run's.
    """
    chosen = Config(**merge(run.to_json(), given))
    for name in given:
        here, wanted = getattr(run, name), getattr(chosen, name)
        same = here == wanted or (name == "precision" and made is not None and here == "auto" and wanted == made.precision)
        if name != "epochs" and not same:
            raise UsageError(
                f"--resume with {flag(name)} {_shown(wanted)}: {folder} has {_shown(here)}; leave it out to go on, "
                "or train another run with --name NAME"
            )
    return replace(run, epochs=chosen.epochs)


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _train(
    folder: RunFolder, start: Start, interruption: Interruption, where: "torch.device",
    bar: Callable[[int, str], AbstractContextManager[Show]],
) -> dict[str, float]:  # fmt: skip
    """Trains a run to its last epoch, from where it stands; gives the results of that epoch."""
    path, chosen, training = folder.path, start.config, start.training
    finished = len(training.log) if training else 0
    if training and finished >= chosen.epochs:
        console.note(f"{path} is finished: {finished} epochs are done; train it on with --epochs {2 * finished} --resume")
        return training.results

    from vaecli.data.labels import hide_labels
    from vaecli.evaluation.importance import evaluate
    from vaecli.model import build
    from vaecli.runs.checkpoint import load_training, save_again, save_epoch, save_settings
    from vaecli.training.loop import batches, diverged, fit, make_optimizer, sane

    source = _source(start, path.name)
    provenance = _provenance(start, source.record, where)
    if start.made and (different := start.made.differences(provenance)):
        console.note(
            f"{path} was computed with {'; '.join(different)}: its last bits may not be those of a run that was never stopped"
        )
    images = source.images("train")[: chosen.limit].to(where)
    if chosen.label_fraction is not None:
        images = hide_labels(images, chosen.label_fraction, chosen.seed)
    test = source.images("test").to(where)
    steps = batches(images, chosen)
    model = (training.model if training else build(chosen, images)).to(where)
    optimizer = make_optimizer(model, chosen)
    rows: list[dict[str, Any]] = []
    results: dict[str, float] = {}
    if training:
        training.restore(optimizer, finished * steps)
        rows, results = list(training.log), training.results
    elif not has_epochs(path):
        save_settings(folder, chosen, provenance)
    again = f" after epoch {finished}" if finished else ""
    console.note(f"Begin training in {chosen.latent_dim}D latent space{again}")
    try:
        with bar(chosen.epochs * steps, "batches") as show:
            for record in fit(
                model, optimizer, images, replace(chosen, precision=provenance.precision), finished,
                on_batch=lambda epoch, done: show((epoch - 1) * steps + done, f"Epoch {epoch}"),
            ):  # fmt: skip
                tested = evaluate(model, test)
                test_elbo = float(tested.elbo.mean())
                if not sane(test_elbo):
                    raise diverged(f"epoch {record.epoch}: the test -ELBO", -test_elbo, chosen)
                row, results = _measured(record, tested)
                with interruption.held():
                    save_epoch(folder, model, optimizer, [*rows, row], results, provenance)
                    rows.append(row)
                console.note(f"Epoch {record.epoch}: loss {record.loss:.2f}, test -ELBO {-test_elbo:.2f}, {record.seconds:.1f} s")
    except TrainingError as error:
        if not rows:
            if not has_epochs(path):
                (path / CONFIG).unlink(missing_ok=True)
            raise TrainingError(f"{error}; nothing was saved yet") from None
        with interruption.held():
            save_again(folder, load_training(path), results | {"diverged_epoch": len(rows) + 1})
        raise TrainingError(f"{error}; {path} keeps epoch {len(rows)}") from None
    console.note(f"Training in {chosen.latent_dim}D is done: test -ELBO {-results['test_elbo']:.2f} nats on {len(test):,} images")
    return results


def _measured(record: "EpochRecord", tested: "Evaluation") -> tuple[dict[str, Any], dict[str, float]]:
    """An epoch's row of the loss log, and the results that a checkpoint keeps."""
    test_elbo = float(tested.elbo.mean())
    row = {
        "epoch": record.epoch,
        "loss": record.loss,
        "elbo": record.elbo,
        "reconstruction": record.reconstruction,
        "kl": record.kl,
        "test_elbo": test_elbo,
        "seconds": round(record.seconds, 3),
        "images_per_second": round(record.images_per_second),
    }
    results = {
        "epoch": record.epoch,
        "elbo": record.elbo,
        "test_elbo": test_elbo,
        "test_reconstruction": float(tested.reconstruction.mean()),
        "test_kl": float(tested.kl.mean()),
    }
    return row, results


def _source(start: Start, run: str) -> "Source":
    """The images to train on.

    Raises:
        DataError: they cannot be read, or are not those that the run needs.
    """
    from vaecli.data import Source
    from vaecli.data.load import expect

    source = Source(start.config.dataset, start.place)
    if start.recorded:
        for split, digest in (("train", start.recorded.train), ("test", start.recorded.test)):
            expect(source.images(split), split, digest, str(start.place or source.dataset), run)
    return source


def _provenance(start: Start, data: DataRecord, where: "torch.device") -> Provenance:
    """What this process computes with: the precision of the earlier run, where there is one and the settings leave it open."""
    import torch

    from vaecli.device import resolve_precision

    precision = start.config.precision
    if precision == "auto" and start.made:
        precision = start.made.precision
    return Provenance(data, where.type, resolve_precision(precision, where), torch.get_num_threads(), torch.__version__)


def _written(folder: Path) -> int | None:
    """When a run's state was written, in nanoseconds; None where there is no run."""
    file = folder / TRAINING if (folder / TRAINING).exists() else folder / MODEL
    return file.stat().st_mtime_ns if file.exists() else None


def _standing(folder: Path) -> str:
    """How far a run that was interrupted is."""
    return f"{folder} keeps epoch {len(read_log(folder))}" if has_epochs(folder) else f"{folder}: no epoch is finished"


def _line_to_go_on(folder: Path, start: Start, device: str) -> str:
    """The line that goes on with exactly this run; nothing where there is none to go on with."""
    if not has_epochs(folder) and not (folder / CONFIG).exists():
        return ", nothing was saved"
    words = ["--name", folder.name, "--resume"]
    words += [] if folder.parent == RUNS else ["--out", str(folder.parent)]
    words += ["--data-dir", str(start.data_dir)] if start.data_dir else []
    words += [] if device == "auto" else ["--device", device]
    words += _epochs_to_give(folder, start.config)
    return f"; go on with: {shlex.join(['vaecli', 'train', *words])}"


def _epochs_to_give(folder: Path, chosen: Config) -> list[str]:
    """``--epochs N``, where the run's files have another number of epochs than it is trained to."""
    written, _ = read_config(folder / CONFIG)
    return [] if written["epochs"] == chosen.epochs else ["--epochs", str(chosen.epochs)]
