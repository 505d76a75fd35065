"""Training and resuming a run."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch

from vaecli.arguments import PathLike, Within, checked
from vaecli.config import Config
from vaecli.data import Images, Read, Source, read_once
from vaecli.data.array import Arrays
from vaecli.data.array_files import NoFileError
from vaecli.data.array_items import given_arrays
from vaecli.data.idx import SPLITS
from vaecli.data.images import UNKNOWN, sampled
from vaecli.data.load import check_digest
from vaecli.data.summary import DataSummary, summarise
from vaecli.device import resolve_device, resolve_precision
from vaecli.errors import CheckpointError, Diverged, UsageError, VaecliError
from vaecli.evaluation.estimates import bits_per_dim
from vaecli.evaluation.importance import Evaluation, evaluate
from vaecli.evaluation.soundness import Warnings, sentence, warnings_of
from vaecli.memory import machine_memory
from vaecli.model import VAE, build, observed_images
from vaecli.processes import ALONE, Processes, joined
from vaecli.provenance import DataRecord, Provenance
from vaecli.runs.facts import facts_of
from vaecli.runs.find import CONFIG, PICTURES, TRAINING, has_epochs, is_stopped, standing
from vaecli.runs.folder import Folder
from vaecli.runs.format import weights_of
from vaecli.runs.logs import Log, logger_of
from vaecli.runs.objects import with_objects
from vaecli.runs.origin import begin_with, check_starts
from vaecli.runs.pictures import difference, picture_list
from vaecli.runs.progress import shown
from vaecli.runs.run import Run, load
from vaecli.runs.start import Listener, Start, common, held_folder
from vaecli.runs.state import Best, Training, load_training, save_again, save_epoch, save_settings, save_within
from vaecli.seeding import generator
from vaecli.settings import AUTO
from vaecli.threads import computing_threads, fast_arithmetic
from vaecli.training.loop import EpochRecord, diverged, fit, is_recoverable, make_optimizer, steps_per_epoch
from vaecli.training.optimizer import Adam
from vaecli.training.position import Position
from vaecli.training.save_every import SaveEvery
from vaecli.training.settle import settle, spoken
from vaecli.training.staging import fits


@checked
def train(
    config: Config, folder: PathLike, *, data_dir: PathLike | None = None, device: str = "auto", resume: bool = False,
    overwrite: bool = False, threads: Annotated[int, Within(1, 100_000)] | None = None, read: Read | None = None,
    objective: Any = None, arch: Any = None, encoder: Any = None, decoder: Any = None,
    images: Any = None, labels: Any = None, test_images: Any = None, test_labels: Any = None,
    init: Run | PathLike | None = None, on_epoch: Callable[[dict[str, float]], object] | None = None,
    on_batch: Callable[[int, int, float], object] | None = None, progress: bool = False, save_every: int | str | None = None,
    log: Any = None,
) -> Run:  # fmt: skip
    """The run of a VAE that is trained, and measured after each epoch on the images that it holds out, or the test images.

    In a script that torchrun started, all processes call this alike and share each batch. The first one writes the run, into a
    folder that all of them see.

    Args:
        config: the settings.
        folder: the run's.
        data_dir: the folder of a person's own pictures, or of IDX files to read instead of the data set's own.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        resume: go on with the run in the folder, if there is one; its settings must be those of `config`, but for ``epochs``.
        overwrite: replace the run in the folder.
        threads: CPU threads, which may decide the last bits; if not given, those of the run that goes on, or as many as PyTorch
            takes.
        read: reads the images; one from `vaecli.data.read_once` shares them with other work.
        objective: an object instead of the settings' objective (`vaecli.objectives.base.Objective`).
        arch: an object that makes both networks (`vaecli.networks.layers.Architecture`).
        encoder: a network, with `decoder`, instead of `arch` (`vaecli.networks.given.GivenNetworks`); copied with its weights.
        decoder: the other network; copied with its weights but for the last bias, which ``init_bias`` data sets.
        images: to train on instead of a data set: an array or tensor, shape (N, H, W), (N, H, W, 3), (N, 3, H, W), or (N, D) with
            D a square; a torch ``Dataset``; or `Images`. Bytes are 0 black to 255 white; of other numbers the values decide, or
            `Config.pixel_range`. The run keeps their digest, and no copy: later commands need them as a file (docs/pictures.md).
        labels: of the images: whole numbers from 0, -1 where not known, or words; shape (N,).
        test_images: to test on; one image in ten, by a hash of its pixels, if not given.
        test_labels: of these.
        init: a run to begin with, as `vaecli.load` gives or takes it: its weights, but not Adam's moments. `config` must describe a
            model that they fit, and leave ``init`` and ``init_bias`` as they are by default or in that run. The run records it
            (``run.provenance.started_from``).
        on_epoch: called with the row of ``run.log`` after an epoch is measured and written.
        on_batch: called every 100 steps and after the last of an epoch, with the steps done, the steps of all epochs, and the mean
            loss since the last call, in nats per image.
        progress: show a bar, a line for each epoch and the notes of training: on stderr, or in a notebook.
        save_every: also save the run after every so many steps, such as 500, or minutes, such as ``"10min"``, within its epochs. It
            changes no bits, and is not kept.
        log: where its curves, bounds and some reconstructions go too: the name of a logger, such as ``tensorboard``, or a class of
            your own (`vaecli.loggers.base.Logger`). It changes no bits, and is not kept.

    An exception that a callback raises, or Ctrl-C, ends training; the run keeps what was saved last, and resumes from there. With
    several processes the first one calls and shows.

    A run with an object of a class that is not registered opens in another process when it is given the object again:
    ``vaecli.load(run, arch=...)``. Without an objective it does all but go on training.

    Raises:
        VaecliError: settings, data or files are wrong, training diverged, or another process ended.

    Example:
        >>> run = vaecli.train(vaecli.Config(latent_dim=3, epochs=1, limit=1000), "checkpoints/mine")
        >>> run.results["epoch"], run.model.latent_dim
        (1, 3)
        >>> import numpy as np
        >>> run = vaecli.train(vaecli.Config(epochs=1), "checkpoints/noise", images=np.random.rand(100, 8, 8))
        >>> run.model.image_shape
        ImageShape(channels=1, height=8, width=8)
    """
    if any(value is not None for value in (images, labels, test_images, test_labels)):
        given = {"data_dir": data_dir, "read": read}
        config, read = _on_arrays(config, given_arrays(images, labels, test_images, test_labels), given)
    if resume and overwrite:
        raise UsageError("{resume=} with {overwrite=}: expected only one of them")
    folder, notes = Path(folder), list[str]()
    logger_of(log)
    config = with_objects(config, folder, {"objective": objective, "arch": arch, "encoder": encoder, "decoder": decoder})
    processes = joined(resolve_device(device))
    with processes.agreeing():
        if processes.is_main and has_epochs(folder) and not resume and not overwrite:
            raise CheckpointError(f"{folder}: found a run there; {{resume=}} goes on with it, {{overwrite=}} replaces it")
    beginning = None if init is None else begin_with(init, processes)
    if beginning:
        beginning.check(config)
        check_starts(beginning.origin, beginning.other_starts(config))
    with shown(_split(config), progress and processes.is_main) as (show, reading):
        listen = _kept(show, notes, on_epoch, on_batch) if processes.is_main else show
        read = read or read_once(replace(reading, note=listen.note))
        place, before = None if data_dir is None else Path(data_dir), _written(folder)
        every = None if save_every is None else SaveEvery.of(save_every)
        start = Start(config, place, threads=threads, read=read, beginning=beginning, save_every=every, log=log)
        with held_folder(folder, start, config.to_json() if resume else None, processes, listen) as (held, start):
            try:
                train_in(held, start, device, listen, processes)
            except BaseException:
                if processes.is_main and _written(folder) != before:
                    with suppress(VaecliError):  # it may have come between two files of an epoch
                        save_again(held, load_training(folder))
                raise
            processes.barrier()
    return replace(load(folder), notes=tuple(notes))


def _kept(
    show: Listener, notes: list[str], on_epoch: Callable[[dict[str, float]], object] | None,
    on_batch: Callable[[int, int, float], object] | None,
) -> Listener:  # fmt: skip
    """The callbacks `show` and those of a caller in Python; what is said is also kept in `notes`."""

    def note(text: str) -> None:
        notes.append(text)
        show.note(text)

    def data(summary: DataSummary) -> None:
        for line in summary.lines():
            note(line)

    def batch(epoch: int, done: int, total: int, loss: float) -> None:
        show.batch(epoch, done, total, loss)
        if on_batch:
            on_batch(done, total, loss)

    return replace(show, note=note, data=data, batch=batch, row=on_epoch or show.row)


def _written(folder: Path) -> tuple[int, int] | None:
    """Which file holds a run's state, and when it was written; None if there is none."""
    file = folder / TRAINING
    return (file.stat().st_ino, file.stat().st_mtime_ns) if file.exists() else None


