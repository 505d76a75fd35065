"""The layers and the protocol that architectures share."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vaecli.image_shape import ImageShape


class Decoder(nn.Module):
    """A network from latents to the parameters of pixels, which ends in a layer called `output`: an `nn.Linear` or a convolution.

    That layer has a bias for each parameter of each of the D values, or for each parameter of each channel. Where the likelihood or
    ``init_bias`` asks for it, training starts with other weights and biases there than those that the layer made itself.
    """

    output: Any


class Architecture(Protocol):
    """Makes the two networks of a VAE for images of a shape, of D values; labels of 0 mean that the networks see none.

    Layers make their own weights and buffers when they are constructed, from PyTorch's own generator, which is seeded then.
    """

    def encoder(self, shape: ImageShape, labels: int, outputs: int) -> nn.Module:
        """Images (..., D) and labels (B, labels) to (..., outputs)."""
        ...

    def decoder(self, shape: ImageShape, latent_dim: int, labels: int, outputs: int) -> Decoder:
        """Latents (..., latent_dim) and labels (B, labels) to (..., outputs, D)."""
        ...


class LabelledLinear(nn.Linear):
    """A dense layer that takes the label beside its other inputs.

    Args:
        inputs: features of x.
        labels: features of y; 0 for none.
        outputs: units.
    """

    def __init__(self, inputs: int, labels: int, outputs: int) -> None:
        super().__init__(inputs + labels, outputs)
        self.labels = labels

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(..., inputs) and (B, labels) or None to (..., outputs); y is shared by all particles of x.

        In a layer with inputs for labels, None means an unknown label: zeros.
        """
        if self.labels:
            label = x.new_zeros(*x.shape[:-1], self.labels) if y is None else y.to(x.dtype).expand(*x.shape[:-1], -1)
            x = torch.cat((x, label), -1)
        return super().forward(x)
