"""The training loop: a generator of one record an epoch, without input or output."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vaecli.config import Config
from vaecli.data.images import Images
from vaecli.errors import Diverged
from vaecli.image_shape import GREY_28, ImageShape
from vaecli.model import VAE
from vaecli.processes import ALONE, Processes
from vaecli.seeding import seed_of
from vaecli.training.cuda_graph import RecordedStep
from vaecli.training.optimizer import Adam
from vaecli.training.order import epoch_order
from vaecli.training.position import Position
from vaecli.training.save_every import SaveEvery
from vaecli.training.schedules import kl_weight, learning_rate, warm_up
from vaecli.training.settle import settle
from vaecli.training.staging import Staging
from vaecli.training.step import make_step

CHECK_EVERY = 100
"""Batches between checks of the loss, each of which waits for the device."""


@dataclass(frozen=True)
class EpochRecord:
    """The results of one epoch, or of several up to one: nats per image, means over the training images while the weights changed.

    Attributes:
        epoch: the number of the last, from 1.
        loss: minus what was maximised.
        elbo: reconstruction - kl.
        reconstruction: E_q[log p(x|z)].
        kl: KL(q(z|x) || p(z)).
        seconds: how long they took, without evaluation.
        images_per_second: training images over seconds.
    """

    epoch: int
    loss: float
    elbo: float
    reconstruction: float
    kl: float
    seconds: float
    images_per_second: float


def make_optimizer(model: VAE, config: Config) -> Adam:
    """Adam for a model that is on its device, with the settings' epsilon."""
    return Adam(model.parameters(), config.lr, config.adam_eps)


