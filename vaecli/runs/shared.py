"""The beginning of a run that several processes share: the first writes its folder and knows its state, the others follow."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from vaecli.config import Config
from vaecli.errors import UsageError, shown
from vaecli.processes import Processes
from vaecli.provenance import Provenance
from vaecli.runs.find import FILES, PICTURES
from vaecli.runs.folder import Folder, Unwritten, locked_folder
from vaecli.runs.start import Listener, Start, resumed


@contextmanager
def held_folder(
    path: Path, start: Start, given: Mapping[str, Any] | None, processes: Processes, listen: Listener | None = None
) -> Iterator[tuple[Folder, Start]]:
    """The folder to write a run into, and the state in which its training begins; what is done within ends all processes alike.

    The first process locks the folder, and mends and loads the run in it. The others learn from it how many epochs are done, and
    need not see the folder; they get weights and moments when training begins (`vaecli.training.loop.fit`).

    Args:
        path: the folder.
        start: the state in which a new run begins.
        given: the settings that a run in the folder must have to be continued; None to start anew.
        processes: that share the run.
        listen: callbacks; only `note` is called.

    Raises:
        UsageError: the processes were started with different settings, or a setting in `given` is not the run's.
        VaecliError: another process trains in the folder, or it or the run in it cannot be used.
    """
    with processes.ending_together(), ExitStack() as held:
        _check_equal(processes, path.name, start.config, given)
        folder: Folder = Unwritten(path)
        with processes.agreeing():
            if processes.leads:
                folder = held.enter_context(locked_folder(path, (*FILES, PICTURES)))
                if given is not None:
                    start = resumed(folder, given, start, listen)
        yield folder, start if processes.alone else _of_first(processes, start)


def _of_first(processes: Processes, start: Start) -> Start:
    """The first process's start; in the others without the state, which they get when training begins."""
    recorded = start.provenance.to_json() if start.provenance else None
    first = processes.of_all({"settings": start.config.to_json(), "provenance": recorded, "finished": start.finished})[0]
    if processes.leads:
        return start
    provenance = None if first["provenance"] is None else Provenance.from_json(first["provenance"])
    return replace(start, config=Config(**first["settings"]), provenance=provenance, finished=first["finished"])


def _check_equal(processes: Processes, name: str, config: Config, given: Mapping[str, Any] | None) -> None:
    """Refuses processes that were started with different settings.

    Raises:
        UsageError: some were, in all of them.
    """
    values = {"name": name, "resume": given is not None} | config.to_json()
    first, *others = processes.of_all([values, None if given is None else dict(given)])
    for rank, other in enumerate(others, 1):
        for setting in first[0] | other[0]:
            mine, its = first[0].get(setting), other[0].get(setting)
            if mine != its:
                raise UsageError(
                    f"{{{setting}}} in process {rank}: the first process has {shown(mine)}, expected the same in all; "
                    "type the same line on every host", **{setting: shown(its)},
                )  # fmt: skip
        if first != other:
            raise UsageError(f"process {rank} was given other settings than the first; type the same line on every host")


def common(processes: Processes, own: Provenance) -> Provenance:
    """The first process's provenance, with the precision that it chose for all.

    Raises:
        UsageError: others have other images, another kind of device or another PyTorch, in all of them.
    """
    if processes.alone:
        return own
    first, *others = map(Provenance.from_json, processes.of_all(own.to_json()))
    for rank, other in enumerate(others, 1):
        for what, mine, its in (
            ("training images", first.data.train[:12], other.data.train[:12]),
            ("test images", first.data.test[:12], other.data.test[:12]),
            ("device", first.device, other.device),
            ("torch", first.torch, other.torch),
        ):
            if mine != its:
                raise UsageError(f"process {rank} has {what} {its}, the first process {mine}; expected the same in all")
    return first
