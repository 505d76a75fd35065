"""Several workers on this machine, each a process of its own."""

import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from vaecli import plugins
from vaecli.errors import UsageError, VaecliError
from vaecli.studies.plan import Plan
from vaecli.studies.trainer import POLL, Progress, SearchCallbacks, Trainer
from vaecli.studies.trial_queue import TrialQueue
from vaecli.threads import processors

_OFTEN = 0.2
"""Seconds between two messages of a worker about how far it is."""

_LAST_SECONDS = 20
"""Seconds that workers have to give their trials back."""

_LINE = "from vaecli.studies.worker_processes import main; main()"


def threads_of(workers: int) -> int:
    """How many threads a worker has: the cores that this process may use, shared out."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, (int(given) if given.isdigit() else processors()) // workers)


def train_in_processes(trials: TrialQueue, workers: int, callbacks: SearchCallbacks) -> None:
    """Trains the trials of a study in several processes, until all are over.

    Raises:
        VaecliError: that of a worker, once all have ended.
    """
    _check_members(trials.plan)
    progress = Progress(trials, callbacks)
    progress.update()
    messages: queue.Queue[tuple[_Process, Any]] = queue.Queue()
    shares: dict[_Process, float] = {}
    try:
        for _ in range(min(workers, progress.left)):
            with callbacks.writing():
                shares[_started(trials.plan, threads_of(workers), messages)] = 0.0
        looked = time.monotonic()
        while shares:
            with suppress(queue.Empty):
                process, said = messages.get(timeout=POLL)
                match said:
                    case VaecliError():
                        raise said
                    case str():
                        callbacks.note(said)
                    case (what, share):
                        shares[process] = share
                        progress.say(what, sum(shares.values()))
                    case None:
                        del shares[process]
                        if code := process.wait():
                            how = f"signal {-code}" if code < 0 else f"exit code {code}"
                            callbacks.note(f"A worker ended with {how}; another takes its trial")
            if time.monotonic() - looked > POLL:
                looked = time.monotonic()
                progress.update()
                trials.replenish()
    finally:
        _end(list(shares))
    progress.update()
    if progress.left:
        raise VaecliError("all workers ended before all trials did; type the line again to go on")


_Process = subprocess.Popen[bytes]


def _started(plan: Plan, threads: int, messages: "queue.Queue[tuple[_Process, Any]]") -> _Process:
    """A worker that was started; it ends when its stdin is closed, as it is when this process ends, however that does."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment[plugins.PLUGINS] = os.pathsep.join(map(str, plugins.files()))
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _LINE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
        start_new_session=True,  # Ctrl-C in a terminal comes to this process alone
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # likewise on Windows
    )  # fmt: skip
    threading.Thread(target=_listen, args=(process, messages), daemon=True).start()
    if process.stdin is not None:
        with suppress(OSError):  # it ended already
            pickle.dump(plan, process.stdin)
            process.stdin.flush()
    return process


def _check_members(plan: Plan) -> None:
    """Refuses members that other processes do not have.

    Raises:
        UsageError: one of the first settings' members is neither of a package nor of a file that was loaded.
    """
    for it in plan.any_config.members:
        if not it.source or (it.is_file and Path(it.source) not in plugins.files()):
            raise UsageError(
                f"{{workers=}}: found the {it.family} {it.name} of this session, which other processes do not have; expected it in "
                "a file of its own that is loaded with {plugin=FILE.py}, or {workers=1}"
            )


def _listen(process: _Process, messages: "queue.Queue[tuple[_Process, Any]]") -> None:
    """Puts what a worker says among the messages, and None when it has ended."""
    with suppress(EOFError, OSError, pickle.UnpicklingError), process:  # it may be killed in the middle of a message
        while process.stdout is not None:
            messages.put((process, pickle.load(process.stdout)))
    messages.put((process, None))


def _end(processes: list[_Process]) -> None:
    """Ends workers, and gives them time to give their trials back."""
    for process in processes:
        process.terminate()
    until = time.monotonic() + _LAST_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> None:
    """In the process of a worker: trains the trials of the plan on stdin, and says on stdout how far it is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    with os.fdopen(os.dup(1), "wb") as channel:
        os.dup2(2, 1)  # what anything else prints is no message
        plan = pickle.load(sys.stdin.buffer)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        signal.signal(signal.SIGTERM, _interrupt)
        logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())  # it logs what a signal broke off
        try:
            _work(plan, channel)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which the first process may send while this one ends
        except (KeyboardInterrupt, BrokenPipeError):  # the first process ended this one, or is gone
            os._exit(128 + signal.SIGTERM)


def _work(plan: Plan, channel: IO[bytes]) -> None:
    said = 0.0

    def send(message: Any) -> None:
        pickle.dump(message, channel)
        channel.flush()

    def on_progress(done: float, total: int, what: str) -> None:
        nonlocal said
        if time.monotonic() - said > _OFTEN:
            said = time.monotonic()
            send((what, done % 1.0))

    try:
        with TrialQueue(plan, send) as trials:
            Trainer(trials, SearchCallbacks(note=send, progress=on_progress)).work(replenishes=False)
    except VaecliError as error:
        send(error)


def _interrupt(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """Ends this process as by SIGTERM when its parent is gone."""
    with suppress(OSError):
        while os.read(0, 1):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