def _on_arrays(config: Config, arrays: Arrays, others: Mapping[str, Any]) -> tuple[Config, Read]:
    """The settings for a person's own arrays, and what reads them.

    Raises:
        UsageError: the settings are of another data set, or one of `others` says where images are too.
    """
    for name, value in others.items():
        if value is not None:
            raise UsageError(f"{{{name}=}} with {{images=}}: expected only one of them")
    if config.dataset not in ("array", Config().dataset):
        raise UsageError("{dataset} with {images=}: expected {dataset=array}, or leave {dataset=} out", dataset=config.dataset)
    return config if config.dataset == "array" else config.of_dataset("array"), read_once(arrays=arrays)


def train_in(
    folder: Folder, start: Start, device: str = "auto", listen: Listener | None = None, processes: Processes = ALONE
) -> dict[str, float]:
    """The results of the last epoch, after training to it and writing the run after each epoch.

    Args:
        folder: the run's, from `vaecli.runs.start.held_folder`.
        start: the state in which training begins, from there too.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        listen: callbacks.
        processes: the processes that share the run; every one returns the results, unless nothing was left to train.

    Raises:
        UsageError: this machine has no such device, or fewer processors than the threads asked for.
        Diverged: training diverged; the last good epoch is kept, and marked.
        DataError: the images cannot be read, or are not the run's.
        VaecliError: a file cannot be written.
    """
    path, chosen, training, listen = folder.path, start.config, start.training, listen or Listener()
    if start.stopped or (start.finished and start.finished >= chosen.number("epochs")):
        listen.note(f"{path} is finished: {start.finished} epochs are done")
        if training:
            _tell_end(training.kept, start.stopped, training.warnings, listen)
        return training.kept if training else {}
    chosen.check_loaded("objective", "dataset")
    placed = resolve_device(device)
    recorded = start.provenance if start.provenance and start.provenance.processes == processes.size else None
    with computing_threads(start.threads, recorded.threads if recorded else None), fast_arithmetic():
        return _train(folder, start, placed, listen, processes)


