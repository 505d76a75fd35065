"""``vaecli train``."""

import shlex
import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from vaecli import console
from vaecli.commands.options import OUTPUT, RUNS, AsJson, DataDir, Device, Quiet, check_device, example
from vaecli.commands.settings import settings_as_options
from vaecli.config import Config, flag, merge, read_config
from vaecli.errors import CheckpointError, Interrupted, TrainingError, UsageError
from vaecli.files import locked_folder
from vaecli.interruption import Interruption
from vaecli.runs import FILES, MODEL, TRAINING, read_log

if TYPE_CHECKING:
    from vaecli.checkpoint import Training

HELP = example("vaecli train --latent-dim 3 --objective iwae --k 10")


@settings_as_options
def train(
    settings: dict[str, Any],
    data_dir: DataDir = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A run's config.json to repeat; other options change it.", show_default=False, rich_help_panel="Training"
        ),
    ] = None,
    device: Device = "auto",
    name: Annotated[
        str | None,
        typer.Option(help="The run's name; made from the settings if not given.", show_default=False, rich_help_panel=OUTPUT),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder that holds runs.", rich_help_panel=OUTPUT)] = RUNS,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run of this name after its last finished epoch; start it if there is none.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run of the same name.", rich_help_panel=OUTPUT)] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train nothing: print encoder and decoder layer by layer.", rich_help_panel=OUTPUT)
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a VAE, keep it as a run, and measure it on the test images."""
    console.set_quiet(quiet)
    chosen = Config(**merge(read_config(config), settings) if config else settings)
    if dry_run:
        _print_layers(chosen, as_json)
        return
    folder = out / _checked_name(name or chosen.run_name)
    if resume and overwrite:
        raise UsageError("--resume with --overwrite: expected only one of them: the one goes on with a run, the other replaces it")
    if any((folder / each).exists() for each in (MODEL, TRAINING)):
        if not resume and not overwrite:
            raise CheckpointError(
                f"{folder}: found a run there; go on with --resume, train anew with --overwrite, or beside it with --name NAME"
            )
    elif resume:
        console.note(f"No run {folder} to go on with yet: starting it")

    with locked_folder(folder, FILES), Interruption() as interruption:
        try:
            going_on = resume and (folder / TRAINING).exists()
            training = _resumed(folder, merge(read_config(config), settings) if config else settings) if going_on else None
            results = _train(folder, training.config if training else chosen, training, interruption, data_dir, device)
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted: {_standing(folder)}", interruption.signal or signal.SIGINT) from None
    if as_json:
        console.result_json({"run": str(folder), **results})
    else:
        console.result(str(folder))


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
    folder: Path, chosen: Config, training: "Training | None", interruption: Interruption, data_dir: Path | None, device: str
) -> dict[str, float]:
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

    where = check_device(device)
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
        with console.bar(chosen.epochs * steps, "batches") as show:
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


def _print_layers(chosen: Config, as_json: bool) -> None:
    from vaecli.anatomy import layers

    found = layers(chosen)
    if as_json:
        console.result_json({"layers": [asdict(each) for each in found], "parameters": sum(each.parameters for each in found)})
        return
    table = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left", caption_style="")
    for heading in ("layer", "kind", "from", "label", "to", "parameters", "of them from the label"):
        table.add_column(heading, justify="right" if heading.startswith(("parameters", "of")) else "left", no_wrap=True)
    for each in found:
        shapes = [" x ".join(map(str, shape)) for shape in (each.inputs, each.outputs)]
        label = f"+ {each.labels}" if each.labels else ""
        counts = f"{each.parameters:,}", f"{each.label_parameters:,}" if each.labels else ""
        table.add_row(each.name, each.kind, shapes[0], label, shapes[1], *counts)
    total, by_label = (sum(getattr(each, name) for each in found) for name in ("parameters", "label_parameters"))
    table.add_section()
    table.add_row("all", "", "", "", "", f"{total:,}", f"{by_label:,}" if by_label else "")
    console.table(table)


def _checked_name(name: str) -> str:
    if not name or name != Path(name).name or name.startswith(".") or "\0" in name or len(name.encode()) > 200:
        raise UsageError(f"--name {name[:60]}: expected the name of a folder, without '/', such as --name first-try")
    return name
