"""Networks as JSON values: what the page's script computes with."""

import base64
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vaecli.errors import VaecliError
from vaecli.explorer.operations import operations
from vaecli.model import VAE
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


def decoder_of(model: VAE, z: Tensor, y: Tensor | None) -> list[dict[str, Any]]:
    """The operations of a decoder, in order; the weights of large layers have few bits.

    Args:
        model: on the CPU.
        z: latents, shape (N, latent_dim), which say with as many draws of the prior whether few bits are precise enough.
        y: their labels, shape (N, labels); None for a model without labels.

    Raises:
        VaecliError: the page cannot compute the decoder.
    """
    z = torch.cat((z, model.prior.sample(len(z), generator("cpu", "explorer latents"))))
    y = None if y is None else y.repeat(2, 1)
    return _network(model.decoder, (z[:, : model.prior.decoded], y), lambda: model.likelihood(z, y).mean, TOLERANCE)


def encoder_of(model: VAE, x: Tensor, y: Tensor | None) -> list[dict[str, Any]]:
    """The operations of an encoder, in order; the weights of large layers have few bits.

    Args:
        model: on the CPU.
        x: what it observes of images, shape (N, D).
        y: their labels, shape (N, labels); None for a model without labels.

    Raises:
        VaecliError: the page cannot compute the encoder.
    """
    return _network(model.encoder, (x, y), lambda: model.encoder(x, y), ENCODER_TOLERANCE)


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
def _network(
    network: nn.Module, inputs: tuple[Tensor, Tensor | None], outputs: Callable[[], Tensor], tolerance: float
) -> list[dict[str, Any]]:
    """The operations, large weights in as few bits as leave the outputs within the tolerance, one after the other.

    Args:
        network: the network, whose weights are changed meanwhile.
        inputs: examples, and their labels.
        outputs: runs the network on examples.
        tolerance: of any output.
    """
    values, y = inputs
    done = operations(network, values[:1], None if y is None else y[:1])
    most = max((float(tensor.abs().max()) for step in done for tensor in step.values() if isinstance(tensor, Tensor)), default=0.0)
    if not most <= MOST_WEIGHT:
        raise VaecliError(
            f"found a weight of {most:g}, expected at most {MOST_WEIGHT:g}, which half precision holds: train the model anew"
        )
    weights = dict.fromkeys(step["weight"] for step in done if "weight" in step)
    large = [weight for weight in weights if weight.numel() >= MANY]
    exact = outputs()
    rounded: dict[Tensor, dict[str, Any]] = {}
    share, total = 0.0, sum(weight.numel() for weight in large)
    whole = [weight.data for weight in large]
    for weight, given in zip(large, whole, strict=True):
        share += weight.numel() / total
        for bits in BITS:
            rows, scale = levels(given, bits)
            weight.data = rows * scale.view(-1, *[1] * (rows.ndim - 1))
            if _precise((outputs() - exact).abs(), tolerance * share):
                rounded[weight] = {"bits": bits, "levels": base64_of(packed(rows, bits)), "scale": base64_of(scale)}
                break
            weight.data = given
    for weight, given in zip(large, whole, strict=True):
        weight.data = given
    coded = {weight: rounded.get(weight) or {"half": base64_of(weight.data.half())} for weight in weights}
    return [{name: _coded(value, coded) for name, value in step.items()} for step in done]


def _precise(error: Tensor, tolerance: float) -> bool:
    return float((error > tolerance).float().mean()) <= _RARE and float(error.max()) <= _LARGEST * tolerance


def _coded(value: Any, weights: dict[Tensor, dict[str, Any]]) -> Any:
    if not isinstance(value, Tensor):
        return value
    return weights.get(value) or base64_of(value.half())
