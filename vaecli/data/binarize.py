"""Grey pixels to black and white."""

from functools import partial

import torch
from torch import Tensor

from vaecli.seeding import Noise, drawn


def binarize(pixels: Tensor, how: str, noise: Noise) -> Tensor:
    """Pixels in {0, 1}, float32, of bytes of any shape.

    Args:
        pixels: uint8.
        how: ``threshold``: 1 where the byte is above 127, else 0. ``stochastic``: 1 with probability byte / 255 (Salakhutdinov &
            Murray 2008).
        noise: what ``stochastic`` draws from.
    """
    if how == "threshold":
        return (pixels >> 7).float()
    return (drawn(partial(torch.randint, 255, dtype=torch.uint8, device=pixels.device), pixels.shape, noise) < pixels).float()
