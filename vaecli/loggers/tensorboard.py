"""TensorBoard's event files, in the run's folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from vaecli.loggers.base import missing

try:
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams
except ImportError:
    raise missing("tensorboard") from None


class TensorBoard:
    """Curves, pictures and settings (under HPARAMS) that ``tensorboard --logdir`` shows.

    Args:
        folder: the run's; TensorBoard calls the run by its path below ``--logdir``.
        settings: of the run.
        step: the steps that are done. Those after it are marked as void in older files, which TensorBoard then leaves out.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], step: int) -> None:
        self.told = f"Logging to {folder}, for TensorBoard"
        for old in folder.glob("events.out.tfevents.*") if step == 0 else ():
            old.unlink()
        self._writer = SummaryWriter(str(folder), purge_step=step + 1)
        file: Any = self._writer.file_writer
        words = {name: value if isinstance(value, int | float) else str(value) for name, value in settings.items()}
        for summary in hparams(words, {"test/elbo": 0, "validation/elbo": 0})[:2]:  # the third would end the session
            file.add_summary(summary)

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """As `vaecli.loggers.base.Logger`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def picture(self, name: str, pixels: Tensor, step: int) -> None:
        """As `vaecli.loggers.base.Logger`."""
        self._writer.add_image(name, pixels, step)
        self._writer.flush()

    def close(self) -> None:
        """As `vaecli.loggers.base.Logger`."""
        self._writer.close()
