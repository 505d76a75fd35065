"""Layers that both architectures use."""

import torch
from torch import Tensor, nn


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

        Without y in a layer that has room for it the label counts as unknown: zeros.
        """
        if self.labels:
            shown = x.new_zeros(*x.shape[:-1], self.labels) if y is None else y.to(x.dtype).expand(*x.shape[:-1], -1)
            x = torch.cat((x, shown), -1)
        return super().forward(x)
