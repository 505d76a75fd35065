"""Networks that give each latent parameters which depend on some of the others alone, as invertible maps need them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaecli.networks.mlp import Dense

START = 0.01
"""What the weights and biases of the last layers are multiplied by at the start, so that all parameters are near 0."""


@torch.no_grad()
def near_zero(layer: nn.Linear) -> None:
    """Makes a layer's outputs small."""
    layer.weight.mul_(START)
    layer.bias.mul_(START)


class Coupling(nn.Module):
    """Parameters of one half of the latents, which depend on the other half; those of that half are 0.

    Dinh, Krueger & Bengio 2015, arXiv:1410.8516, section 3.2.

    Args:
        latent_dim: size of z, at least 2.
        hidden: units of the hidden layers.
        parameters: of each latent.
        flip: whether the first half depends on the second.
    """

    def __init__(self, latent_dim: int, hidden: Sequence[int], parameters: int, flip: bool) -> None:
        super().__init__()
        self.given, self.parameters_each, self.flip = latent_dim // 2, parameters, flip
        self.network = Dense(self.given, 0, (*hidden, (latent_dim - self.given) * parameters))
        near_zero(self.network.output)

    def forward(self, z: Tensor) -> Tensor:
        """Latents (..., latent_dim) to (..., latent_dim, parameters)."""
        given = z[..., -self.given :] if self.flip else z[..., : self.given]
        output = self.network(given).unflatten(-1, (-1, self.parameters_each))
        return F.pad(output, (0, 0, 0, self.given) if self.flip else (0, 0, self.given, 0))


class Autoregressive(nn.Module):
    """Parameters of each latent, which depend on those before it, and on a context.

    MADE (Germain, Gregor, Murray & Larochelle 2015, arXiv:1502.03509): dense layers in which a mask leaves those weights alone that
    come from a unit which knows no more latents than the unit they go to.

    Args:
        latent_dim: size of z.
        hidden: units of the hidden layers.
        parameters: of each latent.
        flip: whether the order of the latents is the opposite one.
        context: size of the context; 0 for none.
    """

    def __init__(self, latent_dim: int, hidden: Sequence[int], parameters: int, flip: bool, context: int = 0) -> None:
        super().__init__()
        self.parameters_each = parameters
        # by how many of the latents a unit knows: a hidden one knows 0 to latent_dim - 1, and latent d may know d
        order = torch.arange(latent_dim)
        order = order.flip(0) if flip else order
        known = order + 1
        layers = []
        for units in hidden:
            layers.append(_Masked(known, torch.arange(units) % latent_dim))
            known = torch.arange(units) % latent_dim
        self.layers = nn.ModuleList(layers)
        self.output = _Masked(known, order.unsqueeze(1).expand(-1, parameters).flatten())
        near_zero(self.output)
        self.context = nn.Linear(context, hidden[0], bias=False) if context else None

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Latents (..., latent_dim) and contexts, such as of shape (B, context), to (..., latent_dim, parameters)."""
        h = z
        for number, layer in enumerate(self.layers):
            h = layer(h)
            h = (h + self.context(context) if self.context is not None and number == 0 else h).tanh()
        parameters: Tensor = self.output(h).unflatten(-1, (-1, self.parameters_each))
        return parameters


class _Masked(nn.Linear):
    """A dense layer without the weights from units that know more latents than the unit they go to; both shape (units,)."""

    def __init__(self, inputs: Tensor, outputs: Tensor) -> None:
        super().__init__(len(inputs), len(outputs))
        self.register_buffer("mask", outputs.unsqueeze(1) >= inputs, persistent=False)
        self.mask: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)
