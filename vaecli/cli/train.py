"""``vaecli train``."""

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaecli import registry
from vaecli.cli import console
from vaecli.cli.declare import COMPUTING, OUTPUT, TRAINING, examples, flag_option, optional
from vaecli.cli.options import AsJson, DataDir, Device, Quiet, RunsFolder, run_names, without_effect
from vaecli.cli.reading import reader
from vaecli.cli.runs import resolve_device
from vaecli.cli.setting_options import as_option
from vaecli.cli.tables import Table, print_table
from vaecli.cli.training import train_run
from vaecli.config import Config, merge
from vaecli.errors import CheckpointError, UsageError
from vaecli.provenance import Provenance
from vaecli.runs.find import CONFIG, FILES, PICTURES, RUNS, checked_name, has_epochs, read_config
from vaecli.settings import setting
from vaecli.training.save_every import SaveEvery

if TYPE_CHECKING:
    from vaecli.data.summary import DataSummary
    from vaecli.runs.origin import Beginning
    from vaecli.runs.run import Run


def log_option() -> inspect.Parameter:
    """The option ``--log``, whose help names the loggers that are registered now."""
    words = "Where curves, bounds and some reconstructions go too while it trains; it changes no bits, and may differ each time."
    field = setting(None, words, OUTPUT, family="log")
    field.name, field.type = "log", str | None
    return as_option(field)


HELP = examples(
    "vaecli train",
    "vaecli train --latent-dim 3 --objective iwae --k 10 --resume",
    "vaecli train --dataset folder --data-dir PICTURES --arch conv --latent-dim 32",
)
EVERYDAY = ("dataset", "latent_dim", "arch", "objective", "epochs", "data_dir", "name", "resume")


