"""The training loop: a generator of one record an epoch, without input or output."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

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
from vaecli.training.schedules import learning_rate
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
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[EpochRecord]:
    """Yields a record after each epoch, or every `measure_every` and the last, in which the model was trained in place.

    Order and noise of an epoch come from the seed and the epoch's number alone, so training that continues from saved
    weights and moments is the same as training that never stopped.

    Args:
        model: trained on its device.
        optimizer: from `make_optimizer`, with the moments of `finished` epochs.
        images: the training images, bytes, with the labels that training may see, on the model's device or on the CPU, from where
            they are copied in parts (`Staging`); batches are gathered and binarised on the model's device.
        config: the run's settings.
        finished: epochs already done.
        on_batch: called every CHECK_EVERY batches and after an epoch's last, with the epoch, the batches done in it, and the mean
            loss of those since the last call, in nats per image.
        processes: the processes that share each batch. Every one has these images, and begins each epoch with the first one's
            weights, moments and buffers, so that processors which round differently stay together.
        note: called with a sentence about how it is done, if it is not as expected.

    Raises:
        Diverged: the loss is NaN, infinite or not `is_recoverable`.
        ProcessError: another process ended or cannot be reached.
    """
    config = settle(config, len(images))
    epochs, batch_size, every = config.number("epochs"), config.number("batch_size"), config.number("measure_every")
    device = model.device
    staging = Staging(images, device, batch_size)
    train = make_step(model, optimizer, staging.images, config, processes)
    if device.type == "cuda" and processes.alone:
        train = RecordedStep(train, batch_size, note)
    noise = torch.Generator(device)
    steps = steps_per_epoch(images, config)
    kept = model.state_dict()
    buffers = [buffer for name, buffer in model.named_buffers() if name in kept]

    def follow_first() -> None:
        processes.broadcast(optimizer.state)
        for buffer in buffers:  # of several types
            processes.broadcast([buffer])

    processes.barrier()
    follow_first()
    start, nats, images_met = time.perf_counter(), torch.zeros(3, dtype=torch.float64), 0
    for epoch in range(finished + 1, epochs + 1):
        noise.manual_seed(seed_of("epoch", config.seed, epoch))
        optimizer.lr = learning_rate(config, epoch)
        order = epoch_order(len(images), images.shape.size, str(config.shuffle), noise)
        sums = torch.zeros(steps, 3, device=device)
        model.train()
        for step, index in enumerate(staging.batches(order)):
            sums[step] = train(index, noise)
            if (step + 1) % CHECK_EVERY == 0 or step + 1 == steps:
                first = step // CHECK_EVERY * CHECK_EVERY
                loss = _checked_loss(processes.sum(sums[first : step + 1]), epoch, first, len(images), model, config)
                if on_batch:
                    on_batch(epoch, step + 1, loss)
        nats += sums.cpu().double().sum(0)
        images_met += len(images)
        if epoch % every and epoch != epochs:
            continue
        value, reconstruction, kl = (nats / images_met).tolist()
        follow_first()
        seconds = time.perf_counter() - start
        yield EpochRecord(epoch, -value, reconstruction - kl, reconstruction, kl, seconds, images_met / seconds)
        processes.barrier()  # the first one may be writing the epoch
        start, nats, images_met = time.perf_counter(), torch.zeros(3, dtype=torch.float64), 0


def is_recoverable(elbo: float, shape: ImageShape) -> bool:
    """Whether a bound in nats per image is near enough to 0 for training to recover; False for NaN too.

    The limit is a million nats, or 1,276 for each value of larger images. An untrained model has 9 bits (6 nats) per value with 256
    levels, and up to 70 nats in its first steps; a Beta density at most some 3,000.
    """
    return abs(elbo) < 1e6 * max(1.0, shape.size / GREY_28.size)


def _checked_loss(sums: torch.Tensor, epoch: int, first: int, images: int, model: VAE, config: Config) -> float:
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
