"""The threads that torch computes with: how many, how they round, and how they share the processors with other processes.

Training and measuring enter `computing_threads` and `fast_arithmetic`; nothing else here starts a thread by itself.

The threads of one operation wait for each other at its end, dozens of times in a training step. GNU's OpenMP lets a thread spin for
milliseconds before it sleeps. On an idle machine that is fastest: waking a thread takes longer than most operations. Beside other
work the spinning threads keep the processors from those that they wait for, and a step takes ten times as long.

So a thread of Python watches how long the others wait for a processor. While they do, OpenMP's threads sleep at once; when the
other work is over, they spin again. Results do not depend on it, to the bit.
"""

import ctypes
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import torch

from vaecli import torchrun
from vaecli.errors import UsageError

INTERVAL = 0.1
"""Seconds between two looks."""

LOOKS = 5
"""How many of them count."""

CROWDED, QUIET = 0.1, 0.06
"""Shares of their time that the threads wait for a processor: above the first the machine becomes crowded, below the second quiet.

On two processors two threads wait for 0.01 to 0.04 of their time alone, and beside a process that computes for 0.4 or more if they
spin, for 0.2 or more if they sleep."""

_TASKS = Path("/proc/self/task")
_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


@contextmanager
def computing_threads(count: int | None, recorded: int | None = None) -> Iterator[None]:
    """While entered, torch computes with this many CPU threads.

    Args:
        count: how many; None for `recorded`.
        recorded: of a run that goes on, taken if this machine has as many processors; None for as many as torch takes by itself.

    Raises:
        UsageError: `count` is more than the processors that this process may use.
    """
    before, most = torch.get_num_threads(), processors()
    if count is not None and not 1 <= count <= most:
        raise UsageError(f"{{threads}}: expected 1 to {most}, the processors that there are", threads=count)
    if count is None and recorded is not None and recorded <= most:
        count = recorded
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_entered = threading.local()
"""Whether this thread is within `fast_arithmetic` (`fast`)."""

_CUDNN = {"enabled": True, "benchmark": False, "deterministic": True, "allow_tf32": False}
"""Convolutions on a GPU: the same bits each time, and float32 where that is asked for (by default they round to 10 bits)."""

_SMALL = 1.2e-38
"""Half of it is below float32's normal range."""


@contextmanager
def fast_arithmetic() -> Iterator[None]:
    """While entered, this thread computes as `configure_torch` sets it up, and afterwards as before.

    Only glibc's thresholds stay: they cannot be read, and a program that goes on is the faster for them.
    """
    if getattr(_entered, "fast", False):
        yield
        return
    before = float(torch.tensor([_SMALL]) / 2) == 0
    in_every_thread(lambda: torch.set_flush_denormal(True))
    _keep_memory()
    end = share_processors()
    _entered.fast = True
    try:
        with torch.backends.cudnn.flags(**_CUDNN):
            yield
    finally:
        _entered.fast = False
        end()
        if not before:
            in_every_thread(lambda: torch.set_flush_denormal(False))


def flush_denormals() -> None:
    """Sets this process up for good as `configure_torch` does, without a thread that watches: for commands that draw or read."""
    torch.set_flush_denormal(True)
    _keep_memory()


@cache
def configure_torch() -> None:
    """Sets this process up for fast arithmetic, for good; call it once, before the process's first tensors.

    Numbers below float32's normal range, such as the weights of unlikely particles, become 0: processors take many times as long
    to compute with them. Only threads that start later inherit this, hence the order.

    glibc keeps the memory that a step frees for the next step. By default it returns tensors of more than 128 KiB to the system,
    and every step fetches their pages again.

    Threads that wait for each other leave the processors to other processes that want them (`vaecli.threads`).

    On a GPU cuDNN's convolutions give the same bits each time, and do not round float32 to TF32.

    Functions that train or measure do the same for as long as they take, and change nothing else in the program that calls them;
    call this in a program of your own to have it for all of its work.

    Example:
        >>> vaecli.configure_torch()
    """
    flush_denormals()
    _entered.fast = True
    torch.backends.cudnn.set_flags(**{f"_{name}": value for name, value in _CUDNN.items()})
    share_processors()


