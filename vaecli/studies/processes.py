"""Several workers on this machine, each a process of its own."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import ModuleType
from typing import Any

from vaecli.errors import VaecliError
from vaecli.studies.plan import Plan
from vaecli.studies.study import Study
from vaecli.studies.worker import POLL, Listener, Seen, Worker
from vaecli.threads import processors

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_OFTEN = 0.2
"""Seconds between two messages of a worker about how far it is."""

_LAST_SECONDS = 20
"""Seconds that workers have to give their trials back."""


def threads_of(workers: int) -> int:
    """How many threads a worker has: the cores that this process may use, shared out."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, (int(given) if given.isdigit() else processors()) // workers)


def work_together(study: Study, workers: int, listen: Listener) -> None:
    """Trains the trials of a study in several processes, until all are over.

    Raises:
        VaecliError: that of a worker, once all have ended.
    """
    seen = Seen(study.plan, listen)
    seen.update(study)
    if seen.over >= seen.total:
        return
    team = _Team(seen)
    try:
        team.start(study.plan, min(workers, seen.total))
        while team.processes and team.failed is None:
            team.hear()
            seen.update(study)
    finally:
        team.end()
    seen.update(study)
    if team.failed:
        raise team.failed
    if seen.over < seen.total:
        raise VaecliError("all workers ended before all trials did; type the line again to go on")


class _Team:
    """Workers that were started, and what they say.

    Attributes:
        processes: those that have not ended, by the channel that they send messages through.
        failed: the first error of a worker.
    """

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.failed: VaecliError | None = None
        self.processes: dict[Connection[Any, Any], SpawnProcess] = {}
        self._ready: set[Connection[Any, Any]] = set()
        self._shares: dict[Connection[Any, Any], float] = {}

    def start(self, plan: Plan, workers: int) -> None:
        """Starts so many."""
        context = multiprocessing.get_context("spawn")
        with _environment(threads_of(workers)):
            for _ in range(workers):
                with self.seen.listen.writing(), _ctrl_c_blocked(), _without_main():
                    ours, theirs = context.Pipe(duplex=False)
                    process = context.Process(target=_work, args=(plan, threads_of(workers), theirs), daemon=True)
                    process.start()
                    theirs.close()
                    self.processes[ours] = process

    def hear(self) -> None:
        """Listens for POLL seconds."""
        until = time.monotonic() + POLL
        while self.processes and self.failed is None and (left := until - time.monotonic()) > 0:
            ready = wait(list(self.processes), left)
            for channel in [channel for channel in self.processes if channel in ready]:
                try:
                    self._heard(channel, *channel.recv())
                except (EOFError, ConnectionError):
                    self._ended(channel)

    def _heard(self, channel: "Connection[Any, Any]", kind: str, said: Any, share: float = 0.0) -> None:
        match kind:
            case "ready":
                self._ready.add(channel)
            case "progress":
                self._shares[channel] = share
                self.seen.say(said, sum(self._shares.values()))
            case "note":
                self.seen.listen.note(said)
            case _:
                self.failed = self.failed or said

    def _ended(self, channel: "Connection[Any, Any]") -> None:
        process = self.processes.pop(channel)
        self._shares.pop(channel, None)
        process.join()
        if process.exitcode and self.failed is None:
            how = f"signal {-process.exitcode}" if process.exitcode < 0 else f"exit code {process.exitcode}"
            self.seen.listen.note(f"A worker ended with {how}; another takes its trial")

    def end(self) -> None:
        """Ends those that have not, and gives those that may have a trial time to give it back."""
        for channel, process in self.processes.items():
            if channel in self._ready:
                process.terminate()
            else:
                process.kill()
        until = time.monotonic() + _LAST_SECONDS
        for process in self.processes.values():
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                process.kill()


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """A context in which processes that are started compute with so many threads."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _without_main() -> Iterator[None]:
    """A context in which processes that are started do not run the caller's script again, which they have no need of.

    They would, to its call of `vaecli.search`, where it has no ``if __name__ == "__main__":``, and could not where it is no file.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """A context in which processes that are started wait with Ctrl-C, which comes to all, until they ignore it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which the first process would start, and unblock Ctrl-C after it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(plan: Plan, threads: int, channel: Connection) -> None:
    """In the process of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    try:
        _trials_until_the_end(plan, threads, channel)
    except VaecliError as error:
        with suppress(OSError):
            channel.send(("failed", error))
    except (KeyboardInterrupt, BrokenPipeError):  # the first process ended this one, or is gone
        os._exit(128 + signal.SIGTERM)


def _trials_until_the_end(plan: Plan, threads: int, channel: Connection) -> None:
    import torch  # noqa: PLC0415 - after the environment is set

    torch.set_num_threads(threads)
    signal.signal(signal.SIGTERM, _interrupt)
    channel.send(("ready", ""))
    _end_with_parent()
    said = 0.0

    def note(text: str) -> None:
        channel.send(("note", text))

    def progress(done: float, total: int, what: str) -> None:
        nonlocal said
        if time.monotonic() - said > _OFTEN:
            said = time.monotonic()
            channel.send(("progress", what, done - worker.seen.over))

    with Study(plan, note) as study:
        worker = Worker(study, Listener(note=note, progress=progress))
        worker.work()


def _interrupt(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """Has this process end as by SIGTERM when its parent is gone, however that ended."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="parent").start()
