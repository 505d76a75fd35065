"""The device, the precision and the set-up of torch."""

import ctypes
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch

from vaecli import torchrun
from vaecli.errors import UsageError
from vaecli.threads import in_every_thread, share_processors


def resolve_device(name: str) -> torch.device:
    """The device called `name`; ``auto`` is a GPU if there is one. Each process that torchrun starts has a GPU of its own.

    Raises:
        UsageError: this machine has no such device, or too few of them.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, usable in available.items() if usable)
    if not available.get(name, False):
        here = ", ".join(device for device, usable in available.items() if usable)
        raise UsageError(f"{{device}}: expected one that this machine has: auto, {here}", device=name)
    place = torchrun.place()
    if name == "cuda" and place.local_size > 1:
        if place.local_size > (gpus := torch.cuda.device_count()):
            raise UsageError(
                f"{{device}} with {place.local_size} processes here: found GPUs for {gpus}, expected one a process; start as many "
                "processes as there are GPUs, or compute on processors with {device=cpu}", device=name,
            )  # fmt: skip
        name = f"cuda:{place.local_rank}"
        torch.cuda.set_device(name)
    return torch.device(name)


def accumulator(device: torch.device) -> torch.dtype:
    """The type to sum log weights in: float64, or float32 on a device without float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def resolve_precision(precision: str, device: torch.device) -> str:
    """The precision of matrix products, ``fp32`` or ``bf16``; weights, moments and log weights are float32 in both.

    Args:
        precision: ``fp32``, ``bf16``, or ``auto``: bfloat16 where the device multiplies it faster than float32 (many CPUs with
            AVX-512 BF16 or AMX, GPUs from Ampere on). On a CPU ``auto`` is measured, so two processes may differ: a run
            resolves it once and writes it down.
        device: the device that computes them.
    """
    if precision != "auto":
        return precision
    match device.type:
        case "cuda":
            fast = torch.cuda.is_bf16_supported(including_emulation=False)
        case "cpu":
            features = torch.cpu.get_capabilities()
            fast = bool(features.get("avx512_bf16") or features.get("amx_bf16")) and bf16_gain() > 1.2
        case _:
            fast = False
    return "bf16" if fast else "fp32"


@cache
def bf16_gain() -> float:
    """How many times faster this processor multiplies matrices in bfloat16 than in float32.

    Measured, since some processors with AVX-512 BF16 take twice as long in bfloat16.
    """
    a, b = torch.ones(512, 512), torch.ones(512, 784)
    seconds: dict[torch.dtype, float] = {}
    for _ in range(8):
        for dtype in (torch.float32, torch.bfloat16):
            left, right = a.to(dtype), b.to(dtype)
            start = time.perf_counter()
            torch.mm(left, right)
            seconds[dtype] = min(seconds.get(dtype, math.inf), time.perf_counter() - start)
    return seconds[torch.float32] / seconds[torch.bfloat16]


_state = threading.local()
"""Whether this thread computes fast (`fast`)."""


@contextmanager
def fast_arithmetic() -> Iterator[None]:
    """While entered, this thread computes as `configure_torch` sets it up, and afterwards as before.

    Only glibc's thresholds stay: they cannot be read, and a program that goes on is the faster for them.
    """
    if getattr(_state, "fast", False):
        yield
        return
    before = float(torch.tensor([_SMALL]) / 2) == 0
    in_every_thread(lambda: torch.set_flush_denormal(True))
    _keep_memory()
    end = _share_processors()
    _state.fast = True
    try:
        yield
    finally:
        _state.fast = False
        end()
        if not before:
            in_every_thread(lambda: torch.set_flush_denormal(False))


@cache
def configure_torch() -> None:
    """Sets this process up for fast arithmetic, for good; call it once, before the process's first tensors.

    Numbers below float32's normal range, such as the weights of unlikely particles, become 0: processors take many times as long
    to compute with them. Only threads that start later inherit this, hence the order.

    glibc keeps the memory that a step frees for the next step. By default it returns tensors of more than 128 KiB to the system,
    and every step fetches their pages again.

    Threads that wait for each other leave the processors to other processes that want them (`vaecli.threads`).

    vaecli's own commands call this. Functions that train or measure do the same for as long as they take, and change nothing else
    in the program that calls them; call this in a program of your own to have it for all of its work.

    Example:
        >>> vaecli.configure_torch()
    """
    torch.set_flush_denormal(True)
    _keep_memory()
    _state.fast = True
    _share_processors()


_SMALL = 1.2e-38
"""Half of it is below float32's normal range."""


def _share_processors() -> Callable[[], None]:
    return share_processors() if torchrun.place().size == 1 else lambda: None


def _keep_memory() -> None:
    mmap_threshold, trim_threshold = -3, -1
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(mmap_threshold, 32 << 20)
        libc.mallopt(trim_threshold, 1 << 27)
