"""Grey pixels to black and white."""

from collections.abc import Sequence

import torch
from torch import Tensor


def binarize(pixels: Tensor, how: str, noise: torch.Generator | Tensor) -> Tensor:
    """Pixels in {0, 1}, float32, of bytes of any shape.

    Args:
        pixels: uint8.
        how: ``threshold``: 1 where the byte is above 127, else 0. ``stochastic``: 1 with probability byte / 255 (Salakhutdinov &
            Murray 2008).
        noise: what ``stochastic`` draws from, or its `levels`, of the pixels' shape.
    """
    if how == "threshold":
        return (pixels >> 7).float()
    return ((noise if isinstance(noise, Tensor) else levels(pixels.shape, noise)) < pixels).float()


def levels(shape: Sequence[int], noise: torch.Generator) -> Tensor:
    """The levels, uniform from 0 to 254, above which pixels become white: uint8, on the device of `noise`."""
    return torch.randint(255, shape, dtype=torch.uint8, device=noise.device, generator=noise)
