"""Grey pixels to black and white."""

import torch
from torch import Tensor


def binarize(pixels: Tensor, how: str, noise: torch.Generator) -> Tensor:
    """Pixels in {0, 1}, float32, of bytes of any shape.

    Args:
        pixels: uint8.
        how: ``threshold``: 1 where the byte is above 127, else 0. ``stochastic``: 1 with probability byte / 255 (Salakhutdinov &
            Murray 2008).
        noise: the generator that ``stochastic`` draws from.
    """
    if how == "threshold":
        return (pixels >> 7).float()
    return (torch.randint(255, pixels.shape, generator=noise, dtype=torch.uint8, device=pixels.device) < pixels).float()
