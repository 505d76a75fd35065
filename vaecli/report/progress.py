"""The progress of a report, training and drawing together."""

from collections.abc import Callable

PARTS = 1000
"""The number of parts that all work is counted in."""

DRAWING = 0.5
"""The time that a figure takes, in epochs of the baseline."""

OnPart = Callable[[int, str], None]
"""Called with how many of PARTS are done, and a description of the work."""

OnStep = Callable[[int, str | None, int | None], None]
"""Called with the steps of a run that are done, a description, and all steps."""


class Progress:
    """The share of all work that is done.

    Args:
        on_part: called whenever the share changes.
        training: the time that runs train, in epochs of the baseline.
        figures: how many are drawn.
    """

    def __init__(self, on_part: OnPart, training: float, figures: int) -> None:
        self.on_part = on_part
        self.all = max(1e-9, training + DRAWING * figures)
        self.done = 0.0

    def say(self, description: str) -> None:
        """Shows a description of the work."""
        self._show(self.done, description)

    def training(self, epochs: float, name: str) -> OnStep:
        """A callback for the steps of a run that takes as long as so many epochs of the baseline."""

        def on_step(steps: int, description: str | None, total: int | None) -> None:
            self._show(self.done + epochs * steps / (total or max(1, steps)), f"{name} {(description or '').lower()}")

        return on_step

    def trained(self, epochs: float) -> None:
        """Counts a run of so many epochs of the baseline as done."""
        self.done += epochs

    def drawn(self) -> None:
        """Counts a figure as done."""
        self.done += DRAWING

    def _show(self, done: float, description: str) -> None:
        self.on_part(round(PARTS * done / self.all), description)
