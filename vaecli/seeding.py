"""Random generators seeded from words, such as a run's seed and an epoch; the noise of some images of a batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor


def generator(device: torch.device | str, *words: int | str) -> torch.Generator:
    """A generator seeded from `words`; equal words give equal noise on one device."""
    return torch.Generator(device).manual_seed(seed_of(*words))


def seed_of(*words: int | str) -> int:
    """A seed from `words`: a hash of 63 bits."""
    digest = blake2b(repr(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


@dataclass(frozen=True)
class RowsNoise:
    """The noise that some images of a batch have when it is drawn for the whole batch.

    Attributes:
        generator: draws for the whole batch.
        count: images of the batch.
        rows: which of them.
    """

    generator: torch.Generator
    count: int
    rows: slice


Noise = torch.Generator | RowsNoise
"""What random numbers are drawn from, by `drawn`."""


def rows_of(noise: torch.Generator, count: int, rows: slice) -> Noise:
    """The noise of these rows of a batch of `count` images; `noise` itself for all of them."""
    return noise if rows == slice(0, count) else RowsNoise(noise, count, rows)


def drawn(draw: Callable[..., Tensor], shape: Sequence[int], noise: Noise | None) -> Tensor:
    """Random numbers of a shape whose dimension before the last is that of images.

    Args:
        draw: gives them for a shape and a generator, such as `torch.randn`.
        shape: theirs.
        noise: their source; None for PyTorch's own generator.
    """
    if not isinstance(noise, RowsNoise):
        return draw(shape, generator=noise)
    own = draw((*shape[:-2], noise.count, shape[-1]), generator=noise.generator)[..., noise.rows, :]
    assert own.shape == torch.Size(shape), "noise is drawn for as many images as there are"
    return own
