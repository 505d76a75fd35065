"""Random generators seeded from words, such as a run's seed and an epoch."""

from hashlib import blake2b

import torch


def generator(device: torch.device | str, *words: int | str) -> torch.Generator:
    """A generator seeded from `words`; equal words give equal noise on one device."""
    return torch.Generator(device).manual_seed(seed_of(*words))


def seed_of(*words: int | str) -> int:
    """A seed from `words`: a hash of 63 bits."""
    digest = blake2b(repr(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
