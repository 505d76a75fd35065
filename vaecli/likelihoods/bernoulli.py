"""Black or white pixels."""

from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor

from vaecli.errors import UsageError
from vaecli.likelihoods.pixels import PixelLikelihood


class Bernoulli(PixelLikelihood):
    """Independent pixels x in {0, 1} with logits l = output: log p(x) = sum_i x_i l_i - softplus(l_i).

    Kingma & Welling 2014, arXiv:1312.6114, appendix C.1.
    """

    @property
    def logits(self) -> Tensor:
        """Log odds that a pixel is white, shape (..., 784)."""
        return self.output.squeeze(-2)

    @staticmethod
    def grey(pixels: Tensor) -> NoReturn:
        """There is no grey Bernoulli pixel.

        Raises:
            UsageError: always.
        """
        raise UsageError("--binarize none with --likelihood bernoulli: a Bernoulli pixel is 0 or 1; use --binarize threshold")

    def log_prob(self, value: Tensor) -> Tensor:
        """Nats, shape (...), of images in {0, 1}, shape (..., 784)."""
        shape = torch.broadcast_shapes(value.shape, self.logits.shape)
        result: Tensor = _LogProb.apply(self.logits.expand(shape), value)
        return result

    def log_prob_of_each(self, value: Tensor) -> Tensor:
        """Nats, shape (G, N): logits x - sum softplus(logits)."""
        logits = self.logits.float()
        return torch.addmm(-F.softplus(logits).sum(-1, keepdim=True), logits, value.T)

    @property
    def mean(self) -> Tensor:
        """The probability that a pixel is white, shape (..., 784)."""
        return torch.sigmoid(self.logits.float())

    def sample(self, sample_shape: Any = (), generator: torch.Generator | None = None) -> Tensor:
        """Pixels in {0, 1}, shape (*sample_shape, ..., 784)."""
        return torch.bernoulli(self.mean.expand(self._extended_shape(torch.Size(sample_shape))), generator=generator)

    @classmethod
    def output_for(cls, mean: Tensor) -> Tensor:
        """The log odds, of means held within [0.001, 0.999] (Burda et al. 2015, their code)."""
        return torch.logit(mean, eps=1e-3).unsqueeze(-2)


class _LogProb(torch.autograd.Function):
    """Sum of x l - softplus(l), keeping only the logits for its gradient x - sigmoid(l)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(logits, x)
        wide = torch.promote_types(logits.dtype, torch.float32)
        return (x * logits).sum(-1, dtype=wide) - F.softplus(logits).sum(-1, dtype=wide)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        logits, x = ctx.saved_tensors
        return (x - torch.sigmoid(logits)).mul_(grads[0].unsqueeze(-1)), None
