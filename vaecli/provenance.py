"""The provenance of a run: its data and how it was computed, which decide its bits together with its settings. No torch."""

import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vaecli.errors import VaecliError

_DIGEST = re.compile("[0-9a-f]{64}")
_TORCH = re.compile(r"[0-9A-Za-z.+_-]{1,60}")
_WORD = re.compile(r"[a-z0-9_-]{1,60}")
_MAX_PATH, _MOST_MEMBERS, _MOST_WORDS = 4096, 16, 64
_OPTIONAL = {"processes", "started_from", "members", "measured"}
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
class MemberRecord:
    """A member of the registry that a run uses and that vaecli does not ship.

    Attributes:
        family: of the registry.
        name: in its family.
        source: the path of the Python file that it comes from, or a package and its version; empty for an object of Python.
        sha256: of the file, in hexadecimal; empty where there is none.
        options: the names of its options.
    """

    family: str
    name: str
    source: str = ""
    sha256: str = ""
    options: tuple[str, ...] = ()

    @property
    def is_file(self) -> bool:
        """Whether it comes from a file."""
        return bool(self.sha256)


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
        members: those of others that the run uses; not written where there are none.
        measured: SHA-256 of the binarised images that its bounds are measured on, with their labels, in hexadecimal, where pixels
            are drawn at random; else not written.
    """

    data: DataRecord
    device: str
    precision: str
    threads: int
    torch: str
    processes: int = 1
    started_from: Origin | None = None
    members: tuple[MemberRecord, ...] = ()
    measured: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON values that `from_json` reads."""
        values = asdict(self)
        if self.processes == 1:
            del values["processes"]
        values["members"] = [{**asdict(member), "options": list(member.options)} for member in self.members]
        if not self.members:
            del values["members"]
        if self.started_from is None:
            del values["started_from"]
        if not self.measured:
            del values["measured"]
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
            origin, members = value.get("started_from"), _members(value.get("members", []))
            valid = value.keys() | _OPTIONAL == names and data.keys() == data_names and _valid(value, data)
            if valid and members is not None and ("started_from" not in value or _valid_origin(origin)):
                return Provenance(
                    **value | {"data": DataRecord(**data), "started_from": origin and Origin(**origin), "members": members}
                )
        raise VaecliError("its provenance is not one that vaecli wrote")

    def differences(self, now: "Provenance") -> list[str]:
        """The changes that may alter a resumed run's last bits, one phrase each: ``2 threads, now 1``."""
        counts = (("thread", self.threads, now.threads), ("process", self.processes, now.processes))
        changes = [f"{_counted(before, what)}, now {after}" for what, before, after in counts if before != after]
        changes += [f"device {self.device}, now {now.device}"] if self.device != now.device else []
        changes += [f"torch {self.torch}, now {now.torch}"] if self.torch != now.torch else []
        before = {(member.family, member.name): member.sha256 for member in self.members}
        others = [it for it in now.members if before.get((it.family, it.name), it.sha256) != it.sha256]
        return changes + [f"another version of the {member.family} {member.name}" for member in others]


def _counted(number: int, what: str) -> str:
    ending = "" if number == 1 else "es" if what.endswith("s") else "s"
    return f"{number} {what}{ending}"


def _members(values: object) -> tuple[MemberRecord, ...] | None:
    """The records in a list of JSON values; None if one is no such record."""
    if not isinstance(values, list) or len(values) > _MOST_MEMBERS:
        return None
    names = {item.name for item in fields(MemberRecord)}
    for value in values:
        if not isinstance(value, dict) or value.keys() != names or not isinstance(value["options"], list):
            return None
        words = [value["family"], value["name"], *value["options"]]
        if len(words) > _MOST_WORDS or not all(isinstance(word, str) and _WORD.fullmatch(word) for word in words):
            return None
        if not isinstance(value["source"], str) or len(value["source"]) > _MAX_PATH or "\0" in value["source"]:
            return None
        if value["sha256"] != "" and not (isinstance(value["sha256"], str) and _DIGEST.fullmatch(value["sha256"])):
            return None
    return tuple(MemberRecord(**{**value, "options": tuple(value["options"])}) for value in values)


def _valid(value: dict[str, Any], data: dict[str, Any]) -> bool:
    return (
        _is_digest(data["train"])
        and _is_digest(data["test"])
        and (data["folder"] is None or _is_path(data["folder"]))
        and value["device"] in ("cpu", "cuda", "mps")
        and value["precision"] in ("fp32", "bf16")
        and all(type(count) is int and 1 <= count <= MAX_THREADS for count in (value["threads"], value.get("processes", 1)))
        and ("measured" not in value or _is_digest(value["measured"]))
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
