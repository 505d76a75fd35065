"""Residual networks: residual blocks between convolutions that halve the image, then dense layers, and the mirror of that."""

from dataclasses import dataclass
from itertools import pairwise
from math import gcd

import torch.nn.functional as F
from torch import Tensor, nn

from vaecli.errors import UsageError
from vaecli.image_shape import ImageShape
from vaecli.networks.layers import Decoder, LabelledLinear

_SMALL = 0.1
"""What the weights of a network's last layer are scaled by at the start."""

Sides = tuple[int, int]


@dataclass(frozen=True)
class ResNet:
    """Convolutions of stride 2 with residual blocks after each, and dense layers; the label goes into the first dense layer.

    Blocks are pre-activations (He et al. 2016, arXiv:1603.05027): group norms (Wu & He 2018, arXiv:1803.08494), SiLU and two
    3 x 3 convolutions. The decoder doubles sides by repeating pixels before a 3 x 3 convolution. Images of any size: an odd side is
    halved upwards, and the decoder goes back by the same sides.

    Training starts near a model without latents, whatever the pixels: the second convolution of each block begins at 0 (Zhang,
    Dauphin & Ma 2019, arXiv:1901.09321, and others), and the last layer of each network with a tenth of PyTorch's weights.

    Attributes:
        channels: channels after each convolution of the encoder that halves the image.
        hidden: units of the encoder's dense layers; the decoder has the layers in the opposite order.
        blocks: residual blocks after each of these convolutions, and before each of the decoder's that doubles the image.
    """

    channels: tuple[int, ...]
    hidden: tuple[int, ...]
    blocks: int

    def encoder(self, shape: ImageShape, labels: int, outputs: int) -> nn.Module:
        """Images (..., D) and labels (B, labels) to (..., outputs).

        Raises:
            UsageError: the image's side cannot be halved as often as `channels` says.
        """
        return _Encoder(shape, self._sides(shape)[-1], self.channels, labels, (*self.hidden, outputs), self.blocks)

    def decoder(self, shape: ImageShape, latent_dim: int, labels: int, outputs: int) -> Decoder:
        """Latents (..., latent_dim) and labels (B, labels) to (..., outputs, D).

        Raises:
            UsageError: as `encoder`.
        """
        sides = tuple(reversed(self._sides(shape)))
        channels = (*reversed(self.channels), outputs * shape.channels)
        return _Decoder((outputs, shape.size), sides, latent_dim, labels, tuple(reversed(self.hidden)), channels, self.blocks)

    def _sides(self, shape: ImageShape) -> tuple[Sides, ...]:
        """Height and width of the image, and after each convolution that halves it."""
        most, side = 0, min(shape.height, shape.width)
        while side > 2:
            most, side = most + 1, -(-side // 2)
        if len(self.channels) > most:
            raise UsageError(
                f"{{channels}}: each of these {len(self.channels)} convolutions halves the image; expected at most {most}, which "
                f"leave 2 of {shape.height} pixels", channels=self.channels,
            )  # fmt: skip
        sides = [(shape.height, shape.width)]
        for _ in self.channels:
            sides.append((-(-sides[-1][0] // 2), -(-sides[-1][1] // 2)))
        return tuple(sides)


class _Block(nn.Module):
    """The identity and a residual that begins at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = _norm(channels), _norm(channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, h: Tensor) -> Tensor:
        residual = self.first(F.silu(self.first_norm(h)))
        out: Tensor = h + self.second(F.silu(self.second_norm(residual)))
        return out


def _norm(channels: int) -> nn.GroupNorm:
    """At most 8 groups, of 4 channels at least where there are as many."""
    return nn.GroupNorm(gcd(channels, 8, max(1, channels // 4)), channels)


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_Block(channels) for _ in range(count)))


def _make_small(layer: nn.Linear | nn.Conv2d) -> None:
    layer.weight.data *= _SMALL
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


class _Encoder(nn.Module):
    def __init__(
        self, shape: ImageShape, smallest: Sides, channels: tuple[int, ...], labels: int, sizes: tuple[int, ...], blocks: int
    ) -> None:
        super().__init__()
        self.shape = (shape.channels, shape.height, shape.width)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise((shape.channels, *channels)))
        self.blocks = nn.ModuleList(_blocks(count, blocks) for count in channels)
        self.norm = _norm(channels[-1])
        self.input = LabelledLinear(channels[-1] * smallest[0] * smallest[1], labels, sizes[0])
        *hidden, output = (nn.Linear(a, b) for a, b in pairwise(sizes))
        self.dense = nn.ModuleList([*hidden, output])
        _make_small(output)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h: Tensor = x.reshape(-1, *self.shape)
        for down, blocks in zip(self.down, self.blocks, strict=True):
            h = blocks(down(h))
        h = F.silu(self.norm(h)).flatten(1)
        h = self.input(h.view(*x.shape[:-1], h.shape[1]), y)
        for layer in self.dense:
            h = layer(F.silu(h))
        return h


class _Decoder(Decoder):
    def __init__(
        self, outputs: tuple[int, int], sides: tuple[Sides, ...], latent_dim: int, labels: int, sizes: tuple[int, ...],
        channels: tuple[int, ...], blocks: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.outputs, self.shape, self.sides = outputs, (channels[0], *sides[0]), sides[1:]
        self.input = LabelledLinear(latent_dim, labels, sizes[0])
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((*sizes, channels[0] * sides[0][0] * sides[0][1])))
        self.blocks = nn.ModuleList(_blocks(count, blocks) for count in channels[:-1])
        *hidden, output = (nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(channels))
        self.up = nn.ModuleList(hidden)
        self.norm = _norm(channels[-2])
        self.output = output
        _make_small(output)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        h = self.input(z, y)
        for layer in self.dense:
            h = layer(F.silu(h))
        h = h.view(-1, *self.shape)
        for blocks, up, sides in zip(self.blocks[:-1], self.up, self.sides[:-1], strict=True):
            h = up(F.interpolate(blocks(h), sides))
        h = F.silu(self.norm(self.blocks[-1](h)))
        output: Tensor = self.output(F.interpolate(h, self.sides[-1]))
        return output.reshape(*z.shape[:-1], *self.outputs)
