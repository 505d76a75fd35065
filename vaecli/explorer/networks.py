"""Networks as JSON values: what the page's script computes with."""

import base64
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vaecli.errors import VaecliError
from vaecli.model import VAE
from vaecli.networks.layers import LabelledLinear
from vaecli.seeding import generator

MANY = 50_000
"""Weights of a layer from which on it is given in few bits a weight, where that is precise enough."""

BITS = (6, 7, 8, 9, 10, 12)
"""Bits a weight that are tried in turn; 16 (half precision) if none will do."""

TOLERANCE = 4e-3
"""The error of a decoded pixel's mean, on [0, 1], that few bits a weight may cause: about one level of a screen's 256."""

ENCODER_TOLERANCE = 8e-3
"""The error of a posterior's mean and log standard deviation that few bits a weight may cause."""

MOST_WEIGHT = torch.finfo(torch.float16).max

_RARE, _LARGEST = 1e-4, 2
"""The share of outputs whose error may exceed its tolerance, and how many times the tolerance no error exceeds."""

_KINDS = {nn.Linear: "dense", nn.Conv2d: "convolution", nn.ConvTranspose2d: "transposed"}


def decoder_of(model: VAE, z: Tensor, y: Tensor | None) -> list[dict[str, Any]]:
    """The layers of a decoder, in the order in which a latent passes them: large ones with few bits a weight.

    Args:
        model: on the CPU.
        z: latents, shape (N, latent_dim), which say with as many draws of the prior whether few bits are precise enough.
        y: their labels, shape (N, labels); None for a model without labels.

    Raises:
        VaecliError: the decoder has layers that the page cannot compute.
    """
    z = torch.cat((z, model.prior.sample(len(z), generator("cpu", "explorer latents"))))
    y = None if y is None else y.repeat(2, 1)
    return _network(model.decoder, lambda: model.likelihood(z, y).mean, TOLERANCE)


def encoder_of(model: VAE, x: Tensor, y: Tensor | None) -> list[dict[str, Any]]:
    """The layers of an encoder, in the order in which an image passes them: large ones with few bits a weight.

    Args:
        model: on the CPU.
        x: what it observes of images, shape (N, D).
        y: their labels, shape (N, labels); None for a model without labels.

    Raises:
        VaecliError: the encoder has layers that the page cannot compute.
    """
    return _network(model.encoder, lambda: model.encoder(x, y), ENCODER_TOLERANCE)


def base64_of(values: Tensor) -> str:
    """The bytes of a tensor, little-endian, as base64."""
    return base64.b64encode(values.detach().contiguous().numpy().tobytes()).decode()


def levels(weight: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """A weight as whole numbers of so many bits, int32, and the float32 that those of each first index are multiplied by."""
    rows, most = weight.flatten(1).double(), 2 ** (bits - 1) - 1
    scale = (rows.abs().amax(1, keepdim=True) / most).clamp(min=1e-12).float().double()
    return (rows / scale).round().clamp(-most, most).int().view(weight.shape), scale.float().flatten()


def packed(values: Tensor, bits: int) -> Tensor:
    """Whole numbers of so many bits as bytes: uint8, each number's lowest bit first, one number right after the other."""
    flat = values.flatten().long() & (2**bits - 1)
    stream = ((flat[:, None] >> torch.arange(bits)) & 1).flatten()
    stream = torch.cat((stream, stream.new_zeros(-len(stream) % 8))).view(-1, 8)
    return (stream << torch.arange(8)).sum(1).to(torch.uint8)


@torch.inference_mode()
def _network(network: nn.Module, outputs: Callable[[], Tensor], tolerance: float) -> list[dict[str, Any]]:
    """The layers, large ones in as few bits as leave the outputs within the tolerance, one after the other.

    Args:
        network: the network, whose weights are changed meanwhile.
        outputs: runs the network on examples.
        tolerance: of any output.
    """
    layers = _layers(network)
    large = [layer for layer in layers if layer.weight.numel() >= MANY]
    whole = [layer.weight.data for layer in large]
    exact = outputs()
    rounded: dict[Any, dict[str, Any]] = {}
    share, total = 0.0, sum(weight.numel() for weight in whole)
    for layer in large:
        share += layer.weight.numel() / total
        weight = layer.weight.data
        for bits in BITS:
            rows, scale = levels(weight, bits)
            layer.weight.data = rows * scale.view(-1, *[1] * (rows.ndim - 1))
            if _precise((outputs() - exact).abs(), tolerance * share):
                rounded[layer] = {"bits": bits, "levels": base64_of(packed(rows, bits)), "scale": base64_of(scale)}
                break
            layer.weight.data = weight
    for layer, weight in zip(large, whole, strict=True):
        layer.weight.data = weight
    return [_layer(layer, network, rounded.get(layer) or {"half": base64_of(layer.weight.data.half())}) for layer in layers]


def _precise(error: Tensor, tolerance: float) -> bool:
    return float((error > tolerance).float().mean()) <= _RARE and float(error.max()) <= _LARGEST * tolerance


def _layers(network: nn.Module) -> list[Any]:
    layers = [module for module in network.modules() if isinstance(module, tuple(_KINDS))]
    known = sum(parameter.numel() for layer in layers for parameter in layer.parameters())
    if known != sum(parameter.numel() for parameter in network.parameters()) or not hasattr(network, "activation"):
        raise VaecliError(
            "the page computes dense layers and convolutions; found a network with others, expected {arch=mlp} or {arch=conv}"
        )
    most = max(float(parameter.detach().abs().max()) for parameter in network.parameters())
    if not most <= MOST_WEIGHT:
        raise VaecliError(
            f"found a weight of {most:g}, expected at most {MOST_WEIGHT:g}, which half precision holds: train the model anew"
        )
    return layers


def _layer(layer: Any, network: Any, weight: dict[str, Any]) -> dict[str, Any]:
    kind = next(name for known, name in _KINDS.items() if isinstance(layer, known))
    common = {"kind": kind, "activation": network.activation, "bias": base64_of(layer.bias.half()), "weight": weight}
    if kind != "dense":
        shape = {"kernel": layer.kernel_size[0], "stride": layer.stride[0], "padding": layer.padding[0]}
        return common | shape | {"inputs": layer.in_channels, "outputs": layer.out_channels}
    labels = layer.labels if isinstance(layer, LabelledLinear) else 0
    return common | {"inputs": layer.in_features, "outputs": layer.out_features, "labels": labels}
