"""This process's place among those that torchrun started, from the environment that torchrun gives it. No torch."""

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vaecli.command_line import torchrun_line
from vaecli.errors import UsageError

INTERVAL = 0.5
"""Seconds between two looks whether torchrun is there."""

GRACE = 20.0
"""Seconds in which a process without its torchrun ends by itself."""

_RUN = "TORCHELASTIC_RUN_ID"
_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
_PARENT = os.getppid()  # as early as can be: an orphan has another

_LAUNCHERS = (
    ("srun", "SLURM_NTASKS", ("SLURM_PROCID",)),
    ("mpirun", "OMPI_COMM_WORLD_SIZE", ()),
    ("mpirun", "MV2_COMM_WORLD_SIZE", ()),
    ("mpirun", "PMI_SIZE", ()),
    ("a launcher", "WORLD_SIZE", ("RANK",)),
)
"""Other launchers, the variable that holds how many processes they started, and those that stand beside it."""


@dataclass(frozen=True)
class Rank:
    """A process's place among others.

    Attributes:
        rank: the process's number, from 0.
        size: how many there are.
        local_rank: the process's number on its host, from 0.
        local_size: how many there are on its host.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the first process, which prints and writes."""
        return self.rank == 0


def rank() -> Rank:
    """The place of this process; the first of one without torchrun (https://docs.pytorch.org/docs/stable/elastic/run.html)."""
    if _RUN not in os.environ:
        return Rank()
    try:
        return Rank(*(int(os.environ[name]) for name in _NAMES))
    except (KeyError, ValueError):
        return Rank()


def check_launcher() -> None:
    """Refuses processes that another launcher started: each would take itself for the only one.

    Raises:
        UsageError: it started several.
    """
    if _RUN in os.environ:
        return
    for launcher, variable, beside in _LAUNCHERS:
        size = os.environ.get(variable, "")
        if launcher == "srun":  # within a job of several tasks there are steps of one, and its script is one process
            size = os.environ.get("SLURM_STEP_NUM_TASKS", "1" if os.environ.get("ENVIRONMENT") == "BATCH" else size)
        if size.isdecimal() and int(size) > 1 and all(name in os.environ for name in beside):
            without = " ".join(f"-u {name}" for name in beside or (variable,))
            raise UsageError(
                f"found {size} processes of {launcher} without torchrun, which would not share their work; to share it type "
                f"{torchrun_line('vaecli ...', int(size))} (on several hosts: one torchrun on each, see docs/scaling.md), "
                f"or for work of its own in each process: env {without} vaecli ..."
            )


@cache
def end_with_launcher() -> None:
    """Has this process end soon after the torchrun that started it, however that ended; does nothing without torchrun.

    SIGTERM is sent to it, as torchrun does when it is stopped; if it is still there after GRACE seconds it is ended at once.
    """
    if _RUN not in os.environ:
        return
    launcher = _launcher()
    lost = not _may_be_python(launcher)  # it ended before this process saw it

    def watch() -> None:
        while not lost and os.getppid() == _PARENT and _launcher() == launcher:
            time.sleep(INTERVAL)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="vaecli-torchrun").start()


def _may_be_python(pid: int) -> bool:
    """Whether a process runs Python, as torchrun does; True too where the system does not show it."""
    try:
        return b"py" in Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0].rpartition(b"/")[2]  # exe may be hidden
    except OSError:
        return True


def _launcher() -> int:
    """The number of torchrun's process, or of this one's parent where the system does not show environments.

    There may be others between them, such as a shell; torchrun is the nearest ancestor without the variables that it sets.
    """
    pid = os.getppid()
    with suppress(OSError, ValueError):
        while f"\0{_RUN}=".encode() in b"\0" + Path(f"/proc/{pid}/environ").read_bytes():
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid
