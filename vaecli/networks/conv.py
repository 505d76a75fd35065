"""Convolutional networks: convolutions, then dense layers, and the mirror of that."""

from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from vaecli.data.images import SIDE
from vaecli.errors import UsageError
from vaecli.networks.layers import LabelledLinear

_KERNEL, _STRIDE, _PADDING = 4, 2, 1  # halves an even side, and its transpose doubles it
_HALVINGS = 2  # 28 -> 14 -> 7


@dataclass(frozen=True)
class Conv:
    """4 x 4 convolutions of stride 2 and dense layers, with ReLU between them; the label goes into the first dense layer.

    Attributes:
        channels: channels of the encoder's convolutions, one or two of them, since each halves the side.
        hidden: units of the encoder's dense layers; the decoder has the layers in the opposite order.

    Raises:
        UsageError: there are more than two convolutions.
    """

    channels: tuple[int, ...]
    hidden: tuple[int, ...]

    def __post_init__(self) -> None:
        """Checks that the sides stay whole."""
        if len(self.channels) > _HALVINGS:
            raise UsageError(
                f"{{channels}}: expected one or two, since {SIDE} pixels can be halved only twice", channels=self.channels
            )

    def encoder(self, labels: int, outputs: int) -> nn.Module:
        """Images (..., 784) and labels (B, labels) to (..., outputs)."""
        return _Encoder(self.channels, labels, (*self.hidden, outputs))

    def decoder(self, latent_dim: int, labels: int, outputs: int) -> nn.Module:
        """Latents (..., latent_dim) and labels (B, labels) to (..., outputs, 784)."""
        return _Decoder(latent_dim, labels, tuple(reversed(self.hidden)), (*reversed(self.channels), outputs))


class _Encoder(nn.Module):
    def __init__(self, channels: tuple[int, ...], labels: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, _KERNEL, _STRIDE, _PADDING) for a, b in pairwise((1, *channels)))
        side = SIDE >> len(channels)
        self.input = LabelledLinear(channels[-1] * side * side, labels, sizes[0])
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h: Tensor = x.reshape(-1, 1, SIDE, SIDE)
        for layer in self.convolutions:
            h = F.relu(layer(h))
        h = h.flatten(1)
        h = self.input(h.view(*x.shape[:-1], h.shape[1]), y)
        for layer in self.dense:
            h = layer(F.relu(h))
        return h


class _Decoder(nn.Module):
    def __init__(self, latent_dim: int, labels: int, sizes: tuple[int, ...], channels: tuple[int, ...]) -> None:
        super().__init__()
        side = SIDE >> (len(channels) - 1)
        self.shape = (channels[0], side, side)
        self.input = LabelledLinear(latent_dim, labels, sizes[0])
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((*sizes, channels[0] * side * side)))
        *hidden, output = (nn.ConvTranspose2d(a, b, _KERNEL, _STRIDE, _PADDING) for a, b in pairwise(channels))
        self.convolutions = nn.ModuleList(hidden)
        self.output = output

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        h = F.relu(self.input(z, y))
        for layer in self.dense:
            h = F.relu(layer(h))
        h = h.view(-1, *self.shape)
        for layer in self.convolutions:
            h = F.relu(layer(h))
        output: Tensor = self.output(h)
        return output.view(*z.shape[:-1], output.shape[1], SIDE * SIDE)
