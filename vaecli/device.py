"""The device and the precision."""

import math
import time
from functools import cache

import torch

from vaecli import torchrun
from vaecli.errors import UsageError


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
    own_rank = torchrun.rank()
    if name == "cuda" and own_rank.local_size > 1:
        if own_rank.local_size > (gpus := torch.cuda.device_count()):
            raise UsageError(
                f"{{device}} with {own_rank.local_size} processes here: found GPUs for {gpus}, expected one per process; start as "
                "many processes as there are GPUs, or compute on processors with {device=cpu}", device=name,
            )  # fmt: skip
        name = f"cuda:{own_rank.local_rank}"
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
