"""Settings that are settled when the training images are known, once, before a run begins."""

from dataclasses import replace

from vaecli import registry
from vaecli.config import Config
from vaecli.memory import SHARE, machine_memory
from vaecli.settings import AUTO

STEPS = 3000
"""Steps of training, about, where ``epochs`` is auto."""

LEAST_EPOCHS = 5

BATCH = 16, 200
"""The least and most images per step where ``batch_size`` is auto; between them a hundredth of the training images."""

MEASURED_STEPS = 100
"""Steps between two measurements, about, where ``measure_every`` is auto and epochs are shorter."""

MEASUREMENTS = 30
"""Measurements of a run that `MEASURED_STEPS` leaves at least, if it has as many epochs."""


def trained_on(config: Config, images: int) -> int:
    """How many of so many training images a run is trained on: those that it does not hold out, up to its limit."""
    left = max(1, images - (config.validation or 0))
    return min(left, config.limit or left)


def settle(config: Config, images: int) -> Config:
    """The settings with numbers in the place of ``auto``, for so many training images; and as `settled_start` has them.

    Steps decide, not epochs: 30 pictures in batches of 200 are 5 steps in 5 epochs, which leave every picture grey.

    Example:
        >>> settled = settle(vaecli.Config(dataset="folder"), 31)
        >>> settled.batch_size, settled.epochs, settled.measure_every
        (16, 1500, 50)
    """
    batch, epochs, every = config.batch_size, config.epochs, config.measure_every
    if batch == AUTO:
        least, most = BATCH
        batches = max(1, round(images / min(most, max(least, images // 100))))
        batch = -(-images // batches)  # of about one size
    steps = -(-images // int(batch or 1))
    if epochs == AUTO:
        epochs = max(LEAST_EPOCHS, -(-STEPS // steps))
    if every == AUTO:
        every = max(1, min(MEASURED_STEPS // steps, int(epochs or 1) // MEASUREMENTS))
    shuffle = config.shuffle
    if shuffle == AUTO:
        taken = images * config.image_shape.size if config.has_shape else 0
        shuffle = "all" if taken <= SHARE * machine_memory() else "blocks"
    return settled_start(replace(config, batch_size=batch, epochs=epochs, measure_every=every, shuffle=shuffle))


def settled_start(config: Config) -> Config:
    """The settings with ``init_bias`` random where a network of others has no layer whose bias it sets."""
    brought = config.has("arch") and registry.find("arch", config.arch).provider is not None
    if config.init_bias == "random" or not brought or not config.has_shape:
        return config

    from vaecli.model import begins_at_data, skeleton  # noqa: PLC0415 - only a network of others has to be made

    return config if begins_at_data(skeleton(config, classes=1)) else replace(config, init_bias="random")


def spoken(config: Config, images: int) -> str:
    """The settled numbers in a sentence: ``31 training images: batches of 16, 1,500 epochs of 2 steps, measured every 50``."""
    batch, epochs, every = config.number("batch_size"), config.number("epochs"), config.number("measure_every")
    steps = -(-images // batch)
    seldom = f", measured and saved every {every:,}" if every > 1 else ""
    return f"{_of(images, 'training image')}: batches of {batch:,}, {_of(epochs, 'epoch')} of {_of(steps, 'step')}{seldom}"


def _of(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
