"""How far a mean of importance weights is to be trusted: what their largest ones say."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

TRUSTED = 0.7
"""The k-hat above which the mean of weights is not to be trusted, however many they are (Vehtari et al. 2024, section 3.2.4)."""

FEWEST = 5
"""Weights in a tail, at least, that a distribution is fitted to."""


@dataclass(frozen=True)
class Diagnostics:
    """What the importance weights of N images say, each of shape (N,), float64 on the CPU.

    Attributes:
        effective_sample_size: (sum w)^2 / sum w^2, from 1 to k.
        largest: the share of the sum that the largest weight carries.
        k_hat: the tail's shape, as `pareto_k` has it; NaN where k is below 21, too few for a tail.
    """

    effective_sample_size: Tensor
    largest: Tensor
    k_hat: Tensor

    @property
    def untrusted(self) -> float | None:
        """The share of images whose k-hat is above TRUSTED; None where it is not known."""
        return None if self.k_hat.isnan().any() else float((self.k_hat > TRUSTED).double().mean())


def kept_weights(k: int) -> int:
    """How many of k weights, the largest, `pareto_k` is told: its tail's, and the one below."""
    return min(k, math.ceil(min(0.2 * k, 3 * math.sqrt(k))) + 1)


def pareto_k(log_w: Tensor) -> Tensor:
    """The shape k of generalised Pareto distributions, fitted to the tails of weights: k of them have 1 / k moments.

    By the estimator of Zhang & Stephens 2009, Technometrics 51(3), drawn towards 0.5 where the tail is short (Vehtari et al. 2024,
    arXiv:1507.02646, appendix C).

    Args:
        log_w: logarithms of the largest weights of each image, `kept_weights` of them in any order, float64, shape (M + 1, N).

    Returns:
        Shape (N,): inf where fewer than five weights are above the others in float64, -inf where all are equal, NaN where the tail
        has fewer than five.
    """
    if len(log_w) <= FEWEST:
        return log_w.new_full(log_w.shape[1:], math.nan)
    log_w = log_w.sort(0, descending=True).values
    weights = (log_w - log_w[0]).exp()
    x = (weights[:-1] - weights[-1]).T  # how far those of the tail are above the one below, the largest first, shape (N, M)
    count = (x > 0).sum(1)
    quartile = x.gather(1, (count - (count / 4 + 0.5).long()).clamp(0, x.shape[1] - 1)[:, None])
    trials = 30 + int(math.sqrt(x.shape[1]))
    grid = 1 - (trials / (torch.arange(trials, dtype=x.dtype) + 0.5)).sqrt()
    b = grid / (3 * quartile) + 1 / x[:, :1]
    k = torch.log1p(-b[:, :, None] * x[:, None]).sum(2) / count[:, None]
    log_posterior = count[:, None] * ((-b / k).log() - k - 1)
    mean_b = (log_posterior.softmax(1) * b).sum(1, keepdim=True)
    fitted = torch.log1p(-mean_b * x).sum(1)  # count * k
    fitted = (fitted + 10 * 0.5) / (count + 10)
    return fitted.masked_fill(count < FEWEST, math.inf).masked_fill(count == 0, -math.inf)
