"""What training tells a logger: curves, bounds of the images measured, and now and then some of them reconstructed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaecli import plugins, registry
from vaecli.arguments import wrong
from vaecli.data.images import Images
from vaecli.display import grid, in_bytes
from vaecli.loggers.base import Logger
from vaecli.model import VAE

MakeLogger = Callable[[Path, Mapping[str, Any], int], Logger]
"""Opens the log of a run, as `vaecli.loggers.base.Logger` says."""

PICTURED = 8
"""Images that are reconstructed."""


def logger_of(log: object) -> MakeLogger | None:
    """The logger of a name, or the class that is given; None for None.

    Raises:
        UsageError: there is no logger of this name, or it is another thing.
        VaecliError: its package is not installed.
    """
    if isinstance(log, str):
        plugins.load_installed()
        if log not in registry.LOGGERS:
            raise plugins.unknown_member("log", log)
        made: MakeLogger = registry.load("log", log)
        return made
    if log is None or callable(log):
        return log
    raise wrong("log", log, "expected the name of a logger, such as tensorboard, or a class of your own")


@dataclass
class Log:
    """The log of a run that trains.

    Attributes:
        logger: where it goes; None for nowhere.
        model: as it is now.
        sample: the images that are measured, on the model's device.
        split: which these are, ``test`` or ``validation``.
        rows: the measurements so far.
    """

    logger: Logger | None
    model: VAE
    sample: Images
    split: str
    rows: int

    def batch(self, loss: float, step: int) -> None:
        """Takes the mean loss of the last batches, in nats per image."""
        if self.logger:
            self.logger.numbers({"batches/loss": loss}, step)

    def measured(self, row: Mapping[str, float], results: Mapping[str, float], lr: float, step: int, ended: bool) -> None:
        """Takes a measurement, with reconstructions after 1, 2, 4, 8... of them and the last.

        Args:
            row: of the loss log.
            results: as a checkpoint has them.
            lr: the learning rate of the last step.
            step: the steps that are done.
            ended: whether training ends here.
        """
        self.rows += 1
        if self.logger is None:
            return
        values = {f"train/{name}": row[name] for name in ("loss", "elbo", "reconstruction", "kl")}
        values |= {f"{self.split}/{name}": results[f"{self.split}_{name}"] for name in ("elbo", "reconstruction", "kl")}
        values |= {"train/lr": lr, "epoch": row["epoch"], "images_per_second": row["images_per_second"]}
        self.logger.numbers(values, step)
        if ended or self.rows & (self.rows - 1) == 0:
            self.logger.picture(f"{self.split}/reconstructions", _reconstructions(self.model, self.sample[:PICTURED]), step)

    def close(self) -> None:
        """Ends it."""
        if self.logger:
            self.logger.close()


@torch.inference_mode()
def _reconstructions(model: VAE, images: Images) -> Tensor:
    """Images in a row, and below each its reconstruction: uint8, shape (3, height, width)."""
    model.eval()
    x = model.observe(images.pixels)
    shown = torch.cat((x, model(x, model.condition(images.labels))))
    return grid(in_bytes(shown, model.image_shape), len(images)).expand(3, -1, -1)
