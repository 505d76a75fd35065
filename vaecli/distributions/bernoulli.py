"""Black or white pixels."""

import math
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor

from vaecli.distributions.pixels import PixelLikelihood, wide_type
from vaecli.errors import UsageError


class Bernoulli(PixelLikelihood):
    """Independent pixels x in {0, 1} with logits l = output: log p(x) = sum_i x_i l_i - softplus(l_i).

    Kingma & Welling 2014, arXiv:1312.6114, appendix C.1.
    """

    discrete = True

    @property
    def logits(self) -> Tensor:
        """Log odds that a pixel is white, shape (..., D)."""
        return self.output.squeeze(-2)

    @staticmethod
    def grey(pixels: Tensor) -> NoReturn:
        """Refuses: a Bernoulli pixel is 0 or 1, never grey.

        Raises:
            UsageError: always.
        """
        raise UsageError("{binarize=none} with {likelihood=bernoulli}: a Bernoulli pixel is 0 or 1; use {binarize=threshold}")

    def log_prob(self, value: Tensor) -> Tensor:
        """Nats, shape (...), of images in {0, 1}, shape (..., D)."""
        logits = self.logits
        if logits.shape[-value.ndim :] != value.shape:
            logits, value = torch.broadcast_tensors(logits, value)
        particles = logits.reshape(-1, *value.shape)
        fewest_passes = logits.device.type == "cpu" and not logits.requires_grad
        result: Tensor = _value_alone(particles, value) if fewest_passes else _LogProb.apply(particles, value)
        return result.view(logits.shape[:-1])

    def pairwise_log_prob(self, value: Tensor) -> Tensor:
        """Nats, shape (G, N): logits x - sum softplus(logits)."""
        logits = self.logits.float()
        return torch.addmm(-F.softplus(logits).sum(-1, keepdim=True), logits, value.T)

    @property
    def mean(self) -> Tensor:
        """The probability that a pixel is white, shape (..., D)."""
        return torch.sigmoid(self.logits.float())

    def sample(self, sample_shape: Any = (), generator: torch.Generator | None = None) -> Tensor:
        """Pixels in {0, 1}, shape (*sample_shape, ..., D)."""
        return torch.bernoulli(self.mean.expand(self._extended_shape(torch.Size(sample_shape))), generator=generator)

    @classmethod
    def output_for(cls, mean: Tensor, deviation: Tensor | None = None) -> Tensor:
        """The log odds of the means, clamped to [0.001, 0.999] (Burda et al. 2015, their code)."""
        return torch.logit(mean, eps=1e-3).unsqueeze(-2)


class _LogProb(torch.autograd.Function):
    """Sum of x l - softplus(l) of logits (K, ..., D) and images (..., D); keeps the gradient x - sigmoid(l).

    With s = sigmoid(l), softplus(l) = max(l, 0) - log max(s, 1 - s), and one logarithm is taken of the product over many pixels.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor) -> Tensor:
        wide = wide_type(logits)
        value = logits.new_empty(logits.shape[:-1], dtype=wide)
        gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        block = max(1, _BLOCK // x.numel()) if logits.device.type == "cpu" else len(logits)
        factors = math.gcd(x.shape[-1], _FACTORS)
        for start in range(0, len(logits), block):
            particles = slice(start, start + block)
            l = logits[particles].to(wide)  # noqa: E741
            s = torch.sigmoid(l)
            if gradient is not None:
                torch.sub(x, s, out=gradient[particles])
            confidence = s.sub_(0.5).abs_().add_(0.5).unflatten(-1, (-1, factors)).prod(-1)
            torch.clamp_min(l, 0, out=s).addcmul_(x, l, value=-1)
            torch.sub(confidence.log_().sum(-1), s.sum(-1), out=value[particles])
        ctx.save_for_backward(gradient)
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grads[0].to(gradient.dtype).unsqueeze(-1), None


def _value_alone(logits: Tensor, x: Tensor) -> Tensor:
    """Sum of log sigmoid(r) with r = l where x = 1 and -l where x = 0: what `_LogProb` gives, in half its passes over the pixels.

    One logarithm is taken of the product over many pixels. Where that is below float32's normal range, because some pixels are all
    but impossible, the sum is -softplus(-r) pixel by pixel.
    """
    wide = wide_type(logits)
    sign = 2 * x.to(wide) - 1
    value = logits.new_empty(logits.shape[:-1], dtype=wide)
    block = min(len(logits), max(1, _BLOCK // x.numel()))
    memory = logits.new_empty(block, *x.shape, dtype=wide)
    factors = math.gcd(x.shape[-1], _FACTORS_ALONE)
    for start in range(0, len(logits), block):
        l = logits[start : start + block]  # noqa: E741
        products = torch.mul(l, sign, out=memory[: len(l)]).sigmoid_().unflatten(-1, (-1, factors)).prod(-1)
        lost = products < torch.finfo(wide).tiny
        torch.sum(products.log_(), -1, out=value[start : start + block])
        if lost.any():
            rows = lost.any(-1)
            value[start : start + block][rows] = -F.softplus(-l[rows] * sign.expand_as(l)[rows]).sum(-1)
    return value


_BLOCK = 1 << 19
"""Pixels in a block on a CPU, so that intermediate results stay in its cache."""

_FACTORS = 112
"""Factors in a product, at most: 112 factors of at least 1/2 give a normal float32."""

_FACTORS_ALONE = 56
"""Factors in a product of `_value_alone`, at most: few enough that only images all but impossible give less than float32 holds."""
