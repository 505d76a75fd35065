"""Where tensors live."""

import ctypes
import sys

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


def matmul_dtype(precision: str, device: torch.device) -> torch.dtype:
    """What matrix products are computed in; weights, moments and log weights are float32 whatever it is.

    Args:
        precision: ``fp32``, ``bf16``, or ``auto``: bfloat16 where the device multiplies it faster than float32 (a CPU with AVX-512
            BF16 or AMX, a GPU from Ampere on).
        device: where they are computed.
    """
    if precision == "auto":
        if device.type == "cuda":
            fast = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            features = torch.cpu.get_capabilities() if device.type == "cpu" else {}
            fast = bool(features.get("avx512_bf16") or features.get("amx_bf16"))
        precision = "bf16" if fast else "fp32"
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]


def keep_freed_memory() -> None:
    """Has the C library keep what a step frees for the next step, where it is glibc.

    By default it gives tensors of more than 128 KiB back to the system, and every step pays for fetching their pages anew.
    """
    mmap_threshold, trim_threshold = -3, -1
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(mmap_threshold, 32 << 20)
        libc.mallopt(trim_threshold, 1 << 27)
