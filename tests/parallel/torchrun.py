"""Starting vaecli under torchrun, and finding its processes."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

LAUNCH = [sys.executable, "-m", "torch.distributed.run"]
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""What torchrun gives each process by itself, with some lines about it on stderr."""

SMALL = ["--batch-size", "20", "--hidden", "10", "--precision", "fp32"]


def ran(folder, *words, timeout=100, **environment):
    """A torchrun that ended by itself."""
    return subprocess.run(
        [*LAUNCH, *map(str, words)],
        cwd=folder, capture_output=True, text=True, timeout=timeout, env=os.environ | ONE_THREAD | environment, check=False,
    )  # fmt: skip


@contextmanager
def started(folder, *words, before=(), **environment):
    """A torchrun at work; at the end it is killed with its processes, if it is there still."""
    process = subprocess.Popen(
        [*before, *LAUNCH, *map(str, words)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD | environment,
    )  # fmt: skip
    try:
        yield process
    finally:
        for pid in [*descendants(process.pid), process.pid]:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdout, process.stderr):
            stream.close()


def descendants(pid):
    """The processes that a process started, and those that they did."""
    children = []
    with suppress(OSError):
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [below for child in children for below in descendants(child)]


def workers(pid):
    """The processes that a torchrun started, by rank."""
    found = {}
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(OSError, StopIteration):
                words = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
                found[int(next(word for word in words if word.startswith(b"RANK="))[5:])] = int(child)
    return found


def wait_for(process, beginning):
    """Reads a program's stderr up to a line that begins so."""
    while not (line := process.stderr.readline()).startswith(beginning):
        assert process.poll() is None and line, "it ended before"
    return line


def ended(pids, seconds=60):
    """Whether these processes end in time."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if not any(map(_runs, pids)):
            return True
        time.sleep(0.05)
    return False


def _runs(pid):
    """Whether a process is there and has not ended, even if the one that started it has not looked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def said(err):
    """The lines that vaecli's errors left on stderr; torchrun's agent writes its own report besides."""
    return [line for line in err.splitlines() if line.startswith("vaecli: ")]
