"""Where training stands within an epoch."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaecli.errors import VaecliError
from vaecli.processes import Processes

_MOST_STEPS = 1 << 31
_KEYS = {"epochs", "steps", "noise", "summed", "processes", "nats", "seconds"}


@dataclass(frozen=True)
class Position:
    """Where training stands between two records: what it goes on from besides weights, buffers and moments.

    Attributes:
        epochs: epochs done.
        steps: steps done of the next epoch, at least 1; all of them at the end of an epoch that is not measured.
        noise: the state of the generator of the noise, uint8.
        sums: what the first of these steps gave (`vaecli.training.step.Step`), summed over the processes, shape (summed, 3).
        own: what the others gave each process, shape (processes, steps - summed, 3).
        nats: the sums over the epochs that were done since the last record, three numbers.
        seconds: since the last record, without those of saving.
    """

    epochs: int
    steps: int
    noise: Tensor
    sums: Tensor
    own: Tensor
    nats: tuple[float, ...]
    seconds: float

    @property
    def rows(self) -> Tensor:
        """The numbers of `sums` and `own`."""
        return torch.cat((self.sums.flatten(), self.own.flatten()))

    def results(self, steps: int) -> dict[str, float]:
        """What a checkpoint says of it, with so many steps in an epoch."""
        return {"epoch": self.epochs, "step": self.steps, "steps": steps}

    def to_json(self) -> dict[str, Any]:
        """JSON values of which, with `rows`, `from_json` makes the same."""
        return {
            "epochs": self.epochs, "steps": self.steps, "noise": base64.b64encode(self.noise.numpy().tobytes()).decode(),
            "summed": len(self.sums), "processes": len(self.own), "nats": list(self.nats), "seconds": self.seconds,
        }  # fmt: skip

    @staticmethod
    def from_json(value: object, rows: Tensor) -> "Position":
        """The position that `to_json` and `rows` gave.

        Raises:
            VaecliError: they are not such.
        """
        if isinstance(value, Mapping) and value.keys() == _KEYS and isinstance(value["nats"], list):
            counts = [value[name] for name in ("epochs", "steps", "summed", "processes")]
            numbers = [*value["nats"], value["seconds"]]
            if (
                all(type(count) is int and 0 <= count < _MOST_STEPS for count in counts)
                and len(numbers) == 4
                and all(type(number) in (int, float) and abs(number) < 1e18 for number in numbers)
                and isinstance(value["noise"], str)
            ):
                epochs, steps, summed, processes = counts
                noise = _bytes_of(value["noise"])
                own = steps - summed
                if noise is not None and steps and own >= 0 and processes and len(rows) == 3 * (summed + processes * own):
                    sums, others = rows[: 3 * summed].view(-1, 3), rows[3 * summed :].view(processes, own, 3)
                    return Position(epochs, steps, noise, sums, others, tuple(map(float, numbers[:3])), float(numbers[3]))
        raise VaecliError("its position within an epoch is not one that vaecli wrote")

    def restore(self, sums: Tensor, noise: torch.Generator, processes: Processes) -> int:
        """The number of steps done, of which `sums`, shape (steps of an epoch, 3), gets what they gave; sets the noise.

        Where there are other processes than before, the first one gets what all of them had. A generator of another kind of device
        is left as it is.

        Raises:
            VaecliError: the noise is no state of a generator.
        """
        summed = len(self.sums)
        sums[:summed] = self.sums
        if len(self.own) == processes.size:
            sums[summed : self.steps] = self.own[processes.rank]
        elif processes.is_main:
            sums[summed : self.steps] = self.own.sum(0)
        if len(self.noise) == len(noise.get_state()):
            try:
                noise.set_state(self.noise)
            except RuntimeError:
                raise VaecliError("the state of the noise is not one that vaecli wrote: the file is damaged") from None
        return self.steps


def _bytes_of(text: str) -> Tensor | None:
    """The bytes of base64, shape (N,); None if it is not such, or there are none."""
    try:
        data = bytearray(base64.b64decode(text, validate=True))
    except ValueError:
        return None
    return torch.frombuffer(data, dtype=torch.uint8) if data else None
