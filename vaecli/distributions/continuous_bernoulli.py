"""Grey pixels with the Bernoulli made a density."""

from typing import Any

import torch
from torch import Tensor

from vaecli.distributions.pixels import PixelLikelihood

_SMALL = 0.3  # |logit| below which a series is used, with an error under 1e-8; the clamps lie elsewhere, since they stop gradients


class ContinuousBernoulli(PixelLikelihood):
    """Independent pixels x in [0, 1] with density proportional to exp(x l), l = output: log p(x) = sum_i x_i l_i - A(l_i).

    A(l) = log((e^l - 1) / l) is the Bernoulli's softplus(l) less the log-normaliser log C of Loaiza-Ganem & Cunningham 2019,
    arXiv:1907.06845, eq. 7; here it is computed without loss near l = 0 and at both ends.
    """

    @property
    def logits(self) -> Tensor:
        """Natural parameters l, shape (..., D)."""
        return self.output.squeeze(-2).float()

    @staticmethod
    def grey(pixels: Tensor) -> Tensor:
        """The byte over 255."""
        return pixels / 255

    def log_prob(self, value: Tensor) -> Tensor:
        """Nats, shape (...), of images in [0, 1], shape (..., D); a density, so it may be positive."""
        return (value * self.logits - _log_partition(self.logits)).sum(-1)

    def pairwise_log_prob(self, value: Tensor) -> Tensor:
        """Nats, shape (G, N)."""
        return torch.addmm(-_log_partition(self.logits).sum(-1, keepdim=True), self.logits, value.T)

    @property
    def mean(self) -> Tensor:
        """A'(l), shape (..., D)."""
        return _mean(self.logits)

    def sample(self, sample_shape: Any = (), generator: torch.Generator | None = None) -> Tensor:
        """Pixels in [0, 1], shape (*sample_shape, ..., D), by the inverse of the distribution function."""
        shape = self._extended_shape(torch.Size(sample_shape))
        u = torch.rand(shape, generator=generator, device=self.output.device)
        size = self.logits.abs().clamp(min=1e-4)
        from_zero = -torch.log1p(u * torch.expm1(-size)) / size
        return torch.where(self.logits > 0, 1 - from_zero, from_zero).clamp(0, 1)

    @classmethod
    def output_for(cls, mean: Tensor, deviation: Tensor | None = None) -> Tensor:
        """The logits, by bisection: the mean rises with the logit."""
        low, high = torch.full_like(mean, -1e3), torch.full_like(mean, 1e3)
        for _ in range(60):
            middle = (low + high) / 2
            below = _mean(middle) < mean
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return ((low + high) / 2).unsqueeze(-2)


def _log_partition(logits: Tensor) -> Tensor:
    """A(l) = log((e^l - 1) / l) = max(l, 0) + log((1 - e^-|l|) / |l|)."""
    size = logits.abs()
    far = size.clamp(min=_SMALL / 2)
    square = size.clamp(max=2 * _SMALL).square()
    series = square / 24 - square.square() / 2880 + square**3 / 181440
    return torch.where(size < _SMALL, logits / 2 + series, logits.clamp(min=0) + torch.log(-torch.expm1(-far)) - far.log())


def _mean(logits: Tensor) -> Tensor:
    """A'(l) = 1 / (1 - e^-l) - 1 / l."""
    size = logits.abs()
    far = size.clamp(min=_SMALL / 2)
    near = size.clamp(max=2 * _SMALL)
    series = near / 12 - near**3 / 720 + near**5 / 30240
    above_half = torch.where(size < _SMALL, series, -1 / torch.expm1(-far) - 1 / far - 0.5)
    return 0.5 + above_half * logits.sign()
