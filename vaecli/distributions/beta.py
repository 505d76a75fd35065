"""Grey pixels with a Beta density each."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vaecli.distributions.pixels import PixelLikelihood

_LOWEST, _HIGHEST = -12.0, 173.0  # of the raw output: alpha and beta from 2e-5 to 500


class Beta(PixelLikelihood):
    """Independent pixels x in (0, 1): log p(x) = sum_i (a_i - 1) log x_i + (b_i - 1) log(1 - x_i) - log B(a_i, b_i).

    a = 2 softplus(raw) / log 2, and b likewise: exactly (2, 2), the report's shape (its eq. 4), where the decoder starts. A
    pixel that is black in every image would drive both to infinity, since a density has no upper bound; they are clamped
    to between 2e-5 and 500, where the density is about as wide as one of the 256 greys.
    """

    outputs_per_pixel = 2
    zero_start = True

    @property
    def concentrations(self) -> tuple[Tensor, Tensor]:
        """The concentrations a and b, each of shape (..., D)."""
        alpha, beta = (2 / math.log(2) * F.softplus(self.output.float().clamp(_LOWEST, _HIGHEST))).unbind(-2)
        return alpha, beta

    @staticmethod
    def grey(pixels: Tensor) -> Tensor:
        """(byte + 0.5) / 256: no pixel sits on 0 or 1, where the density may be infinite."""
        return (pixels + 0.5) / 256

    def log_prob(self, value: Tensor) -> Tensor:
        """Nats, shape (...), of images in (0, 1), shape (..., D); a density, so it may be positive."""
        alpha, beta = self.concentrations
        return ((alpha - 1) * value.log() + (beta - 1) * torch.log1p(-value) - _log_b(alpha, beta)).sum(-1)

    def pairwise_log_prob(self, value: Tensor) -> Tensor:
        """Nats, shape (G, N)."""
        alpha, beta = self.concentrations
        ones = torch.addmm(-_log_b(alpha, beta).sum(-1, keepdim=True), alpha - 1, value.log().T)
        return torch.addmm(ones, beta - 1, torch.log1p(-value).T)

    @property
    def mean(self) -> Tensor:
        """The mean a / (a + b), shape (..., D)."""
        alpha, beta = self.concentrations
        return alpha / (alpha + beta)

    def sample(self, sample_shape: Any = (), generator: torch.Generator | None = None) -> Tensor:
        """Pixels in (0, 1), shape (*sample_shape, ..., D)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        # float64: a gamma variable of a small concentration is often below the range of float32
        ones, zeros = (
            torch._standard_gamma(shape_parameter.double().expand(shape).contiguous(), generator=generator)
            for shape_parameter in self.concentrations
        )
        return (ones / (ones + zeros)).float().clamp(1e-7, 1 - 1e-7)

    @classmethod
    def output_for(cls, mean: Tensor, deviation: Tensor | None = None) -> Tensor:
        """The output with alpha + beta = 4, the sum at which the decoder starts, whatever the deviation."""
        softplus = torch.stack((4 * mean, 4 * (1 - mean))).clamp(min=1e-3) * math.log(2) / 2
        return softplus + torch.log(-torch.expm1(-softplus))


def _log_b(alpha: Tensor, beta: Tensor) -> Tensor:
    """The logarithm of B(alpha, beta)."""
    return torch.lgamma(alpha) + torch.lgamma(beta) - torch.lgamma(alpha + beta)
