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


def keep_freed_memory() -> None:
    """Has the C library keep what a step frees for the next step, where it is glibc.

    By default it gives tensors of more than 128 KiB back to the system, and every step pays for fetching their pages anew.
    """
    mmap_threshold, trim_threshold = -3, -1
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        libc.mallopt(mmap_threshold, 32 << 20)
        libc.mallopt(trim_threshold, 1 << 30)
