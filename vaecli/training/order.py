"""The order of the images in an epoch."""

import torch
from torch import Tensor

BLOCK = 1 << 22
"""Bytes of neighbouring images that are moved together."""

WINDOW = 64
"""Blocks whose images are mixed with each other: 256 MB, which have to fit in memory."""


def epoch_order(count: int, size: int, shuffle: str, generator: torch.Generator) -> Tensor:
    """A random order of so many images, shape (count,), on the generator's device.

    With ``blocks`` the images are cut into blocks of neighbours, and those of WINDOW random blocks at a time are put in a random
    order: an epoch reads each part of a file once, and needs WINDOW blocks of it in memory. Neighbours should be unlike each
    other, as pictures are, which are kept in the order of a hash of their paths.

    Args:
        count: images.
        size: bytes of each.
        shuffle: ``all``, or ``blocks``.
        generator: of the noise.

    Example:
        >>> epoch_order(5, 784, "all", torch.Generator().manual_seed(0)).tolist()
        [4, 1, 2, 0, 3]
    """
    device = generator.device
    if shuffle != "blocks":
        return torch.randperm(count, generator=generator, device=device)
    blocks = torch.arange(count, device=device).split(max(1, BLOCK // size))
    order = torch.randperm(len(blocks), generator=generator, device=device)
    windows = [torch.cat([blocks[block] for block in window]) for window in order.cpu().split(WINDOW)]
    return torch.cat([window[torch.randperm(len(window), generator=generator, device=device)] for window in windows])
