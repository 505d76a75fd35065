"""Weights rounded to a few bits so that a layer's outputs change little, and packed."""

import torch
from torch import Tensor

MOST_INPUTS = 1024
"""Inputs of a layer up to which errors are made good; the time for it grows with their cube."""

_DAMPING = 1e-3


def levels(weight: Tensor, bits: int, inputs: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Whole numbers of so many bits, int32, and the float32 that those of each first index are multiplied by.

    With inputs, what one column's rounding changes in the outputs is made good in the columns after it, as far as these inputs
    allow (Frantar et al. 2023, "GPTQ", arXiv:2210.17323, algorithm 1).

    Args:
        weight: of a dense layer (outputs, inputs), or of a convolution.
        bits: at most 16.
        inputs: examples of what a dense layer gets, shape (N, inputs).
    """
    rows, most = weight.flatten(1).double(), 2 ** (bits - 1) - 1
    scale = (rows.abs().amax(1, keepdim=True) / most).clamp(min=1e-12).float().double()
    if inputs is None or inputs.shape[1] > MOST_INPUTS:
        return (rows / scale).round().clamp(-most, most).int().view(weight.shape), scale.float().flatten()
    spread = _spread(inputs.double())
    if spread is None:
        return levels(weight, bits)
    rest, rounded = rows.clone(), torch.empty(rows.shape, dtype=torch.int32)
    for column, shares in enumerate(spread):
        level = (rest[:, column : column + 1] / scale).round().clamp(-most, most)
        rounded[:, column] = level.squeeze(1).int()
        error = (rest[:, column : column + 1] - level * scale) / shares[column]
        rest[:, column + 1 :] -= error @ shares[None, column + 1 :]
    return rounded, scale.float().flatten()


def packed(values: Tensor, bits: int) -> Tensor:
    """Whole numbers of so many bits as bytes: uint8, each number's lowest bit first, one number right after the other."""
    flat = values.flatten().long() & (2**bits - 1)
    stream = ((flat[:, None] >> torch.arange(bits)) & 1).flatten()
    stream = torch.cat((stream, stream.new_zeros(-len(stream) % 8))).view(-1, 8)
    return (stream << torch.arange(8)).sum(1).to(torch.uint8)


def _spread(inputs: Tensor) -> Tensor | None:
    """The upper Cholesky factor of the inverse of the inputs' second moments, shape (inputs, inputs); None if float64 has none."""
    moments = inputs.T @ inputs / len(inputs)
    moments += (_DAMPING * float(moments.diagonal().mean()) + 1e-12) * torch.eye(len(moments), dtype=moments.dtype)
    try:
        factor: Tensor = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(moments)), upper=True)
    except RuntimeError:  # torch's LinAlgError, of inputs whose sizes differ by more than float64 resolves
        return None
    return factor
