"""The header of a checkpoint, where the record about its run is: settings, results, provenance. No torch.

A checkpoint is untrusted input: what a header says is checked here, the tensors after it in `vaecli.runs.format`.
"""

import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from vaecli.config import MAX_EPOCHS, Config
from vaecli.errors import CheckpointError, UsageError, VaecliError, reason
from vaecli.evaluation.soundness import NAMES, Warnings, known
from vaecli.provenance import PROVENANCE, Provenance
from vaecli.reading import open_file
from vaecli.runs.find import MODEL

FORMAT = 4
"""The version of the format that is written, and the newest that is read.

Version 4 leaves the earlier rows of a long log to ``loss.csv``, has states within an epoch, and names the best epoch in the state
of a run that keeps it. Version 3 added the settings
``prior`` and ``posterior``, whose members may have weights, options of members that others bring, and in ``provenance`` these
members and the run whose weights a run began with; an older file has ``normal`` and ``diagonal``. Version 2 added ``class_names``,
and the settings ``image_size`` and ``colour``; a file of version 1 is of a registered data set of 28 x 28 images, which has names
of its own.
"""

MAX_HEADER = 1 << 20

WARNINGS = "warnings"
"""The key of a finished run's warnings."""

ROWS = "rows"
"""The key of the number of rows of a run's log, of which a state has the last."""

BEST = "best"
"""The key of the best epoch, in a state of training: `Record.best`."""

_KEY = "vaecli"
_MAX_RESULT = 1e15
_BLOCK = 1 << 20
_WORDS = {"I64": "int64", "F32": "float32", "U8": "uint8", "BOOL": "bool"}
"""PyTorch's names of the types of tensors, by those of safetensors."""


@dataclass(frozen=True)
class Record:
    """What a checkpoint says of its run, but for the names of its labels.

    Attributes:
        config: the settings.
        results: of the last finished epoch; of a state within an epoch ``epoch``, ``step`` and ``steps`` alone.
        provenance: the data and the computation; None for a run of a vaecli that did not record them.
        warnings: of a finished run.
        rows: of its log, in a state of training; None in other files and in those of older formats.
        best: the results of the best epoch, in a state of training with `patience`, with ``bound``, by which it was chosen.
    """

    config: Config
    results: dict[str, float]
    provenance: Provenance | None
    warnings: Warnings
    rows: int | None = None
    best: dict[str, float] | None = None


def read_record(file: Path) -> Record:
    """What a checkpoint says of its run; its tensors are not looked at.

    Raises:
        CheckpointError: it is missing, damaged or not one that vaecli wrote.
    """
    try:
        with open_file(file) as handle:
            _, stated, _ = read_header(file, handle, os.fstat(handle.fileno()).st_size)
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({reason(error)})") from None
    return record_of(file, stated)