def _train(folder: Folder, start: Start, placed: torch.device, listen: Listener, processes: Processes) -> dict[str, float]:
    path, training, finished = folder.path, start.training, start.finished
    with processes.agreeing():
        if not finished:
            start = _settled_by_data(start, folder.path)
        source = _source(start, folder.path)
        images, held_out = _training_images(source, start.config), _held_out(source, start.config)
        sample = _sample(held_out, start.config)
        provenance = _provenance(start, source.record, held_out, placed, processes)
    provenance = common(processes, provenance)
    summary = summarise(source.images("train"), source.images("test"), start.config)
    _tell(listen, start, len(images), len(held_out), path, provenance, summary)
    chosen = _settled(start.config, len(images), listen, processes)
    if chosen.init_bias != start.config.init_bias and not start.beginning:
        listen.note("The decoder has no last layer called output whose bias can be set, so it begins with the biases that it has")
    split, model = _split(chosen), _model(start, chosen, images, listen).to(placed)
    images, held_out, sample = _placed(images, placed, listen), held_out.to(placed), sample.to(placed)
    optimizer, steps = make_optimizer(model, chosen), steps_per_epoch(images, chosen)
    log = Log(None, model, sample, split, 0)
    keeper = _Keeper(folder, source, model, optimizer, chosen, provenance, images.class_names, steps, listen, log)
    done = start.position.results(steps) if start.position else {"epoch": finished}
    if done.get("step", 0) > steps:
        raise CheckpointError(f"{path / TRAINING}: found {standing(done)}: the file is damaged")
    begun = int(done["epoch"] * steps + done.get("step", 0))
    if training:
        training.restore(optimizer, begun)
        keeper.take_up(training)
    elif processes.is_main and not has_epochs(path):
        save_settings(folder, chosen, provenance)
        _save_pictures(folder, source)
    listen.note(f"Begin training in {chosen.latent_dim}D latent space{f' after {standing(done)}' if any(done.values()) else ''}")

    if processes.is_main and (opened := logger_of(start.log)):
        log.logger = opened(path, chosen.to_json(), begun)
        listen.note(log.logger.told)

    warnings = _fit(keeper, start, images, held_out, sample, processes)
    _tell_end(keeper.results, is_stopped(keeper.rows, chosen), warnings, listen, _done(model, len(held_out), split, keeper.results))
    return keeper.results


