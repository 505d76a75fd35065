"""Where tensors live."""

import ctypes
import math
import sys
import time
from functools import cache

import torch

from vaecli.errors import UsageError


def find_device(name: str) -> torch.device:
    """The device called `name`; ``auto`` is a GPU where there is one.

    Raises:
        UsageError: this machine has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(each for each, there in available.items() if there)
    if not available.get(name, False):
        here = ", ".join(each for each, there in available.items() if there)
        raise UsageError(f"--device {name}: expected one that this machine has: auto, {here}")
    return torch.device(name)


def accumulator(device: torch.device) -> torch.dtype:
    """The type to sum log weights in: float64, but for a device that has none."""
    return torch.float32 if device.type == "mps" else torch.float64


def resolve_precision(precision: str, device: torch.device) -> str:
    """The precision of matrix products, ``fp32`` or ``bf16``; weights, moments and log weights are float32 in both.

    Args:
        precision: ``fp32``, ``bf16``, or ``auto``: bfloat16 where the device multiplies it faster than float32 (many a CPU with
            AVX-512 BF16 or AMX, a GPU from Ampere on). On a CPU ``auto`` is measured, so two processes may differ: a run
            resolves it once and writes it down.
        device: where they are computed.
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

    It is measured, since AVX-512 BF16 does not tell: there are processors that have it and take twice as long by it.
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


def make_ready() -> None:
    """Sets this process up for fast arithmetic; to be called before torch has computed anything.

    Numbers below float32's normal range become 0: the weights of unlikely particles, which processors otherwise take many times as
    long over. Only threads that begin later take that over, hence the order.

    The C library keeps what a step frees for the next step, where it is glibc. By default it gives tensors of more than 128 KiB
    back to the system, and every step pays for fetching their pages anew.
    """
    torch.set_flush_denormal(True)
    mmap_threshold, trim_threshold = -3, -1
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(mmap_threshold, 32 << 20)
        libc.mallopt(trim_threshold, 1 << 27)