def restated(file: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[bytes]:
    """The parts of a checkpoint with another record about its run; its tensors stay as they are.

    Args:
        file: the checkpoint.
        change: gives the record for the one that is there.

    Raises:
        CheckpointError: it cannot be read, is damaged or not one that vaecli wrote.
    """
    try:
        with open_file(file) as handle:
            header, stated, start = read_header(file, handle, os.fstat(handle.fileno()).st_size)
            check_digest(file, handle, header, stated, start)
            stated = change({name: value for name, value in stated.items() if name != "sha256"})
            yield header_bytes(header, stated, digest_in(handle, header, stated, start))
            handle.seek(start)
            while block := handle.read(_BLOCK):
                yield block
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({reason(error)})") from None


def check_digest(file: Path, handle: BinaryIO, header: Mapping[str, Any], stated: Mapping[str, Any], start: int) -> None:
    """Refuses a file whose contents are not those of the digest in its record; the arguments are what `read_header` gave.

    Raises:
        CheckpointError: they are not.
    """
    record = {name: value for name, value in stated.items() if name != "sha256"}
    if stated.get("sha256") != digest_in(handle, header, record, start):
        raise CheckpointError(f"{file}: its contents do not match the digest in its header: the file is damaged or was changed")


def digest_in(handle: BinaryIO, header: Mapping[str, Any], record: Mapping[str, Any], start: int) -> str:
    """The digest of a record without one and the tensors of a file, read block by block; they start at `start`."""
    digest = start_digest(record)
    for name, entry in sorted(header.items()):
        digest.update(heading(name, _WORDS.get(str(entry.get("dtype")), ""), entry.get("shape")))
        begin, end = entry["data_offsets"]
        handle.seek(start + begin)
        while begin < end and (block := handle.read(min(_BLOCK, end - begin))):
            digest.update(block)
            begin += len(block)
    return digest.hexdigest()


def header_bytes(tensors: Mapping[str, Any], record: Mapping[str, Any], digest: str) -> bytes:
    """The bytes before the tensors: safetensors' entry of each tensor, by name, and vaecli's record with its digest."""
    header = {"__metadata__": {_KEY: json.dumps({**record, "sha256": digest}, sort_keys=True)}, **tensors}
    data = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    data += b" " * (-len(data) % 8)
    return struct.pack("<Q", len(data)) + data


def read_header(file: Path, handle: BinaryIO, length: int) -> tuple[dict[str, Any], dict[str, Any], int]:
    """The header's tensors, which end where the file does; vaecli's record, with its digest; and the offset at which they start."""
    start = handle.read(8)
    size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 2 <= size <= min(MAX_HEADER, length - 8):
        raise CheckpointError(f"{file}: found no safetensors header: the file is cut short or not a checkpoint")
    header = _parse(handle.read(size)) or {}
    metadata = header.pop("__metadata__", {})
    if _end(header) != length - 8 - size or not isinstance(metadata, dict):
        raise CheckpointError(f"{file}: its header does not fit its length: the file is cut short or damaged")
    stated = _parse(metadata.get(_KEY))
    if stated is None:
        raise CheckpointError(f"{file}: found safetensors, but none that vaecli wrote: expected a run's {MODEL}")
    if type(stated.get("format")) is not int or not 1 <= stated["format"] <= FORMAT:
        raise CheckpointError(
            f"{file}: found format {str(stated.get('format'))[:20]}, expected 1 to {FORMAT}: upgrade vaecli to read it"
        )
    return header, stated, 8 + size


def _parse(text: object) -> dict[str, Any] | None:
    """A JSON object, or None for anything else."""
    if not isinstance(text, str | bytes):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _end(header: dict[str, Any]) -> int | None:
    """Where the last tensor of a safetensors header ends; None if the header is malformed.

    `safetensors.safe_open` checks more of it, but opens the file anew by its path, and waits for ever at a FIFO put there since.
    """
    end = 0
    for entry in header.values():
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(offset) is int and offset >= 0 for offset in offsets):
            return None
        end = max(end, offsets[1])
    return end


def record_of(file: Path, stated: dict[str, Any]) -> Record:
    """What a header says of its run."""
    try:
        provenance = Provenance.from_json(stated[PROVENANCE]) if PROVENANCE in stated else None
    except VaecliError as error:
        raise CheckpointError(f"{file}: {error}: the file is damaged") from None
    try:
        config = Config.from_json(stated.get("config"), provenance.members if provenance else ())
    except UsageError as error:
        raise error.reworded(CheckpointError, before=f"{file}: its settings are not valid: ") from None
    results, best = stated.get("results"), stated.get(BEST)
    if not _are_numbers(results) or not (best is None or (_are_numbers(best) and {"epoch", "bound"} <= best.keys())):
        raise CheckpointError(f"{file}: its results are not finite numbers: the file is damaged or not made by vaecli")
    rows = stated.get(ROWS)
    if rows is not None and (type(rows) is not int or not 0 <= rows <= MAX_EPOCHS):
        raise CheckpointError(f"{file}: its number of rows is not valid: the file is damaged or not made by vaecli")
    return Record(config, results, provenance, _warnings(file, stated), rows, best)


def _are_numbers(values: object) -> TypeGuard[dict[str, float]]:
    """Whether these are finite numbers by name."""
    return isinstance(values, dict) and all(type(value) in (int, float) and abs(value) < _MAX_RESULT for value in values.values())


def _warnings(file: Path, stated: dict[str, Any]) -> Warnings:
    warnings = stated.get(WARNINGS, {})
    if not isinstance(warnings, dict) or not all(
        isinstance(numbers, dict) and known(name, numbers) and _are_numbers(numbers) for name, numbers in warnings.items()
    ):
        raise CheckpointError(f"{file}: its warnings are not ones that vaecli wrote: the file is damaged")
    return {name: warnings[name] for name in NAMES if name in warnings}


def start_digest(record: Mapping[str, Any]) -> "hashlib._Hash":
    """SHA-256 of the record about the tensors; the caller adds the tensors, sorted by name."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode())


def heading(name: str, dtype: str, shape: object) -> bytes:
    """What the digest takes of a tensor before its bytes: its name, PyTorch's name of its type, and its shape."""
    return f"{name} {dtype}[{', '.join(map(str, shape)) if isinstance(shape, Sequence) else ''}]\n".encode()