def _fit(keeper: "_Keeper", start: Start, images: Images, held_out: Images, sample: Images, processes: Processes) -> Warnings:
    """What the numbers say against the run, after training it to its end and writing it after each measurement.

    Args:
        keeper: the run.
        start: the state in which training begins.
        images: the training images.
        held_out: those that the run is measured on.
        sample: a part of them, where there is a `test_limit`.
        processes: that share the run.
    """
    config, model, steps, listen, log = keeper.config, keeper.model, keeper.steps, keeper.listen, keeper.log

    def on_batch(epoch: int, done: int, loss: float) -> None:
        listen.batch(epoch, (epoch - 1) * steps + done, config.number("epochs") * steps, loss)
        log.batch(loss, (epoch - 1) * steps + done)

    resolved, warnings = replace(config, precision=keeper.provenance.precision), Warnings()
    on_save = keeper.save_within if processes.is_main else lambda position: None
    with closing(log):
        try:
            for record in fit(
                model, keeper.optimizer, images, resolved, start.finished, on_batch, processes, start.position, start.save_every,
                on_save, listen.note,
            ):  # fmt: skip
                tested = evaluate(model, sample, processes=processes)
                row, elbo = _row(record, tested, log.split), float(tested.elbo.mean())
                if not is_recoverable(elbo, model.image_shape):
                    raise diverged(f"epoch {record.epoch}: the {log.split} -ELBO", -elbo, record.epoch, config)
                results = _results(record.epoch, record.elbo, tested, log.split, len(held_out))
                ended, kept = keeper.choose(row, results, processes)
                if ended:
                    kept, warnings = _ended(keeper, row, kept, tested, images, held_out, sample, processes)
                keeper.save_epoch(row, results, kept, warnings, ended)
                listen.epoch(record, elbo)
                listen.row({name: float(value) for name, value in row.items()})
                if ended:
                    break
        except Diverged as error:
            if not processes.is_main:
                raise
            raise keeper.marked(error) from None
    return warnings


def _ended(
    keeper: "_Keeper", row: dict[str, Any], kept: dict[str, float], tested: Evaluation, images: Images, held_out: Images,
    sample: Images, processes: Processes,
) -> tuple[dict[str, float], Warnings]:  # fmt: skip
    """The results and the warnings of a run whose training ends with an epoch.

    Args:
        keeper: the run.
        row: of the epoch.
        kept: the results of the weights to keep, of the epoch or a better one before it.
        tested: measured after the epoch, on the sample.
        images: the training images.
        held_out: those that it is measured on.
        sample: a part of them, where there is a `test_limit`.
        processes: that share the run.
    """
    config, model, epoch = keeper.config, keeper.model, int(kept["epoch"])
    if epoch != row["epoch"]:
        model = keeper.best_model(processes)
    if epoch != row["epoch"] or config.test_limit is not None:
        tested = evaluate(model, held_out, processes=processes)
    if config.test_limit is not None:
        kept = _results(epoch, kept["elbo"], tested, _split(config), len(held_out))
    if epoch != row["epoch"]:
        kept["last_epoch"] = row["epoch"]
    enough = keeper.provenance.started_from is not None or row["epoch"] != config.epochs
    rows = [*keeper.rows, row]
    return kept, warnings_of(facts_of(config, model, images, sample, rows, tested.active_units, enough, epoch))


