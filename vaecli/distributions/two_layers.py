"""Two layers of latents, the second a Gaussian given the first."""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from vaecli.distributions.latents import PlaneDensity, plane_bounds, without_gradient
from vaecli.distributions.normal import DiagonalNormal
from vaecli.errors import UsageError

MAX_LOG_SCALE = 10.0


def check_layers(latent_dim: int, second_latents: int) -> None:
    """Refuses a second layer that leaves no latents for the first.

    Raises:
        UsageError: it does.
    """
    if second_latents >= latent_dim:
        raise UsageError(
            "{second_latents} with {latent_dim}: expected fewer in the second layer than in both", second_latents=second_latents,
            latent_dim=latent_dim,
        )  # fmt: skip


class TwoLayers(PlaneDensity):
    """The density of two layers of latents side by side: a diagonal Gaussian, and another whose parameters a network makes of it.

    Args:
        given: the Gaussian of the layer that is drawn first, of batch shape () or (B,).
        network: from its latents, shape (..., D'), to the loc and log_scale of the other layer, side by side.
        given_is_left: whether the layer that is drawn first stands on the left of the other one.
    """

    def __init__(self, given: DiagonalNormal, network: Callable[[Tensor], Tensor], given_is_left: bool) -> None:
        self._given, self._network, self._given_is_left = given, network, given_is_left

    def _split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        size = self._given.loc.shape[-1]
        return (z[..., :size], z[..., size:]) if self._given_is_left else (z[..., -size:], z[..., :-size])

    def _joined(self, given: Tensor, other: Tensor) -> Tensor:
        return torch.cat((given, other) if self._given_is_left else (other, given), -1)

    def _other(self, given: Tensor) -> DiagonalNormal:
        loc, log_scale = self._network(given).chunk(2, -1)
        return DiagonalNormal(loc, log_scale.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log density of latents of shape (..., D), in nats, shape (...)."""
        given, other = self._split(value)
        return self._given.log_prob(given) + self._other(given).log_prob(other)

    def transform(self, eps: Tensor) -> Tensor:
        """The latents that standard normal noise becomes, shape (..., D) as it."""
        of_given, of_other = self._split(eps)
        given = self._given.transform(of_given)
        return self._joined(given, self._other(given).transform(of_other))

    @property
    def mean(self) -> Tensor:
        """The means of the layer that is drawn first, and those of the other at these, shape (B, D)."""
        return self._joined(self._given.mean, self._other(self._given.mean).mean)

    @property
    def stddev(self) -> Tensor:
        """The standard deviations, those of the other layer at the means of the first, shape (B, D)."""
        return self._joined(self._given.stddev, self._other(self._given.mean).stddev)

    @cached_property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """As `plane_bounds` gives them."""
        return plane_bounds(self.transform, self._joined(self._given.loc, self._other(self._given.loc).loc))

    def detached(self) -> "TwoLayers":
        """The same distribution, through whose parameters no gradient goes."""
        return TwoLayers(self._given.detached(), without_gradient(self._network), self._given_is_left)
