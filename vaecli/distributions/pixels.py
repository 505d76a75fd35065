"""The base class of all likelihoods."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.distributions import Distribution


class PixelLikelihood(Distribution, ABC):
    """A distribution over images whose pixels are independent, made from the decoder's output.

    Args:
        output: the decoder's raw output, shape (..., outputs_per_pixel, D); the batch shape is (...).

    Attributes:
        outputs_per_pixel: how many numbers the decoder gives for each pixel.
        zero_start: whether the decoder's last layer starts at zero, so that training starts from one known shape.
        discrete: whether `log_prob` is of probabilities, which also have bits per dimension, and not of densities.
        pairwise_is_product: whether `pairwise_log_prob` is a matrix product, as for exponential families; if not, it takes several
            times as long.
    """

    arg_constraints: dict[str, Any] = {}
    outputs_per_pixel: ClassVar[int] = 1
    zero_start: ClassVar[bool] = False
    discrete: ClassVar[bool] = False
    pairwise_is_product: ClassVar[bool] = True

    def __init__(self, output: Tensor) -> None:
        self.output = output
        super().__init__(output.shape[:-2], output.shape[-1:], validate_args=False)

    @staticmethod
    @abstractmethod
    def grey(pixels: Tensor) -> Tensor:
        """Values in the support of this distribution, from bytes of any shape, for ``binarize="none"``."""

    @abstractmethod
    def log_prob(self, value: Tensor) -> Tensor:
        """The log density or probability of images `value`, shape (..., D), in nats, shape (...); needs no gradient of `value`.

        Images of shape (B, D) are shared by all particles of a batch shape (k, B).
        """

    @abstractmethod
    def pairwise_log_prob(self, value: Tensor) -> Tensor:
        """The log density of all N images under all G distributions of a batch.

        Args:
            value: images, shape (N, D).

        Returns:
            Nats, shape (G, N).
        """

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """The mean of each pixel, shape (..., D)."""

    @abstractmethod
    def sample(self, sample_shape: Any = (), generator: torch.Generator | None = None) -> Tensor:
        """Images drawn with `generator`, shape (*sample_shape, ..., D)."""

    @classmethod
    @abstractmethod
    def output_for(cls, mean: Tensor, deviation: Tensor | None = None) -> Tensor:
        """The output, shape (outputs_per_pixel, D), of the distribution whose pixels have this `mean`, shape (D,).

        Training starts with it, and then the pixels' standard `deviation` is given too, shape (D,), which a likelihood may use.
        """

    def marginal(self, mask: Tensor) -> Self:
        """The distribution of the pixels where the boolean `mask`, shape (D,), is true."""
        return type(self)(self.output[..., mask])


def wide_type(output: Tensor) -> torch.dtype:
    """The type to compute with a decoder's output in: float32 at least."""
    return torch.promote_types(output.dtype, torch.float32)
