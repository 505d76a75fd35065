"""Fully connected networks whose hidden layers are added to what they are given."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from vaecli.image_shape import ImageShape
from vaecli.networks.layers import Decoder
from vaecli.networks.mlp import Dense

_SMALL = 0.1
"""What the weights of a network's last layer are scaled by at the start."""


@dataclass(frozen=True)
class ResidualMLP:
    """Dense layers after layer norms and SiLU, each added to its input where both have as many units.

    Pre-activations (He et al. 2016, arXiv:1603.05027) with layer norms (Ba et al. 2016, arXiv:1607.06450). Training starts near a
    model without latents: the last layer of each network begins with a tenth of PyTorch's weights, and without a bias.

    Attributes:
        hidden: units of the encoder's hidden layers; the decoder has them in the opposite order.
    """

    hidden: tuple[int, ...]

    def encoder(self, shape: ImageShape, labels: int, outputs: int) -> nn.Module:
        """Images (..., D) and labels (B, labels) to (..., outputs)."""
        return _Residual(shape.size, labels, (*self.hidden, outputs))

    def decoder(self, shape: ImageShape, latent_dim: int, labels: int, outputs: int) -> Decoder:
        """Latents (..., latent_dim) and labels (B, labels) to (..., outputs, D)."""
        return _PixelResidual(latent_dim, labels, (*reversed(self.hidden), outputs * shape.size), outputs)


class _Residual(Dense):
    def __init__(self, inputs: int, labels: int, sizes: tuple[int, ...]) -> None:
        super().__init__(inputs, labels, sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for size in sizes[:-1])
        self.output.weight.data *= _SMALL
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(..., inputs) and (B, labels) or None to (..., outputs)."""
        h = self.input(x, y)
        *norms, last = self.norms
        for norm, layer in zip(norms, self.hidden, strict=True):
            new = layer(F.silu(norm(h)))
            h = h + new if new.shape == h.shape else new
        result: Tensor = self.output(F.silu(last(h)))
        return result


class _PixelResidual(_Residual, Decoder):
    def __init__(self, inputs: int, labels: int, sizes: tuple[int, ...], outputs: int) -> None:
        super().__init__(inputs, labels, sizes)
        self.outputs = outputs

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        pixels: Tensor = super().forward(x, y).unflatten(-1, (self.outputs, -1))
        return pixels
