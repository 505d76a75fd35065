"""Fully connected networks: the report's baseline."""

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from vaecli.image_shape import ImageShape
from vaecli.networks.layers import Decoder, LabelledLinear


@dataclass(frozen=True)
class MLP:
    """Dense layers with tanh between them; the label goes into the first layer of each network.

    Attributes:
        hidden: units of the encoder's hidden layers; the decoder has them in the opposite order.
    """

    hidden: tuple[int, ...]

    def encoder(self, shape: ImageShape, labels: int, outputs: int) -> nn.Module:
        """Images (..., D) and labels (B, labels) to (..., outputs)."""
        return Dense(shape.size, labels, (*self.hidden, outputs))

    def decoder(self, shape: ImageShape, latent_dim: int, labels: int, outputs: int) -> Decoder:
        """Latents (..., latent_dim) and labels (B, labels) to (..., outputs, D)."""
        return _PixelDense(latent_dim, labels, (*reversed(self.hidden), outputs * shape.size), outputs)


class Dense(nn.Module):
    """Dense layers with tanh between them.

    Args:
        inputs: features of x.
        labels: features of y, which goes into the first layer; 0 for none.
        sizes: outputs of each layer; the last one has no tanh.
    """

    def __init__(self, inputs: int, labels: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.input = LabelledLinear(inputs, labels, sizes[0])
        *hidden, output = (nn.Linear(a, b) for a, b in pairwise(sizes))
        self.hidden = nn.ModuleList(hidden)
        self.output = output

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(..., inputs) and (B, labels) or None to (..., outputs)."""
        h = self.input(x, y).tanh_()
        for layer in self.hidden:
            h = layer(h).tanh_()
        result: Tensor = self.output(h)
        return result


class _PixelDense(Dense, Decoder):
    def __init__(self, inputs: int, labels: int, sizes: tuple[int, ...], outputs: int) -> None:
        super().__init__(inputs, labels, sizes)
        self.outputs = outputs

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        output = super().forward(x, y)
        pixels: Tensor = output.unflatten(-1, (self.outputs, -1))
        return pixels
