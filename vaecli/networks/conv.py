"""Convolutional networks: convolutions, then dense layers, and the mirror of that."""

from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from vaecli.errors import UsageError
from vaecli.image_shape import ImageShape
from vaecli.networks.layers import Decoder, LabelledLinear

_KERNEL, _STRIDE, _PADDING = 4, 2, 1  # halves an even side, and its transpose doubles it


@dataclass(frozen=True)
class Conv:
    """4 x 4 convolutions of stride 2 and dense layers, with ReLU between them; the label goes into the first dense layer.

    Attributes:
        channels: channels of the encoder's convolutions; each halves the side of the image, which must be even before it.
        hidden: units of the encoder's dense layers; the decoder has the layers in the opposite order.
    """

    channels: tuple[int, ...]
    hidden: tuple[int, ...]

    def encoder(self, shape: ImageShape, labels: int, outputs: int) -> nn.Module:
        """Images (..., D) and labels (B, labels) to (..., outputs).

        Raises:
            UsageError: the image's side cannot be halved as often as there are convolutions.
        """
        return _Encoder(shape, self.channels, self._smallest(shape), labels, (*self.hidden, outputs))

    def decoder(self, shape: ImageShape, latent_dim: int, labels: int, outputs: int) -> Decoder:
        """Latents (..., latent_dim) and labels (B, labels) to (..., outputs, D).

        Raises:
            UsageError: as `encoder`.
        """
        channels = (*reversed(self.channels), outputs * shape.channels)
        return _Decoder((outputs, shape.size), latent_dim, labels, tuple(reversed(self.hidden)), channels, self._smallest(shape))

    def _smallest(self, shape: ImageShape) -> tuple[int, int]:
        """Height and width after the last convolution."""
        most = min(_halvings(shape.height), _halvings(shape.width))
        if not most:
            raise UsageError(
                f"{{image_size}} with {{arch=conv}}: each convolution halves the image, expected an even number, such as "
                f"{{image_size={shape.height + 1}}}, or {{arch=resnet}}", image_size=shape.height,
            )  # fmt: skip
        if len(self.channels) > most:
            raise UsageError(
                f"{{channels}}: each of these {len(self.channels)} convolutions halves the image; expected at most {most}, since "
                f"{shape.height} pixels can be halved evenly only {_times(most)}", channels=self.channels,
            )  # fmt: skip
        return shape.height >> len(self.channels), shape.width >> len(self.channels)


def _halvings(side: int) -> int:
    """How often a side can be halved without a remainder."""
    return (side & -side).bit_length() - 1


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


class _Encoder(nn.Module):
    def __init__(
        self, shape: ImageShape, channels: tuple[int, ...], smallest: tuple[int, int], labels: int, sizes: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.shape = (shape.channels, shape.height, shape.width)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, _KERNEL, _STRIDE, _PADDING) for a, b in pairwise((shape.channels, *channels))
        )
        self.input = LabelledLinear(channels[-1] * smallest[0] * smallest[1], labels, sizes[0])
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h: Tensor = x.reshape(-1, *self.shape)
        for layer in self.convolutions:
            h = F.relu(layer(h))
        h = h.flatten(1)
        h = self.input(h.view(*x.shape[:-1], h.shape[1]), y)
        for layer in self.dense:
            h = layer(F.relu(h))
        return h


class _Decoder(Decoder):
    def __init__(
        self, outputs: tuple[int, int], latent_dim: int, labels: int, sizes: tuple[int, ...], channels: tuple[int, ...],
        smallest: tuple[int, int],
    ) -> None:  # fmt: skip
        super().__init__()
        self.outputs, self.shape = outputs, (channels[0], *smallest)
        self.input = LabelledLinear(latent_dim, labels, sizes[0])
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((*sizes, channels[0] * smallest[0] * smallest[1])))
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
        return output.reshape(*z.shape[:-1], *self.outputs)
