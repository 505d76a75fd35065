"""Fully connected networks: the report's baseline."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from vaecli.data.images import SIDE


@dataclass(frozen=True)
class MLP:
    """Dense layers with tanh between them; the label is joined to the input of each network.

    Attributes:
        hidden: units of the encoder's hidden layers; the decoder has them in the opposite order.
    """

    hidden: tuple[int, ...]

    def encoder(self, labels: int, outputs: int) -> nn.Module:
        """Images (..., 784) and labels (..., labels) to (..., outputs)."""
        return _Dense((SIDE * SIDE + labels, *self.hidden, outputs))

    def decoder(self, latent_dim: int, labels: int, outputs: int) -> nn.Module:
        """Latents (..., latent_dim) and labels (..., labels) to (..., outputs, 784)."""
        return _PixelDense((latent_dim + labels, *reversed(self.hidden), outputs * SIDE * SIDE))


class _Dense(nn.Module):
    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h = x if y is None else torch.cat((x, y.expand(*x.shape[:-1], -1)), -1)
        *hidden, output = self.layers
        for layer in hidden:
            h = torch.tanh(layer(h))
        result: Tensor = output(h)
        return result

    @property
    def output(self) -> nn.Module:
        """The last layer."""
        return self.layers[-1]


class _PixelDense(_Dense):
    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        output = super().forward(x, y)
        return output.view(*output.shape[:-1], -1, SIDE * SIDE)
