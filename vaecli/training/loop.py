"""The training loop: a generator of one record an epoch, without input or output."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from vaecli.config import Config
from vaecli.data.images import Images
from vaecli.device import configure_torch
from vaecli.errors import TrainingError
from vaecli.model import VAE
from vaecli.processes import ALONE, Processes
from vaecli.seeding import seed_of
from vaecli.training.cuda_graph import RecordedStep
from vaecli.training.optimizer import Adam
from vaecli.training.schedules import learning_rate
from vaecli.training.step import make_step

CHECK_EVERY = 100
"""Batches between checks of the loss, each of which waits for the device."""


@dataclass(frozen=True)
class EpochRecord:
    """The results of one epoch: nats per image, means over the training images while the weights changed.

    Attributes:
        epoch: its number, from 1.
        loss: minus what was maximised.
        elbo: reconstruction - kl.
        reconstruction: E_q[log p(x|z)].
        kl: KL(q(z|x) || p(z)).
        seconds: how long it took, without evaluation.
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
    return -(-len(images) // config.batch_size)


def fit(
    model: VAE,
    optimizer: Adam,
    images: Images,
    config: Config,
    finished: int = 0,
    on_batch: Callable[[int, int], None] | None = None,
    processes: Processes = ALONE,
) -> Iterator[EpochRecord]:
    """Yields a record after each epoch, in which the model was trained in place.

    Order and noise of an epoch come from the seed and the epoch's number alone, so training that continues from saved
    weights and moments is the same as training that never stopped.

    Args:
        model: on the same device as `images`.
        optimizer: from `make_optimizer`, with the moments of `finished` epochs.
        images: the training images, bytes, with the labels that training may see; batches are gathered and binarised on
            their device.
        config: the run's settings.
        finished: epochs already done.
        on_batch: called with the epoch and the batches done in it, every CHECK_EVERY batches.
        processes: that share each batch. All of them have these images, and begin each epoch with the first one's weights
            and moments, so that processors which round differently stay together.

    Raises:
        TrainingError: the loss is NaN, infinite or beyond a million nats.
        ProcessError: another process ended or cannot be reached.
    """
    configure_torch()
    device = images.pixels.device
    train = make_step(model, optimizer, images, config, processes)
    if device.type == "cuda" and processes.alone:
        train = RecordedStep(train, config.batch_size)
    noise = torch.Generator(device)
    steps = steps_per_epoch(images, config)
    processes.meet()
    processes.from_first(optimizer.state)
    for epoch in range(finished + 1, config.epochs + 1):
        start = time.perf_counter()
        noise.manual_seed(seed_of("epoch", config.seed, epoch))
        optimizer.lr = learning_rate(config, epoch)
        order = torch.randperm(len(images), generator=noise, device=device)
        sums = torch.zeros(steps, 3, device=device)
        model.train()
        for step, index in enumerate(order.split(config.batch_size)):
            sums[step] = train(index, noise)
            if (step + 1) % CHECK_EVERY == 0 or step + 1 == steps:
                _check_sane(processes.sum(sums[step // CHECK_EVERY * CHECK_EVERY : step + 1]), epoch, config)
                if on_batch:
                    on_batch(epoch, step + 1)
        value, reconstruction, kl = (sums.cpu().double().sum(0) / len(images)).tolist()
        processes.from_first(optimizer.state)
        seconds = time.perf_counter() - start
        yield EpochRecord(epoch, -value, reconstruction - kl, reconstruction, kl, seconds, len(images) / seconds)
        processes.meet()  # the first one may be writing the epoch


def sane(elbo: float) -> bool:
    """Whether a bound in nats per image is within a million of 0, so that training can recover; False for NaN too."""
    return abs(elbo) < 1e6


def _check_sane(sums: torch.Tensor, epoch: int, config: Config) -> None:
    for batch, (value, reconstruction, kl) in enumerate((sums / config.batch_size).tolist(), 1):
        if not (math.isfinite(value) and sane(reconstruction) and sane(kl)):
            raise diverged(f"epoch {epoch}, batch {batch}: the loss", -value, config)


def diverged(what: str, value: float, config: Config) -> TrainingError:
    """The error of a run that diverged, with a smaller learning rate to try."""
    return TrainingError(
        f"{what} became {value:g}, expected a number that can still fall; "
        f"try a smaller learning rate than {{lr}}, such as {{lr={config.lr / 10:g}}}",
        lr=config.lr,
    )
