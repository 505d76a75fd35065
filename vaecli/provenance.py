"""The provenance of a run: its data and how it was computed, which decide its bits together with its settings. No torch."""

import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vaecli.errors import VaecliError

_DIGEST = re.compile("[0-9a-f]{64}")
_TORCH = re.compile(r"[0-9A-Za-z.+_-]{1,60}")
_OPTIONAL = {"processes", "started_from"}
PROVENANCE = "provenance"
"""Its key in ``config.json`` and in a checkpoint."""

MAX_THREADS = 100_000

MAX_EPOCHS = 100_000
"""The most epochs of the run whose weights another begins with; no run has more."""


@dataclass(frozen=True)
class DataRecord:
    """The images that a run was trained and tested on.

    Attributes:
        train: SHA-256 of the pixels and labels of all training images, in hexadecimal.
        test: the same of the test images.
        folder: the absolute path of the folder given as `data_dir`; None for the data set's own place.
    """

    train: str
    test: str
    folder: str | None = None


@dataclass(frozen=True)
class Origin:
    """The run whose weights another run began with.

    Attributes:
        file: the absolute path of its ``model.safetensors``.
        sha256: of its weights (`vaecli.runs.format.digest_of_weights`), in hexadecimal.
        epochs: how many it had finished.
    """

    file: str
    sha256: str
    epochs: int

    @property
    def folder(self) -> str:
        """The run's folder."""
        return str(Path(self.file).parent)

    @property
    def name(self) -> str:
        """The run's name."""
        return Path(self.file).parent.name

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Provenance:
    """The data and the computation of a run.

    Attributes:
        data: the images.
        device: ``cpu``, ``cuda`` or ``mps``.
        precision: of the matrix products while training, ``fp32`` or ``bf16``; never ``auto``.
        threads: number of CPU threads.
        torch: PyTorch's version.
        processes: number of processes that shared the work; not written where it is 1.
        started_from: the run whose weights it began with; not written where it began with its own.
    """

    data: DataRecord
    device: str
    precision: str
    threads: int
    torch: str
    processes: int = 1
    started_from: Origin | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON values that `from_json` reads."""
        values = asdict(self)
        if self.processes == 1:
            del values["processes"]
        if self.started_from is None:
            del values["started_from"]
        return values

    @staticmethod
    def from_json(value: object) -> "Provenance":
        """The provenance that `to_json` gave.

        Raises:
            VaecliError: `value` is not such a record.
        """
        data = value.get("data") if isinstance(value, dict) else None
        if isinstance(value, dict) and isinstance(data, dict):
            names, data_names = ({item.name for item in fields(kind)} for kind in (Provenance, DataRecord))
            origin = value.get("started_from")
            valid = value.keys() | _OPTIONAL == names and data.keys() == data_names and _valid(value, data)
            if valid and ("started_from" not in value or _valid_origin(origin)):
                return Provenance(**value | {"data": DataRecord(**data), "started_from": origin and Origin(**origin)})
        raise VaecliError("its provenance is not one that vaecli wrote")

    def differences(self, now: "Provenance") -> list[str]:
        """The changes that may alter a resumed run's last bits, one phrase each: ``2 threads, now 1``."""
        counts = (("thread", self.threads, now.threads), ("process", self.processes, now.processes))
        changes = [f"{_counted(before, what)}, now {after}" for what, before, after in counts if before != after]
        changes += [f"device {self.device}, now {now.device}"] if self.device != now.device else []
        return changes + ([f"torch {self.torch}, now {now.torch}"] if self.torch != now.torch else [])


def _counted(number: int, what: str) -> str:
    ending = "" if number == 1 else "es" if what.endswith("s") else "s"
    return f"{number} {what}{ending}"


def _valid(value: dict[str, Any], data: dict[str, Any]) -> bool:
    return (
        _is_digest(data["train"])
        and _is_digest(data["test"])
        and (data["folder"] is None or _is_path(data["folder"]))
        and value["device"] in ("cpu", "cuda", "mps")
        and value["precision"] in ("fp32", "bf16")
        and all(type(count) is int and 1 <= count <= MAX_THREADS for count in (value["threads"], value.get("processes", 1)))
        and isinstance(value["torch"], str)
        and _TORCH.fullmatch(value["torch"]) is not None
    )


def _valid_origin(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {item.name for item in fields(Origin)}
        and _is_path(value["file"])
        and _is_digest(value["sha256"])
        and type(value["epochs"]) is int
        and 0 <= value["epochs"] <= MAX_EPOCHS
    )


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _is_path(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 4096 and "\0" not in value
