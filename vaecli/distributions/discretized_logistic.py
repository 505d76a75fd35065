"""Pixels of 256 levels with a discretised logistic each."""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vaecli.distributions.pixels import PixelLikelihood, wide_type

_MOST = math.exp(7)  # of 1 / s: a scale of an eighth of a level, where nearly all probability can be on one level
_LEAST_SHARE = 1e-6  # of it: a scale of 900, where nearly half of the probability is on either end
_SHIFT = 7.0  # of the raw output: where it is 0, so is l
_HALF_WIDTH = 1 / 255  # of a level, on [-1, 1]


class DiscretizedLogistic(PixelLikelihood):
    """Independent pixels x in {0, 1/255, ..., 1}: a logistic variable on [-1, 1], rounded to the nearest of the 256 levels.

    With c = 2x - 1, location m and scale s = e^l: P(x) = sigmoid((c + 1/255 - m) / s) - sigmoid((c - 1/255 - m) / s), the outermost
    levels open to infinity (Kingma et al. 2016, arXiv:1606.04934, section 4.1; Salimans et al. 2017, arXiv:1701.05517, eq. 2, with
    one component). The difference is sigmoid(z+) sigmoid(-z-) (1 - e^-2h) with z+- = (c - m) / s +- h and h = 1 / (255 s): its
    logarithm is a sum of three terms that neither cancel nor underflow, at any location and scale.

    The decoder starts at m = 0, mid-grey, and l = 0; l falls towards -7 and no further.
    """

    outputs_per_pixel = 2
    zero_start = True
    discrete = True
    pairwise_is_product = False

    @property
    def loc(self) -> Tensor:
        """The locations m on [-1, 1], or outside, shape (..., D)."""
        return self.output.select(-2, 0).to(wide_type(self.output))

    @property
    def log_scale(self) -> Tensor:
        """The logarithms l of the scales, from -7 to 6.8, shape (..., D)."""
        return -_inverse_scale(self.output.select(-2, 1).to(wide_type(self.output))).log()

    @staticmethod
    def grey(pixels: Tensor) -> Tensor:
        """The byte over 255."""
        return pixels / 255

    def log_prob(self, value: Tensor) -> Tensor:
        """Nats, shape (...), of images in {0, 1/255, ..., 1}, shape (..., D)."""
        output, batch = self.output, value.shape[:-1]
        if output.shape[: output.ndim - 2][output.ndim - 2 - len(batch) :] != batch:
            batch = torch.broadcast_shapes(output.shape[:-2], batch)
            output, value = output.expand(*batch, *output.shape[-2:]), value.expand(*batch, -1)
        particles = output.reshape(-1, *value.shape[:-1], 2, value.shape[-1])
        result: Tensor = _LogProb.apply(particles, value)
        return result.view(output.shape[:-2])

    def pairwise_log_prob(self, value: Tensor) -> Tensor:
        """Nats, shape (G, N), read off a table of all 256 levels where there are as many images; memory is bounded."""
        images = len(value)
        output = self.output.flatten(0, -3)
        result = output.new_zeros(len(output), images, dtype=wide_type(output))
        if images < _FEWEST_FOR_A_TABLE:
            rows, x = max(1, _BLOCK // value.numel()), _Pixels.of(value, result.dtype)
            for part, row in zip(output.unsqueeze(1).split(rows), result.split(rows), strict=True):
                m, raw = part.to(result.dtype).unbind(-2)
                x.log_prob(x.terms(m, _inverse_scale(raw)), out=row)
            return result
        loc, raw = output.to(result.dtype).permute(1, 2, 0).contiguous()
        inverse = _inverse_scale(raw)
        for start in range(0, value.shape[-1], _PIXELS):
            pixels = slice(start, start + _PIXELS)
            levels = (255 * value[:, pixels]).round_().to(torch.int32)
            levels += 256 * torch.arange(levels.shape[-1], dtype=torch.int32, device=levels.device)
            for column in range(0, len(output), _COLUMNS):
                columns = slice(column, column + _COLUMNS)
                table = _of_all_levels(loc[pixels, columns], inverse[pixels, columns])
                result[columns] += F.embedding_bag(levels, table.flatten(0, 1), mode="sum").T
        return result

    @property
    def mean(self) -> Tensor:
        """The mean of the 256 levels, shape (..., D): sum_j P(level > j) / 255 over the 255 edges between them."""
        loc = self.loc
        if torch.compiler.is_exporting():  # blocks would fix the number of images; other programs' sigmoid is coarse near 0
            share = 1 / (1 + (self.output.select(-2, 1).to(loc.dtype) + _SHIFT).exp())
            inverse = (share + _LEAST_SHARE) * _MOST
            return ((loc.unsqueeze(-1) - _edges(loc)) * inverse.unsqueeze(-1)).sigmoid().mean(-1)
        m, inverse, edges = loc.reshape(-1, 1), (-self.log_scale).exp().reshape(-1, 1), _edges(loc)
        mean = m.new_empty(len(m))  # small results kept between the blocks would leave holes in memory
        for start in range(0, len(m), _BLOCK // 256):
            part = slice(start, start + _BLOCK // 256)
            mean[part] = (m[part] - edges).mul_(inverse[part]).sigmoid_().mean(-1)
        return mean.view(loc.shape)

    def sample(self, sample_shape: Any = (), generator: torch.Generator | None = None) -> Tensor:
        """Pixels in {0, 1/255, ..., 1}, shape (*sample_shape, ..., D), by the inverse of the logistic's distribution function."""
        loc = self.loc
        shape = self._extended_shape(torch.Size(sample_shape))
        u = torch.rand(shape, generator=generator, device=loc.device, dtype=loc.dtype)
        c = u.logit_().mul_(self.log_scale.detach().exp()).add_(loc.detach())
        return c.add_(1).mul_(127.5).round_().clamp_(0, 255).div_(255)

    @classmethod
    def output_for(cls, mean: Tensor, deviation: Tensor | None = None) -> Tensor:
        """The output at the scale where the decoder starts, its mean clamped to [0.001, 0.999].

        With so wide a scale the mean of the levels is s/2 (softplus((m + 1) / s) - softplus((m - 1) / s)), the integral in place of
        the sum, to one in a million; this is solved for m. With a deviation, m is the mean and s the scale of a logistic variable
        of that deviation, a level at the least.
        """
        if deviation is not None:
            scale = (2 * math.sqrt(3) / math.pi * deviation).clamp(min=2 * _HALF_WIDTH)
            return torch.stack((2 * mean - 1, -_SHIFT - torch.logit(1 / (scale * _MOST) - _LEAST_SHARE)))
        raw = torch.zeros_like(mean)
        s = 1 / _inverse_scale(raw)
        y = 2 * mean.clamp(1e-3, 1 - 1e-3) / s
        loc = s * (torch.log(torch.expm1(y)) - torch.log(torch.exp(1 / s) - torch.exp(y - 1 / s)))
        return torch.stack((loc, raw))


@dataclass(frozen=True)
class _Terms:
    """What the log probabilities of pixels are made of.

    Attributes:
        below: z-.
        above: -z+.
        p: sigmoid(-z+), 0 of pixels of the highest level.
        q: sigmoid(z-), 0 of pixels of the lowest level.
        inverse: 1 / s.
        h: 1 / (255 s), half the width of a level in scales.
        width: 1 - e^-2h.
    """

    below: Tensor
    above: Tensor
    p: Tensor
    q: Tensor
    inverse: Tensor
    h: Tensor
    width: Tensor


@dataclass(frozen=True)
class _Pixels:
    """Pixels c on [-1, 1], and which of them are outermost, as 1 or 0: products are quicker than masks."""

    c: Tensor
    above_lowest: Tensor
    below_highest: Tensor
    outermost: Tensor

    @staticmethod
    def of(x: Tensor, dtype: torch.dtype) -> "_Pixels":
        """Those of images x in {0, 1/255, ..., 1}."""
        twice = 510 * x.to(dtype)
        below_highest, c = (510 - twice).clamp_(max=1), 2 * x.to(dtype) - 1
        above_lowest = twice.clamp_(max=1)
        return _Pixels(c, above_lowest, below_highest, 1 - above_lowest * below_highest)

    def terms(self, m: Tensor, inverse: Tensor) -> _Terms:
        """Their terms under logistics of location m and scale 1 / inverse."""
        h = inverse * _HALF_WIDTH
        below = (self.c - m).mul_(inverse).sub_(h)
        above = torch.add(below, h, alpha=2).neg_()
        p, q = torch.sigmoid(above).mul_(self.below_highest), torch.sigmoid(below).mul_(self.above_lowest)
        return _Terms(below, above, p, q, inverse, h, _width(h))

    def log_prob(self, terms: _Terms, out: Tensor) -> None:
        """Writes the sum of log P over the last dimension to `out`; uses up the terms.

        softplus(z) = max(z, 0) - log max(sigmoid(z), 1 - sigmoid(z)); one logarithm is taken of the factors of a few pixels.
        """
        exponent = terms.below.clamp_min_(0).mul_(self.above_lowest)
        exponent.addcmul_(terms.above.clamp_min_(0), self.below_highest)
        product = terms.p.sub_(0.5).abs_().add_(0.5).mul_(terms.q.sub_(0.5).abs_().add_(0.5))
        product *= torch.maximum(terms.width, self.outermost)
        factors = math.gcd(product.shape[-1], _FACTORS)
        torch.sub(product.unflatten(-1, (-1, factors)).prod(-1).log_().sum(-1), exponent.sum(-1), out=out)


class _LogProb(torch.autograd.Function):
    """Sum of log P over the pixels of outputs (K, ..., 2, D) and images (..., D); keeps the gradient.

    The derivative of log P by m is (q - p) / s, and by l it is q z- - p z+ - 2h / (e^2h - 1), without the last on outermost levels.
    """

    @staticmethod
    def forward(ctx: Any, output: Tensor, x: Tensor) -> Tensor:
        wide = wide_type(output)
        value = output.new_empty(output.shape[:-2], dtype=wide)
        gradient = torch.empty_like(output) if ctx.needs_input_grad[0] else None
        pixels = _Pixels.of(x, wide)
        block = max(1, _BLOCK // x.numel()) if output.device.type == "cpu" else len(output)
        for start in range(0, len(output), block):
            particles = slice(start, start + block)
            m, raw = output[particles].to(wide).unbind(-2)
            share = _share(raw)
            terms = pixels.terms(m, share.add(_LEAST_SHARE).mul_(_MOST))
            if gradient is not None:
                by_loc, by_raw = gradient[particles].unbind(-2)
                torch.mul(terms.q - terms.p, terms.inverse, out=by_loc)
                by_log_scale = (terms.q * terms.below).addcmul_(terms.p, terms.above)
                by_log_scale.addcmul_(terms.h.mul_(1 - terms.width).div_(terms.width), pixels.outermost - 1, value=2)
                slope = (1 - share).mul_(share).div_(share.add_(_LEAST_SHARE))
                torch.mul(by_log_scale, slope, out=by_raw)
            pixels.log_prob(terms, out=value[particles])
        ctx.save_for_backward(gradient)
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grads[0].to(gradient.dtype)[..., None, None], None


def _share(raw: Tensor) -> Tensor:
    return torch.sigmoid(-_SHIFT - raw)


def _inverse_scale(raw: Tensor) -> Tensor:
    """1 / s = e^7 (sigmoid(-r - 7) + 1e-6) of the raw output r: smooth where s nears its bounds, so that gradients lead back."""
    return (_share(raw) + _LEAST_SHARE) * _MOST


def _width(h: Tensor) -> Tensor:
    """1 - e^-2h without loss for small h; tanh is quicker than expm1."""
    tanh = torch.tanh(h)
    return tanh.div_(1 + tanh).mul_(2)


def _edges(like: Tensor) -> Tensor:
    """The 255 edges between the levels, on [-1, 1]."""
    return torch.arange(-254, 255, 2, dtype=like.dtype, device=like.device) / 255


def _of_all_levels(loc: Tensor, inverse: Tensor) -> Tensor:
    """The log probability of every level, shape (d, 256, g), of locations and inverse scales of shape (d, g).

    Two neighbours share an edge, at which softplus(-z) is softplus(z) - z.
    """
    inverse = inverse.unsqueeze(1)
    z = (_edges(loc).view(-1, 1) - loc.unsqueeze(1)).mul_(inverse)
    softplus = z.abs().clamp_(max=80).neg_().exp_().add_(1).log_().add_(z.clamp_min(0))
    table = F.pad(z.sub_(softplus), (0, 0, 0, 1))
    table[:, 1:] -= softplus
    table[:, 1:-1] += _width(inverse * _HALF_WIDTH).log_()
    return table


_BLOCK = 1 << 19
"""Pixels in a block, so that memory is bounded and, on a CPU, intermediate results stay in its cache."""

_FACTORS = 4
"""Factors in a product, at most: each of at least 1e-6 gives a normal float32."""

_FEWEST_FOR_A_TABLE = 128
"""Images from which a table of 256 levels is less work than the images themselves."""

_PIXELS = 64
"""Pixels in a table; few enough that their sum loses nothing in float32."""

_COLUMNS = 32
"""Distributions in a table, side by side in memory."""
