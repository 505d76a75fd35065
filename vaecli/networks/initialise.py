"""Weights and biases at the start of training."""

import math

import torch
from torch import nn


def initialise(network: nn.Module, generator: torch.Generator, how: str = "torch") -> None:
    """Fills weights and biases from `generator`, in one of two ways.

    ``torch``, PyTorch's own default: weights and biases uniform within 1 / sqrt(inputs of a unit). ``glorot`` (Glorot & Bengio
    2010, eq. 16): weights uniform within sqrt(6 / (inputs + outputs)) of a layer, biases 0, as the IWAE paper has them. The scale
    by inputs alone matters for few latents: a decoder of 2 latents whose weights are scaled by its 500 outputs too starts almost
    blind to its latents, and ends 12 nats worse after 5 epochs.

    Args:
        network: the layers to fill.
        generator: on the CPU.
        how: ``torch`` or ``glorot``.
    """
    for layer in network.modules():
        if not isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            continue
        if how == "glorot":
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            continue
        inputs = layer.weight[0].numel() if not isinstance(layer, nn.ConvTranspose2d) else layer.weight[:, 0].numel()
        bound = 1 / math.sqrt(inputs)
        nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
        if layer.bias is not None:
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