@dataclass
class _Keeper:
    """What writes a run while it trains.

    Attributes:
        steps: of an epoch.
        rows: of its log.
        results: of the weights that the run keeps, or those that a run which goes on had.
        kept: whether the folder has a state of this run.
        best: the best epoch so far, with `patience`; in the first process.
    """

    folder: Folder
    source: Source
    model: VAE
    optimizer: Adam
    config: Config
    provenance: Provenance
    class_names: tuple[str, ...]
    steps: int
    listen: Listener
    log: Log
    rows: list[dict[str, Any]] = field(default_factory=list)
    results: dict[str, float] = field(default_factory=dict)
    kept: bool = False
    best: Best | None = None

    def take_up(self, training: Training) -> None:
        """Goes on with the log, the results and the best epoch of a run."""
        self.rows, self.results, self.kept, self.best = list(training.log), training.kept, True, training.best
        self.log.rows = len(self.rows)

    def choose(self, row: dict[str, Any], results: dict[str, float], processes: Processes) -> tuple[bool, dict[str, float]]:
        """Whether training ends after this epoch, and the results of the weights to keep; the first process decides for all."""
        ended, kept = row["epoch"] == self.config.epochs, results
        if self.config.patience is not None:
            if self.best is None or row["validation_elbo"] > self.best.bound:
                weights = {name: weight.clone() for name, weight in weights_of(self.model).items()}
                self.best = Best(weights, results, row["validation_elbo"])
            stopped = is_stopped([*self.rows, row], self.config)
            ended, kept = processes.all_gather([ended or stopped, self.best.results])[0]
        return ended, dict(kept)

    def best_model(self, processes: Processes) -> VAE:
        """The model with the weights of the best epoch, which the first process has."""
        model = deepcopy(self.model)
        if processes.is_main and self.best:
            model.load_state_dict(self.best.weights)
        for tensor in model.state_dict().values():  # of several types
            processes.broadcast([tensor])
        return model

    def save_epoch(
        self, row: dict[str, Any], results: dict[str, float], kept: dict[str, float], warnings: Warnings, ended: bool
    ) -> None:
        """Writes the run after a measured epoch: its results, and those of the weights that are kept."""
        with self.listen.writing():
            _save_pictures(self.folder, self.source, self.rows)
            self.rows.append(row)
            self.best = self.best and replace(self.best, results=kept)
            save_epoch(
                self.folder, self.model, self.optimizer, self.config, self.rows,
                kept if kept["epoch"] == row["epoch"] else results, self.provenance, self.class_names, warnings, self.best, ended,
            )  # fmt: skip
            self.results, self.kept = kept, True
        self.log.measured(row, results, self.optimizer.lr, row["epoch"] * self.steps, ended)

    def save_within(self, position: Position) -> None:
        """Writes the run at a position within an epoch."""
        with self.listen.writing():
            _save_pictures(self.folder, self.source, self.rows)
            self.kept |= save_within(
                self.folder, self.model, self.optimizer, self.config, self.rows, position, self.steps, self.provenance,
                self.class_names, self.best,
            )  # fmt: skip

    def marked(self, error: Diverged) -> VaecliError:
        """The error, with what the run in the folder keeps; the run is marked."""
        path = self.folder.path
        if not self.kept:
            if not has_epochs(path):
                for name in CONFIG, PICTURES:
                    (path / name).unlink(missing_ok=True)
            return error.reworded(Diverged, after="; nothing was saved yet", epoch=error.epoch)
        state = load_training(path)
        with self.listen.writing():
            save_again(self.folder, state, {"diverged_epoch": error.epoch})
        return error.reworded(Diverged, after=f"; {path} keeps {standing(state.kept)}", epoch=error.epoch)


def _placed(images: Images, device: torch.device, listen: Listener) -> Images:
    """The training images on the device, or where they are if they do not fit there."""
    if fits(images, device):
        return images.to(device)
    listen.note(
        f"The training images take {images.pixels.nbytes / 1e9:,.1f} GB, more than half of what is free on the GPU: they stay in "
        "the machine's memory, and are copied to it in parts"
    )
    return images