def train(
    context: typer.Context,
    settings: dict[str, Any],
    data_dir: DataDir = None,
    config: Annotated[
        Path | None, optional("A run's config.json to repeat; other options change it.", TRAINING, metavar="FILE")
    ] = None,
    from_run: Annotated[
        str | None,
        optional(
            "Begin with the weights of another run: its folder, checkpoint file, or name under checkpoints/. Its settings of the "
            "model and the images hold if not given; those of training do not.",
            TRAINING,
            "--from",
            metavar="RUN",
            autocompletion=run_names,
        ),
    ] = None,
    device: Device = "auto",
    threads: Annotated[
        int | None,
        optional(
            "CPU threads, written into the run: another number may change its last bits; one a core if not given.", COMPUTING, min=1
        ),
    ] = None,
    name: Annotated[str | None, optional("The run's name; made from the settings if not given.", OUTPUT, metavar="NAME")] = None,
    out: RunsFolder = RUNS,
    resume: Annotated[
        bool,
        flag_option("--resume", "Go on with the run of this name where it was saved last; start it if there is none.", OUTPUT),
    ] = False,
    overwrite: Annotated[bool, flag_option("--overwrite", "Replace a run of the same name.", OUTPUT)] = False,
    dry_run: Annotated[bool, flag_option("--dry-run", "Train nothing: print encoder and decoder layer by layer.", OUTPUT)] = False,
    save_every: Annotated[
        str | None,
        optional(
            "Also save the run within its epochs, after every N steps or minutes; --resume goes on from there. It changes no bits, "
            "and may differ each time; none if not given.",
            OUTPUT,
            metavar="N|Nmin",
        ),
    ] = None,
    log: str | None = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a VAE, keep it as a run, and measure it on the test images."""
    console.set_quiet(quiet)
    provenance: Provenance | None = None
    given = settings
    if config:
        repeated, provenance = read_config(config)
        given = merge(repeated, settings)
    beginning = _beginning(from_run, device) if from_run is not None else None
    chosen = Config(**beginning.settings(given) if beginning else given, absent=provenance.members if provenance else ())
    chosen.check_loaded(*registry.REGISTRY)
    if origin := beginning.origin if beginning else provenance and provenance.started_from:
        from vaecli.runs.origin import check_starts

        check_starts(origin, settings)
    if beginning:
        beginning.check(chosen)
        if data_dir is None and chosen.dataset == beginning.config.dataset and not config and "dataset" not in settings:
            data_dir = beginning.data_dir
    _check_start(chosen, settings)
    if dry_run:
        ignored = ["device", "threads", "name", "out", "resume", "overwrite", "save_every", "log"]
        decides_labels = registry.find("dataset", chosen.dataset).own_labels and chosen.labels != "none"
        without_effect(context, "with --dry-run", *ignored, *([] if decides_labels or not chosen.has_shape else ["data_dir"]))
        _print_layers(chosen, data_dir, as_json)
        return

    every = None if save_every is None else SaveEvery.of(save_every)

    from vaecli.processes import joined
    from vaecli.runs.logs import logger_of
    from vaecli.runs.run import read_run
    from vaecli.runs.start import Start

    logger_of(log)
    same_data = not (data_dir or "dataset" in settings)
    start = Start(
        chosen, data_dir, provenance, same_data, threads=threads, read=reader(), beginning=beginning, save_every=every, log=log
    )
    folder = out / (checked_name(name) if name is not None else start.run_name)
    if resume and overwrite:
        raise UsageError("--resume with --overwrite: expected only one of them: the one goes on with a run, the other replaces it")
    processes = joined(resolve_device(device))
    with processes.agreeing():
        if processes.is_main:
            _check_folder(folder, resume, overwrite)
    understood: list[DataSummary] = []
    results = train_run(folder, start, given if resume else None, device, on_data=understood.append)
    if not processes.is_main:
        return
    if as_json:
        numbers = {"train_elbo" if name == "elbo" else name: value for name, value in results.items()}
        files = [folder / name for name in (*FILES, PICTURES) if (folder / name).exists()]
        data = {"data": understood[0].to_json()} if understood else {}
        run = read_run(folder)
        console.result_json(
            "train", [(folder.name, folder)], files, **numbers, **data, warnings=run.warnings, **_origin(run),
            settings=read_config(folder / CONFIG)[0],
        )  # fmt: skip
    else:
        console.result(str(folder))


def _check_start(chosen: Config, settings: dict[str, Any]) -> None:
    """Refuses a start that was asked for and that the decoder cannot have."""
    if settings.get("init_bias") == "data":
        from vaecli.training.settle import settled_start

        if settled_start(chosen).init_bias != "data":
            raise UsageError(
                f"--init-bias data with --arch {chosen.arch}: its decoder has no last layer called output whose bias it sets; "
                "expected --init-bias random"
            )


def _beginning(run: str, device: str) -> "Beginning":
    """The weights of the run that a person named, which the first process reads for all."""
    from vaecli.processes import joined
    from vaecli.runs.origin import begin_with

    return begin_with(run, joined(resolve_device(device)))


def _origin(run: "Run") -> dict[str, Any]:
    """The run that this one began with, as JSON has it."""
    origin = run.provenance.started_from if run.provenance else None
    return {"started_from": origin.to_json()} if origin else {}


def _print_layers(config: Config, data_dir: Path | None, as_json: bool) -> None:
    """Prints the layers of a model with these settings, as a table or as JSON; of a person's own pictures in `data_dir`."""
    from vaecli.analysis.architecture import HEADINGS, architecture

    layers = architecture(config, data_dir)
    if as_json:
        console.result_json("train", [], [], **layers.to_json(), settings=config.to_json())
        return
    table = Table.of(HEADINGS[:-2], HEADINGS[-2:])
    for row in layers.cells():
        table.add_row(*row)
    print_table(table)


def _check_folder(folder: Path, resume: bool, overwrite: bool) -> None:
    if has_epochs(folder):
        if not resume and not overwrite:
            raise CheckpointError(
                f"{folder}: found a run there; go on with --resume, train anew with --overwrite, or beside it with --name NAME"
            )
    elif resume and not (folder / CONFIG).exists():
        console.note(f"No run {folder} to go on with yet: starting it")
