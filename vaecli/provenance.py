"""What decides a run's bits beside its settings: its data, and how it was computed. Written down with the run. No torch."""

import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from vaecli.errors import VaecliError

_DIGEST = re.compile("[0-9a-f]{64}")
_TORCH = re.compile(r"[0-9A-Za-z.+_-]{1,60}")
PROVENANCE = "provenance"
"""What it is called in ``config.json`` and in a checkpoint."""

MAX_THREADS = 100_000


@dataclass(frozen=True)
class DataRecord:
    """The images that a run was trained and tested on.

    Attributes:
        train: SHA-256 of the pixels and labels of all training images, in hexadecimal.
        test: the same of the test images.
        folder: the absolute path of the folder that ``--data-dir`` named; None for the data set's own place.
    """

    train: str
    test: str
    folder: str | None = None


@dataclass(frozen=True)
class Provenance:
    """Where a run's numbers come from.

    Attributes:
        data: its images.
        device: ``cpu``, ``cuda`` or ``mps``.
        precision: of the matrix products while training, ``fp32`` or ``bf16``; never ``auto``.
        threads: how many computed on the CPU.
        torch: PyTorch's version.
    """

    data: DataRecord
    device: str
    precision: str
    threads: int
    torch: str

    def to_json(self) -> dict[str, Any]:
        """JSON values that `from_json` reads."""
        return asdict(self)

    @staticmethod
    def from_json(value: object) -> "Provenance":
        """The provenance that `to_json` gave.

        Raises:
            VaecliError: `value` is something else.
        """
        data = value.get("data") if isinstance(value, dict) else None
        if isinstance(value, dict) and isinstance(data, dict):
            known = {each.name for each in fields(Provenance)}, {each.name for each in fields(DataRecord)}
            if value.keys() == known[0] and data.keys() == known[1] and _valid(value, data):
                return Provenance(**{**value, "data": DataRecord(**data)})
        raise VaecliError("its provenance is not one that vaecli wrote")

    def differences(self, now: "Provenance") -> list[str]:
        """What is not as it was and may change a resumed run's last bits, each as a phrase: ``2 threads, now 1``."""
        found = [f"{self.threads} threads, now {now.threads}"] if self.threads != now.threads else []
        found += [f"device {self.device}, now {now.device}"] if self.device != now.device else []
        return found + ([f"torch {self.torch}, now {now.torch}"] if self.torch != now.torch else [])


def _valid(value: dict[str, Any], data: dict[str, Any]) -> bool:
    digests = all(isinstance(data[split], str) and _DIGEST.fullmatch(data[split]) for split in ("train", "test"))
    folder = data["folder"]
    return (
        digests
        and (folder is None or (isinstance(folder, str) and 0 < len(folder) <= 4096 and "\0" not in folder))
        and value["device"] in ("cpu", "cuda", "mps")
        and value["precision"] in ("fp32", "bf16")
        and type(value["threads"]) is int
        and 1 <= value["threads"] <= MAX_THREADS
        and isinstance(value["torch"], str)
        and _TORCH.fullmatch(value["torch"]) is not None
    )
