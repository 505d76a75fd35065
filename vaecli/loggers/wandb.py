"""Weights & Biases, offline in the run's folder unless a person's WANDB_MODE says otherwise."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from vaecli.loggers.base import Points, default_of, missing

_QUIET = "WANDB_ERROR_REPORTING", "false"
"""Else it looks for a server to report its own errors to, offline too."""

try:
    with default_of(*_QUIET):
        import wandb
except ImportError:
    raise missing("wandb") from None


class WeightsAndBiases:
    """Curves, pictures and settings of a run of the project ``vaecli``, in ``wandb/`` of the run's folder.

    Args:
        folder: the run's, whose name is the run's.
        settings: of the run.
        step: the steps that are done; a run that goes on has the id that it had.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], step: int) -> None:
        before = sorted(folder.glob("wandb/*run-*-*")) if step else []
        known = before[-1].name.rpartition("-")[2] if before else None
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        resume: Any = "allow" if known and mode == "online" else None
        with default_of(*_QUIET):
            self._run = wandb.init(
                project="vaecli", name=folder.name, id=known, resume=resume, dir=str(folder), mode=mode, config=dict(settings),
                settings=wandb.Settings(silent=True, console="off", disable_git=True),
            )  # fmt: skip
        self._points = Points()
        self.told = f"Logging to {folder / 'wandb'}" + (", offline: wandb sync sends it" if mode == "offline" else f", {mode}")

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """As `vaecli.loggers.base.Logger`."""
        for point, at in self._points.saved(values, step):
            self._run.log(point, step=at)

    def picture(self, name: str, pixels: Tensor, step: int) -> None:
        """As `vaecli.loggers.base.Logger`."""
        self._run.log({name: wandb.Image(pixels.permute(1, 2, 0).numpy())}, step=step)

    def close(self) -> None:
        """As `vaecli.loggers.base.Logger`."""
        self._run.finish()