def _model(start: Start, config: Config, images: Images, listen: Listener) -> VAE:
    """The model with which training begins or goes on, on the CPU."""
    if start.training:
        return start.training.model
    if start.beginning:
        listen.note(start.beginning.told(images))
        return start.beginning.model(config, images)
    return build(config, images)


def _tell(
    listen: Listener, start: Start, images: int, held_out: int, path: Path, provenance: Provenance, summary: DataSummary | None
) -> None:
    """Says what differs from the run that goes on, and what was understood of a person's own pictures."""
    if start.provenance and (different := start.provenance.differences(provenance)):
        listen.note(
            f"{path} was computed with {'; '.join(different)}: its last bits may not be those of a run that was never stopped"
        )
    if start.provenance and start.provenance.measured != provenance.measured:
        listen.note(f"{path}: its bounds before were measured on other draws of the pixels")
    if start.config.limit and images < start.config.limit:
        listen.note(f"Only {images:,} images to train on: fewer than the limit, {start.config.limit:,}")
    if summary:
        listen.data(summary)
    if start.config.test_limit is not None:
        some = f"{start.config.test_limit:,} of {held_out:,} {_split(start.config)} images"
        listen.note(f"Measured on {some}, drawn by a fixed seed; at the end on all")


def _done(model: VAE, images: int, split: str, results: dict[str, float]) -> str:
    """The last line of a run that is trained to its end."""
    elbo = results[f"{split}_elbo"]
    estimated = "" if _particles(split) not in results else "; KL has no closed form here, and is estimated"
    bits = f" ({bits_per_dim(elbo, model.image_shape.size):.3f} bits/dim)" if model.pixel_likelihood.discrete else ""
    count = f"{images:,} image{'s' if images > 1 else ''}"
    return f"Training in {model.latent_dim}D is done: {split} -ELBO {-elbo:.2f} nats{bits} on {count}{estimated}"


def _particles(split: str) -> str:
    """The name of the result that says of how many particles per image the KL is estimated; there is none where it is exact."""
    return f"{split}_kl_particles"


def _tell_end(results: Mapping[str, float], stopped: bool, warnings: Warnings, listen: Listener, done: str = "") -> None:
    """Says which epoch is kept, if it is not the last, then that training is done, and what the numbers say against the run."""
    if "last_epoch" in results:
        end = f"{'Stopped after' if stopped else 'Trained to'} epoch {results['last_epoch']:.0f}"
        listen.note(f"{end}; the best, {results['epoch']:.0f}, is kept")
    if done:
        listen.note(done)
    for name, numbers in warnings.items():
        listen.note(sentence(name, numbers))


def _settled(config: Config, images: int, listen: Listener, processes: Processes) -> Config:
    """The settings for so many training images, the same in every process; says what was settled."""
    settled = settle(config, images)
    settled = replace(settled, shuffle=processes.all_gather(settled.shuffle)[0])  # others may have another memory
    if AUTO in (config.epochs, config.batch_size):
        listen.note(spoken(settled, images))
    if config.shuffle == AUTO and settled.shuffle == "blocks":
        taken, memory = images * settled.image_shape.size / 1e9, machine_memory() / 1e9
        listen.note(f"The training images take {taken:,.1f} GB of {memory:,.1f} GB of memory: they are shuffled in blocks")
    return settled


def _training_images(source: Source, config: Config) -> Images:
    """The images that training sees, with the labels that it sees."""
    images = source.images("train")
    if config.validation is not None:
        if config.validation >= len(images):
            raise UsageError(
                f"{{validation}}: found {len(images):,} training images, expected some left to train on, such as with "
                f"{{validation={max(1, len(images) // 6)}}}", validation=config.validation,
            )  # fmt: skip
        images = images[: len(images) - config.validation]
    images = images[: config.limit]
    return images if config.label_fraction is None else hide_labels(images, config.label_fraction, config.seed)


def hide_labels(images: Images, fraction: float, seed: int) -> Images:
    """The same images; exactly ``round(fraction * N)`` of them keep their label.

    They are drawn without replacement, from the seed alone.
    """
    order = torch.randperm(len(images), generator=generator("cpu", "labels", seed))
    hidden = order[round(fraction * len(images)) :].to(images.labels.device)
    return replace(images, labels=images.labels.index_fill(0, hidden, UNKNOWN))


