"""A person's own networks, as they are: `nn.Module` objects instead of an architecture."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from vaecli.arguments import wrong
from vaecli.image_shape import ImageShape
from vaecli.networks.layers import Decoder


@dataclass(frozen=True)
class GivenNetworks:
    """An architecture of two networks that are there already. A model has copies of them, with the weights that they have.

    Training with ``init_bias`` data sets the bias of the decoder's last layer.

    A network of a model without labels is called with one argument, else with y, shape (N, labels), as the second.

    Attributes:
        encode: takes images x, shape (N, D), and gives what the posterior is made of, shape (N, outputs).
        decode: takes latents z, shape (N, latent_dim), and gives the parameters of pixels, outputs * D of them in any shape.
    """

    encode: nn.Module
    decode: nn.Module

    def __post_init__(self) -> None:
        for name, network in (("encoder", self.encode), ("decoder", self.decode)):
            if not isinstance(network, nn.Module):
                raise wrong(name, network, "expected a torch.nn.Module")

    def encoder(self, shape: ImageShape, labels: int, outputs: int) -> nn.Module:
        """As `Architecture.encoder`."""
        return _Encoder(deepcopy(self.encode), labels)

    def decoder(self, shape: ImageShape, latent_dim: int, labels: int, outputs: int) -> Decoder:
        """As `Architecture.decoder`."""
        return _Decoder(deepcopy(self.decode), labels, outputs)


class _Encoder(nn.Module):
    def __init__(self, network: nn.Module, labels: int) -> None:
        super().__init__()
        self.network, self.labels = network, labels

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return _called(self.network, x, y, self.labels).flatten(1)


class _Decoder(Decoder):
    def __init__(self, network: nn.Module, labels: int, outputs: int) -> None:
        super().__init__()
        self.network, self.labels, self.outputs = network, labels, outputs

    @property
    def output(self) -> Any:
        """The network's layer of that name, or the last one of an `nn.Sequential`; None where neither has a weight and a bias."""
        layers = [self.network, *self.network] if isinstance(self.network, nn.Sequential) else [self.network]
        while isinstance(layers[-1], nn.Flatten | nn.Unflatten):
            layers.pop()
        last = getattr(self.network, "output", layers[-1])
        return last if isinstance(getattr(last, "bias", None), Tensor) else None

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        rows = z.flatten(0, -2)
        if y is not None:
            y = y.expand(*z.shape[:-1], -1).flatten(0, -2)
        output = _called(self.network, rows, y, self.labels).flatten(1)
        # of another size: left for `check_parts` to tell
        return output.unflatten(1, (self.outputs, -1)).unflatten(0, z.shape[:-1]) if output.shape[1] % self.outputs == 0 else output


def _called(network: nn.Module, x: Tensor, y: Tensor | None, labels: int) -> Tensor:
    result: Tensor = network(x, x.new_zeros(len(x), labels) if y is None else y) if labels else network(x)
    return result
