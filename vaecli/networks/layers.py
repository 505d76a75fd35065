"""The layers and the protocol that architectures share."""

from typing import Protocol

import torch
from torch import Tensor, nn

from vaecli.image_shape import ImageShape


class Architecture(Protocol):
    """Makes the two networks of a VAE for images of a shape, of D values; labels of 0 mean that the networks see none."""

    def encoder(self, shape: ImageShape, labels: int, outputs: int) -> nn.Module:
        """Images (..., D) and labels (B, labels) to (..., outputs)."""
        ...

    def decoder(self, shape: ImageShape, latent_dim: int, labels: int, outputs: int) -> nn.Module:
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
