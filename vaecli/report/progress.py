"""How far a report is, training and drawing together."""

from collections.abc import Callable

PARTS = 1000
"""What all of it counts as."""

DRAWING = 0.5
"""How long a figure takes, in epochs of the baseline."""

OnPart = Callable[[int, str], None]
"""Called with how many of PARTS are done, and what is going on."""

OnStep = Callable[[int, str | None, int | None], None]
"""Called with the steps of a run that are done, what is going on, and all steps."""


class Progress:
    """How far all of it is.

    Args:
        on_part: called as it gets on.
        training: how long runs are trained, in epochs of the baseline.
        figures: how many are drawn.
    """

    def __init__(self, on_part: OnPart, training: float, figures: int) -> None:
        self.on_part = on_part
        self.all = max(1e-9, training + DRAWING * figures)
        self.done = 0.0

    def say(self, what: str) -> None:
        """Says what is going on."""
        self._show(self.done, what)

    def training(self, epochs: float, name: str) -> OnStep:
        """What to call with the steps of a run of that many epochs of the baseline."""

        def on_step(steps: int, what: str | None, total: int | None) -> None:
            self._show(self.done + epochs * steps / (total or max(1, steps)), f"{name} {(what or '').lower()}")

        return on_step

    def trained(self, epochs: float) -> None:
        """A run is trained."""
        self.done += epochs

    def drawn(self) -> None:
        """A figure is drawn."""
        self.done += DRAWING

    def _show(self, done: float, what: str) -> None:
        self.on_part(round(PARTS * done / self.all), what)
