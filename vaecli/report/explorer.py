"""The data with which the page decodes latents by itself: decoders' weights, the test images and their latents."""

import base64
from typing import Any

import torch
from torch import Tensor, nn

from vaecli.data.images import Images
from vaecli.evaluation.encode import encode
from vaecli.runs.run import Run

POINTS = 10_000
"""Test images at most that are shown as points."""


def payload(runs: list[Run], images: Images) -> dict[str, Any]:
    """JSON values for ``explorer.js``; numbers as base64 of little-endian float16, images as packed bits.

    Args:
        runs: dense Bernoulli models with two or three latents and no labels.
        images: the test images, shown as points at their posteriors' means.
    """
    shown = images[:POINTS]
    white = (shown.pixels > 127).view(len(shown), -1, 8)
    bits = (white.to(torch.uint8) << torch.arange(7, -1, -1, dtype=torch.uint8)).sum(-1, dtype=torch.uint8)
    return {
        "labels": _base64(shown.labels.to(torch.uint8)),
        "images": _base64(bits),
        "names": list(shown.class_names),
        "spaces": [_space(run, shown) for run in runs],
    }


def _space(run: Run, images: Images) -> dict[str, Any]:
    decoder: Any = run.model.decoder
    layers: list[nn.Linear] = [decoder.input, *decoder.hidden, decoder.output]
    means = encode(run.model, images).loc
    return {
        "run": run.name,
        "size": means.shape[1],
        "reach": float(means.abs().quantile(0.999)),
        "points": _base64(means.half()),
        "layers": [
            {"inputs": layer.in_features, "outputs": layer.out_features, "weight": _half(layer.weight), "bias": _half(layer.bias)}
            for layer in layers
        ],
    }


def _half(values: Tensor) -> str:
    return _base64(values.detach().half())


def _base64(values: Tensor) -> str:
    return base64.b64encode(values.contiguous().numpy().tobytes()).decode()