def _keep_memory() -> None:
    mmap_threshold, trim_threshold = -3, -1
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(mmap_threshold, 32 << 20)
        libc.mallopt(trim_threshold, 1 << 27)


def share_processors() -> Callable[[], None]:
    """Makes OpenMP's threads sleep while other processes want the processors; the answer ends that.

    Does nothing where the user has chosen how threads wait (`OMP_WAIT_POLICY` or `GOMP_SPINCOUNT` in the environment), where
    torchrun started several processes, on systems other than Linux, and for an OpenMP that is not GNU's.
    """
    chosen = torchrun.rank().size > 1 or any(name in os.environ for name in _SETTINGS)
    library = None if chosen else _gnu_openmp()
    if not library or waiting_time() is None or (threads := library.omp_get_max_threads()) == 1:
        return lambda: None
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(library, threads, over), name="vaecli-threads", daemon=True)
    watch.start()

    def end() -> None:
        over.set()
        watch.join()

    return end


def in_every_thread(work: Callable[[], object]) -> None:
    """Does something in this thread, and in the threads of GNU's OpenMP that compute for it."""
    work()
    library = _gnu_openmp()
    if library and (threads := library.omp_get_max_threads()) > 1:
        call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda nothing: work() and None)
        library.GOMP_parallel(call, None, ctypes.c_uint(threads), ctypes.c_uint(0))


def waiting_time() -> float | None:
    """Seconds that the threads of this process have been ready to run and had no processor; None where the system counts none."""
    if sys.platform != "linux":
        return None
    nanoseconds = 0
    try:
        for task in _TASKS.iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
                nanoseconds += int((task / "schedstat").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return nanoseconds / 1e9


def crowded(before: bool, shares: Sequence[float]) -> bool:
    """Whether other work wants the processors.

    Args:
        before: the answer at the look before.
        shares: of their time that threads waited for a processor, at each of the last looks.
    """
    return len(shares) >= LOOKS and sum(shares) / len(shares) > (QUIET if before else CROWDED)


def _watch(library: ctypes.CDLL, threads: int, over: threading.Event) -> None:
    shares: deque[float] = deque(maxlen=LOOKS)
    now, waited = time.monotonic(), waiting_time()

    def look() -> None:
        nonlocal now, waited
        over.wait(INTERVAL)
        then, before = now, waited
        now, waited = time.monotonic(), waiting_time()
        if before is not None and waited is not None:
            shares.append(max(0.0, waited - before) / (now - then) / threads)  # a thread that ended takes its time with it

    while not over.is_set():
        look()
        if crowded(False, shares):
            with asleep(library):
                while crowded(True, shares) and not over.is_set():
                    look()


@contextmanager
def asleep(library: ctypes.CDLL) -> Iterator[None]:
    """While entered, OpenMP's threads sleep after at most a hundred spins instead of 300,000.

    GNU's OpenMP does that by itself while it manages more threads than there are processors
    (https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html); so this manages some that have nothing to do.

    Args:
        library: GNU's OpenMP, as it is loaded in this process.
    """
    over = threading.Event()
    started = threading.Event()

    def manage() -> None:
        nothing = ctypes.cast(library.omp_get_num_threads, ctypes.c_void_p)
        library.GOMP_parallel(nothing, None, ctypes.c_uint(1 + library.omp_get_num_procs()), ctypes.c_uint(0))
        started.set()
        over.wait()  # the threads end with the one that started them

    thread = threading.Thread(target=manage, name="vaecli-sleep", daemon=True)
    thread.start()
    started.wait()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _gnu_openmp() -> ctypes.CDLL | None:
    """The library whose threads torch computes with, if it is GNU's OpenMP."""
    if sys.platform != "linux":
        return None
    try:
        mapped = Path("/proc/self/maps").read_text().splitlines()
        files = {line.split(maxsplit=5)[5] for line in mapped if "libgomp" in line}
        torchs = sorted(files, key=lambda file: "/torch/" not in file)
        library = ctypes.CDLL(torchs[0]) if torchs else None
    except (OSError, IndexError):
        return None
    names = ("GOMP_parallel", "omp_get_max_threads", "omp_get_num_threads", "omp_get_num_procs")
    return library if library and all(hasattr(library, name) for name in names) else None
