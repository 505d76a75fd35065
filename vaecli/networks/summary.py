"""What a model is made of, layer by layer, found out without taking memory for it."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaecli.config import Config
from vaecli.data.images import CLASSES, SIDE
from vaecli.model import skeleton


@dataclass(frozen=True)
class Layer:
    """One layer as an image or a latent passes it.

    Attributes:
        network: ``encoder`` or ``decoder``.
        name: its name in the checkpoint.
        kind: what it is, such as ``Linear``.
        inputs: the shape that goes in for one image, without the label.
        labels: how many inputs of it are the label.
        outputs: the shape that comes out.
        parameters: weights and biases.
        label_parameters: those of them that multiply the label.
    """

    network: str
    name: str
    kind: str
    inputs: tuple[int, ...]
    labels: int
    outputs: tuple[int, ...]
    parameters: int
    label_parameters: int


def layers(config: Config) -> list[Layer]:
    """The layers of the encoder and of the decoder, in the order in which they are passed."""
    model = skeleton(config)
    found: list[Layer] = []

    def watch(network: str, name: str, layer: nn.Module) -> None:
        def passed(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
            labels = getattr(module, "labels", 0)
            count = sum(parameter.numel() for parameter in module.parameters())
            shape = tuple(inputs[0].shape[1:])
            found.append(
                Layer(
                    network,
                    f"{network}.{name}",
                    _kind(module),
                    shape,
                    labels,
                    tuple(output.shape[1:]),
                    count,
                    labels * output.shape[1],
                )
            )

        layer.register_forward_hook(passed)

    for network in ("encoder", "decoder"):
        for name, layer in getattr(model, network).named_modules():
            if next(layer.parameters(recurse=False), None) is not None:
                watch(network, name, layer)
    with torch.device("meta"):
        y = torch.empty(1, CLASSES) if model.conditional else None
        model.encoder(torch.empty(1, SIDE * SIDE), y)
        model.decoder(torch.empty(1, config.latent_dim), y)
    return found


def _kind(layer: nn.Module) -> str:
    return "Linear" if isinstance(layer, nn.Linear) else type(layer).__name__