def steps_per_epoch(images: Images, config: Config) -> int:
    """The number of steps in an epoch; the last batch may be smaller."""
    return -(-len(images) // config.number("batch_size"))


def fit(
    model: VAE,
    optimizer: Adam,
    images: Images,
    config: Config,
    finished: int = 0,
    on_batch: Callable[[int, int, float], None] | None = None,
    processes: Processes = ALONE,
    begin: Position | None = None,
    save_every: SaveEvery | None = None,
    on_save: Callable[[Position], None] = lambda position: None,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[EpochRecord]:
    """Yields a record after each epoch, or every `measure_every` and the last, in which the model was trained in place.

    Order and noise of an epoch come from the seed and the epoch's number alone, so training that continues from saved
    weights and moments is the same as training that never stopped. Within an epoch its `Position` is needed too.

    Args:
        model: trained on its device.
        optimizer: from `make_optimizer`, with the moments of `finished` epochs.
        images: the training images, bytes, with the labels that training may see, on the model's device or on the CPU, from where
            they are copied in parts (`Staging`); batches are gathered and binarised on the model's device.
        config: the run's settings.
        finished: epochs already done and recorded.
        on_batch: called every CHECK_EVERY batches and after an epoch's last, with the epoch, the batches done in it, and the mean
            loss of those since the last call, in nats per image.
        processes: the processes that share each batch. Every one has these images, and begins each epoch with the first one's
            weights, moments and buffers, so that processors which round differently stay together.
        begin: where to begin after the `finished` epochs, with the weights and moments there; right after them if not given.
        save_every: how often to call `on_save` besides; it changes no bits.
        on_save: called with the position, in every process.
        note: called with a sentence about how it is done, if it is not as expected.

    Raises:
        Diverged: the loss is NaN, infinite or not `is_recoverable`.
        ProcessError: another process ended or cannot be reached.
    """
    config = settle(config, len(images))
    epochs, batch_size, every = config.number("epochs"), config.number("batch_size"), config.number("measure_every")
    device = model.device
    staging = Staging(images, device, batch_size)
    weight = torch.zeros((), device=device) if config.kl_warmup else None
    train = make_step(model, optimizer, staging.images, config, processes, len(images), weight)
    if device.type == "cuda" and processes.alone:
        train = RecordedStep(train, batch_size, note)
    noise = torch.Generator(device)
    steps = steps_per_epoch(images, config)
    is_due = _Due(save_every, processes)
    processes.barrier()
    _follow_first(model, optimizer, processes)
    since = _Since() if begin is None else _Since(begin.nats, (begin.epochs - finished) * len(images), begin.seconds)
    for epoch in range(1 + (finished if begin is None else begin.epochs), epochs + 1):
        noise.manual_seed(seed_of("epoch", config.seed, epoch))
        optimizer.lr = rate = learning_rate(config, epoch)
        order = epoch_order(len(images), images.shape.size, str(config.shuffle), noise)
        sums = torch.zeros(steps, 3, device=device)
        done = begin.restore(sums, noise, processes) if begin and epoch == begin.epochs + 1 else 0
        measured = epoch % every == 0 or epoch == epochs
        model.train()
        for step, index in enumerate(staging.batches(order[done * batch_size :]), done + 1):
            if weight is not None:
                weight.fill_(kl_weight(config, epoch - 1 + (step - 1) / steps))
            if (taken := (epoch - 1) * steps + step) <= (config.lr_warmup or 0):
                optimizer.lr = rate * warm_up(config, taken)
            sums[step - 1] = train(index, noise)
            if step % CHECK_EVERY == 0 or step == steps:
                first = (step - 1) // CHECK_EVERY * CHECK_EVERY
                loss = _checked_loss(processes.sum(sums[first:step]), epoch, first, len(images), model, config)
                if on_batch:
                    on_batch(epoch, step, loss)
            if is_due((epoch - 1) * steps + step) and not (measured and step == steps):
                summed = step if step == steps else step // CHECK_EVERY * CHECK_EVERY
                own = processes.stack(sums[summed:step])
                if summed < step:
                    _checked_loss(own.sum(0), epoch, summed, len(images), model, config)
                position = Position(
                    epoch - 1, step, noise.get_state(), sums[:summed].cpu(), own.cpu(), tuple(since.nats.tolist()), since.seconds
                )
                on_save(position)
                processes.barrier()  # the first one may be writing
                since.go_on(position.seconds)
                is_due.saved()
        since.add(sums, len(images))
        if measured:
            _follow_first(model, optimizer, processes)
            yield since.record(epoch)
            processes.barrier()  # the first one may be writing the epoch
            since = _Since()
            is_due.saved()


def _follow_first(model: VAE, optimizer: Adam, processes: Processes) -> None:
    """Gives every process the first one's weights, moments and buffers."""
    processes.broadcast(optimizer.state)
    kept = model.state_dict()
    for name, buffer in model.named_buffers():  # of several types
        if name in kept:
            processes.broadcast([buffer])


class _Due:
    """Whether to save after so many steps of the run; minutes are those of the first process's clock."""

    def __init__(self, every: SaveEvery | None, processes: Processes) -> None:
        self._every, self._processes = every, processes
        self.saved()

    def saved(self) -> None:
        self._last = time.monotonic() if self._every else 0.0

    def __call__(self, step: int) -> bool:
        if self._every is None:
            return False
        if self._every.minutes is None:
            return step % (self._every.steps or 1) == 0
        late = time.monotonic() - self._last > 60 * self._every.minutes
        if self._processes.alone:
            return late
        return bool(self._processes.sum(torch.tensor(float(late and self._processes.is_main))) > 0)


class _Since:
    """What was done since the last record: the sums of the epochs, their images, and the seconds that it took."""

    def __init__(self, nats: Sequence[float] = (0.0, 0.0, 0.0), images: int = 0, seconds: float = 0.0) -> None:
        self.nats, self._images = torch.tensor(nats, dtype=torch.float64), images
        self.go_on(seconds)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start

    def go_on(self, seconds: float) -> None:
        """Counts on from so many seconds."""
        self._start = time.perf_counter() - seconds

    def add(self, sums: Tensor, images: int) -> None:
        """Adds the sums of an epoch's steps, shape (steps, 3)."""
        self.nats += sums.cpu().double().sum(0)
        self._images += images

    def record(self, epoch: int) -> EpochRecord:
        """The record up to an epoch."""
        value, reconstruction, kl = (self.nats / self._images).tolist()
        seconds = self.seconds
        return EpochRecord(epoch, -value, reconstruction - kl, reconstruction, kl, seconds, self._images / seconds)


def is_recoverable(elbo: float, shape: ImageShape) -> bool:
    """Whether a bound in nats per image is near enough to 0 for training to recover; False for NaN too.

    The limit is a million nats, or 1,276 for each value of larger images. An untrained model has 9 bits (6 nats) per value with 256
    levels, and up to 70 nats in its first steps; a Beta density at most some 3,000.
    """
    return abs(elbo) < 1e6 * max(1.0, shape.size / GREY_28.size)


def _checked_loss(sums: Tensor, epoch: int, first: int, images: int, model: VAE, config: Config) -> float:
    """The mean loss of batches, in nats per image, of which the first has `first` before it in its epoch of so many images.

    Raises:
        Diverged: it is not `is_recoverable` in one of them.
    """
    size, total = config.number("batch_size"), 0.0
    for batch, parts in enumerate(sums.tolist(), first):
        count = min(size, images - batch * size)
        value, reconstruction, kl = (part / count for part in parts)
        total += parts[0]
        if not (
            math.isfinite(value) and is_recoverable(reconstruction, model.image_shape) and is_recoverable(kl, model.image_shape)
        ):
            raise diverged(f"epoch {epoch}, batch {batch + 1}: the loss", -value, epoch, config, started=epoch > 1 or batch > 0)
    return -total / (min(images, (first + len(sums)) * size) - first * size)


def diverged(what: str, value: float, epoch: int, config: Config, *, started: bool = True) -> Diverged:
    """The error of a run that diverged, with what to try.

    Args:
        what: became `value`.
        value: in nats per image.
        epoch: in which it did.
        config: the settings.
        started: whether a step was taken before; if none was, the start is the cause, and not the learning rate.
    """
    if started:
        return Diverged(
            f"{what} became {value:g}: training diverged; "
            f"try a smaller learning rate than {{lr}}, such as {{lr={config.lr / 10:g}}}",
            epoch, lr=config.lr,
        )  # fmt: skip
    if math.isnan(value):
        return Diverged(
            f"{what} is {value:g} before any step; expected numbers of the objective and of every part of the model", epoch
        )
    other = "{init_bias=data}" if config.init_bias == "random" else f"{{init={'glorot' if config.init == 'torch' else 'torch'}}}"
    return Diverged(f"{what} is {value:g} before any step, too large to train from; try another start, such as {other}", epoch)
