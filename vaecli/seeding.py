"""Random generators that depend on nothing but what they are for."""

from hashlib import blake2b

import torch


def generator(device: torch.device | str, *words: int | str) -> torch.Generator:
    """A generator seeded from `words`, such as a run's seed and an epoch; equal words give equal noise on one device."""
    digest = blake2b(repr(words).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "big") >> 1)
