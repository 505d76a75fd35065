"""One run's training, from its start or from where it stands, with what is said and kept after every epoch."""

import shlex
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaecli import console
from vaecli.commands.options import RUNS, check_device
from vaecli.config import Config, flag, merge
from vaecli.errors import CheckpointError, Interrupted, TrainingError, UsageError
from vaecli.files import locked_folder
from vaecli.interruption import Interruption
from vaecli.runs import FILES, MODEL, TRAINING, read_log

if TYPE_CHECKING:
    import torch

    from vaecli.checkpoint import Training

Show = Callable[[int, str | None], None]


def train_run(
    folder: Path, chosen: Config, given: dict[str, Any] | None, data_dir: Path | None, device: str,
    bar: Callable[[int, str], AbstractContextManager[Show]],
) -> dict[str, float]:  # fmt: skip
    """Trains a run and keeps it.

    Args:
        folder: the run's.
        chosen: its settings, where it starts.
        given: to go on with the run, if there is one: the settings that it must have; None to start anew.
        data_dir: a folder of IDX files in the place of the data set's own.
        device: the name of one.
        bar: makes a progress bar of a number of batches.

    Returns:
        What it measured at its end.

    Raises:
        Interrupted: by Ctrl-C or SIGTERM; the message says where the run stands.
        TrainingError: it diverged; the last good epoch is kept, and marked.
        VaecliError: settings, data or files are at fault.
    """
    with locked_folder(folder, FILES), Interruption() as interruption:
        try:
            where = check_device(device)
            training = (
                _resumed(folder, given)
                if given is not None and any((folder / each).exists() for each in (MODEL, TRAINING))
                else None
            )
            return _train(folder, training.config if training else chosen, training, interruption, data_dir, where, bar)
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted: {_standing(folder)}", interruption.signal or signal.SIGINT) from None


def _resumed(folder: Path, given: dict[str, Any]) -> "Training":
    """The state that a run goes on from, with the epochs that it is to have.

    Raises:
        UsageError: settings that were given are not the run's.
        CheckpointError: it is damaged, or would diverge again.
    """
    from vaecli.checkpoint import load_training, save_again

    training = load_training(folder)
    save_again(folder, training)
    run, chosen = training.config, Config(**merge(training.config.to_json(), given))
    for name in given:
        here, wanted = getattr(run, name), getattr(chosen, name)
        if name != "epochs" and here != wanted:
            raise UsageError(
                f"--resume with {flag(name)} {_shown(wanted)}: {folder} has {_shown(here)}; leave it out to go on, "
                "or train another run with --name NAME"
            )
    if "diverged_epoch" in training.results:
        raise CheckpointError(
            f"{folder}: the run diverged in epoch {training.results['diverged_epoch']} and would again; "
            f"train anew with a smaller learning rate, such as --lr {run.lr / 10:g} --overwrite"
        )
    if chosen.epochs != run.epochs and run.lr_schedule != "constant":
        console.note(
            f"The learning rate goes on as the {run.lr_schedule} schedule of {chosen.epochs} epochs has it, not of {run.epochs}"
        )
    training.model.config = chosen
    return replace(training, config=chosen)


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _train(
    folder: Path, chosen: Config, training: "Training | None", interruption: Interruption, data_dir: Path | None,
    where: "torch.device",
    bar: Callable[[int, str], AbstractContextManager[Show]],
) -> dict[str, float]:  # fmt: skip
    """Trains a run to its last epoch, from where it stands; gives what it measured there."""
    finished = len(training.log) if training else 0
    if training and finished >= chosen.epochs:
        console.note(f"{folder} is finished: {finished} epochs are done; train it on with --epochs {2 * finished} --resume")
        return training.results

    from vaecli.checkpoint import load_training, save_again, save_epoch
    from vaecli.data import load_images
    from vaecli.data.labels import hide_labels
    from vaecli.evaluation import evaluate
    from vaecli.model import build
    from vaecli.training import batches, diverged, fit, make_optimizer, sane

    images = load_images(chosen.dataset, "train", data_dir, chosen.limit).to(where)
    if chosen.label_fraction is not None:
        images = hide_labels(images, chosen.label_fraction, chosen.seed)
    test = load_images(chosen.dataset, "test", data_dir).to(where)
    steps = batches(images, chosen)
    model = (training.model if training else build(chosen, images)).to(where)
    optimizer = make_optimizer(model, chosen)
    rows: list[dict[str, Any]] = []
    results: dict[str, float] = {}
    if training:
        training.restore(optimizer, finished * steps)
        rows, results = list(training.log), training.results
    again = f" after epoch {finished}" if finished else ""
    console.note(f"Begin training in {chosen.latent_dim}D latent space{again}")
    try:
        with bar(chosen.epochs * steps, "batches") as show:
            for record in fit(
                model, optimizer, images, chosen, finished,
                on_batch=lambda epoch, done: show((epoch - 1) * steps + done, f"Epoch {epoch}"),
            ):  # fmt: skip
                tested = evaluate(model, test)
                test_elbo = float(tested.elbo.mean())
                if not sane(test_elbo):
                    raise diverged(f"epoch {record.epoch}: the test -ELBO", -test_elbo, chosen)
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
                with interruption.held():
                    save_epoch(folder, model, optimizer, [*rows, row], results)
                    rows.append(row)
                console.note(f"Epoch {record.epoch}: loss {record.loss:.2f}, test -ELBO {-test_elbo:.2f}, {record.seconds:.1f} s")
    except TrainingError as error:
        if not rows:
            raise TrainingError(f"{error}; nothing was saved yet") from None
        with interruption.held():
            save_again(folder, load_training(folder), results | {"diverged_epoch": len(rows) + 1})
        raise TrainingError(f"{error}; {folder} keeps epoch {len(rows)}") from None
    console.note(f"Training in {chosen.latent_dim}D is done: test -ELBO {-results['test_elbo']:.2f} nats on {len(test):,} images")
    return results


def _standing(folder: Path) -> str:
    """What a run that was interrupted has come to, and how to go on."""
    if not (folder / TRAINING).exists():
        return "no epoch was finished, nothing was saved"
    where = [] if folder.parent == RUNS else ["--out", str(folder.parent)]
    line = shlex.join(["vaecli", "train", "--name", folder.name, "--resume", *where])
    return f"{folder} keeps epoch {len(read_log(folder))}; go on with: {line}"
