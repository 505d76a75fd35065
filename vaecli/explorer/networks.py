"""Networks as JSON values: what the page's script computes with."""

import base64
from typing import Any

import torch
from torch import Tensor, nn

from vaecli.errors import VaecliError
from vaecli.model import VAE

MANY = 50_000
"""Weights of a layer from which on it is given in 8 bits a weight, where that is precise enough."""

TOLERANCE = 4e-3
"""The largest error of a decoded pixel's mean, on [0, 1], that 8 bits a weight may cause."""


def decoder_of(model: VAE, z: Tensor, y: Tensor | None) -> list[dict[str, Any]]:
    """The layers of a decoder, in the order in which a latent passes them: 8 bits a weight in large ones, or else 16.

    Args:
        model: on the CPU.
        z: latents that are decoded to see whether 8 bits are precise enough, shape (N, latent_dim).
        y: their labels, shape (N, labels); None for a model without labels.

    Raises:
        VaecliError: the decoder has layers that the page cannot compute.
    """
    layers = _layers(model.decoder)
    large = [layer for layer in layers if layer.weight.numel() >= MANY]
    with torch.inference_mode():
        exact = model.likelihood(z, y).mean
    whole = [layer.weight.data for layer in large]
    for layer in large:
        levels, scale = _levels(layer.weight.data)
        layer.weight.data = levels.float() * scale
    with torch.inference_mode():
        error = float((model.likelihood(z, y).mean - exact).abs().max()) if large else 0.0
    for layer, weight in zip(large, whole, strict=True):
        layer.weight.data = weight
    return [_layer(layer, model.decoder, few=error > TOLERANCE or layer not in large) for layer in layers]


def base64_of(values: Tensor) -> str:
    """The bytes of a tensor, little-endian, as base64."""
    return base64.b64encode(values.detach().contiguous().numpy().tobytes()).decode()


def _layers(network: nn.Module) -> list[Any]:
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.ConvTranspose2d)]
    known = sum(parameter.numel() for layer in layers for parameter in layer.parameters())
    if known != sum(parameter.numel() for parameter in network.parameters()):
        raise VaecliError(
            "the page computes dense layers and transposed convolutions; found a decoder with others, expected {arch=mlp}"
        )
    return layers


def _layer(layer: Any, network: Any, few: bool) -> dict[str, Any]:
    common = {"activation": network.activation, "bias": base64_of(layer.bias.half()), "weight": _weight(layer.weight.data, few)}
    if isinstance(layer, nn.ConvTranspose2d):
        shape = {"kernel": layer.kernel_size[0], "stride": layer.stride[0], "padding": layer.padding[0]}
        return common | shape | {"kind": "transposed", "inputs": layer.in_channels, "outputs": layer.out_channels}
    return common | {"kind": "dense", "inputs": layer.in_features, "outputs": layer.out_features}


def _weight(weight: Tensor, few: bool) -> dict[str, str]:
    if few:
        return {"half": base64_of(weight.half())}
    levels, scale = _levels(weight)
    return {"levels": base64_of(levels), "scale": base64_of(scale.flatten())}


def _levels(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from -127 to 127 and, of each first index, the float32 that they are multiplied by."""
    scale = weight.abs().amax(tuple(range(1, weight.ndim)), keepdim=True).clamp(min=1e-12) / 127
    return (weight / scale).round().to(torch.int8), scale