def _held_out(source: Source, config: Config) -> Images:
    """The images that a run is measured on after each epoch, as it sees them: training images held out, or the test images."""
    images = source.images("test") if config.validation is None else source.images("train")[-config.validation :]
    # others are seen as they are, or made black and white a batch at a time
    return observed_images(images, "stochastic") if config.binarize == "stochastic" else images


def _save_pictures(folder: Folder, source: Source, rows: Sequence[Any] = ()) -> None:
    """Writes the list of a person's own pictures; of other images there is none.

    A run with rows has its list; one that is replaced keeps its own until the first row of the other.
    """
    if rows:
        return
    splits = {split: source.images(split) for split in SPLITS}
    if splits["train"].reading:
        folder.write(PICTURES, picture_list(splits))
    else:
        (folder.path / PICTURES).unlink(missing_ok=True)


def _sample(held_out: Images, config: Config) -> Images:
    """The images to measure on after each epoch: a random `test_limit` of those held out, the same each time; all without it.

    Raises:
        UsageError: there are not more than these.
    """
    if config.test_limit is None:
        return held_out
    if config.test_limit >= len(held_out):
        raise UsageError(
            f"{{test_limit}}: found {len(held_out):,} {_split(config)} images, expected fewer to draw from them; leave "
            "{test_limit=} out to measure on all", test_limit=config.test_limit,
        )  # fmt: skip
    return held_out[sampled(len(held_out), config.test_limit)]


def _split(config: Config) -> str:
    """The name of the images that a run is measured on."""
    return "test" if config.validation is None else "validation"


def _row(record: EpochRecord, tested: Evaluation, split: str) -> dict[str, Any]:
    """An epoch's row of the loss log; `split` says what was measured."""
    return {
        "epoch": record.epoch,
        "loss": record.loss,
        "elbo": record.elbo,
        "reconstruction": record.reconstruction,
        "kl": record.kl,
        f"{split}_elbo": float(tested.elbo.mean()),
        "seconds": round(record.seconds, 3),
        "images_per_second": round(record.images_per_second),
    }


def _results(epoch: int, elbo: float, tested: Evaluation, split: str, images: int) -> dict[str, float]:
    """What a checkpoint keeps of an epoch and its training ELBO; of a measurement on fewer than so many images their number too."""
    results = {
        "epoch": epoch,
        "elbo": elbo,
        f"{split}_elbo": float(tested.elbo.mean()),
        f"{split}_reconstruction": float(tested.reconstruction.mean()),
        f"{split}_kl": float(tested.kl.mean()),
    }
    if len(tested.elbo) < images:
        results[f"{split}_images"] = len(tested.elbo)
    return results if tested.kl_is_exact else results | {_particles(split): 1}


def _settled_by_data(start: Start, folder: Path) -> Start:
    """The start of the run in a folder with what its images decide written into the settings.

    Raises:
        DataError: they cannot be read.
    """
    try:
        return replace(start, config=start.source.settled())
    except NoFileError as error:
        raise (error.of_run(folder.name) if start.recorded else error) from None


def _source(start: Start, folder: Path) -> Source:
    """The images to train on, for the run in a folder.

    Raises:
        DataError: they cannot be read, or are not the run's.
    """
    source = start.source
    if start.recorded:
        for split, digest in (("train", start.recorded.train), ("test", start.recorded.test)):
            try:
                images = source.images(split)
            except NoFileError as error:
                raise error.of_run(folder.name) from None
            check_digest(
                images,
                split,
                digest,
                str(start.source_dir or source.dataset),
                folder.name,
                partial(difference, folder, split, images),
            )
    return source


def _provenance(start: Start, data: DataRecord, held_out: Images, device: torch.device, processes: Processes) -> Provenance:
    """The provenance of this process; an `auto` precision is that of the earlier run, if there is one."""
    precision = start.config.precision
    if precision == "auto" and start.provenance:
        precision = start.provenance.precision
    precision = resolve_precision(precision, device)
    measured = held_out.digest if start.config.binarize == "stochastic" else ""
    return Provenance(
        data, device.type, precision, torch.get_num_threads(), torch.__version__, processes.size, start.origin,
        start.config.members, measured,
    )  # fmt: skip
