"""Densities that invertible maps make of Gaussians; the maps are those of zuko."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from vaecli.distributions.latents import PlaneDensity, plane_bounds, without_gradient
from vaecli.distributions.normal import DiagonalNormal
from vaecli.errors import VaecliError
from vaecli.seeding import generator

BINS = 8
"""Pieces of a spline."""

MOMENT_DRAWS = 64
"""Of the noise that a posterior's mean and standard deviations are estimated with."""

Network = Callable[[Tensor], Tensor]
"""From latents, shape (..., D), to the parameters of each, shape (..., D, parameters)."""


def zuko_transforms() -> Any:
    """The module `zuko.transforms`.

    Raises:
        VaecliError: zuko is not installed.
    """
    try:
        return import_module("zuko.transforms")
    except ImportError:
        raise VaecliError("found no zuko, which flows are made with; install it with: pip install 'vaecli[flows]'") from None


def additive(parameters: Tensor) -> Any:
    """The map z + b, of one parameter."""
    return zuko_transforms().AdditiveTransform(parameters.squeeze(-1))


def affine(parameters: Tensor) -> Any:
    """The map exp(a) z + b, of two parameters, with a within 6.9 of 0."""
    return zuko_transforms().MonotonicAffineTransform(*parameters.unbind(-1))


def spline(parameters: Tensor) -> Any:
    """A monotonic rational-quadratic spline on [-5, 5] (Durkan et al. 2019, arXiv:1906.04032), of 3 BINS - 1 parameters."""
    return zuko_transforms().MonotonicRQSTransform(*parameters.split([BINS, BINS, BINS - 1], -1))


def autoregressive(network: Network, map_of: Callable[[Tensor], Any], passes: int) -> Any:
    """The map of all latents, each by itself, whose parameters the network makes of latents before it.

    Args:
        network: gives the parameters.
        map_of: makes a map of the parameters.
        passes: of the network, in turn, that the inverse takes: the number of latents, or 2 for a coupling.
    """
    zuko = zuko_transforms()
    return zuko.AutoregressiveTransform(lambda z: zuko.DependentTransform(map_of(network(z)), 1), passes)


class FlowDensity(PlaneDensity):
    """The density of z = T(e), e from a diagonal Gaussian.

    Args:
        base: the Gaussian, of batch shape () or (B,).
        to_latents: T, a transformation of zuko.

    Example:
        >>> base = DiagonalNormal(torch.zeros(2), torch.zeros(2))
        >>> FlowDensity(base, autoregressive(lambda z: torch.zeros(*z.shape, 1), additive, 2)).log_prob(torch.zeros(2))
        tensor(-1.8379)
    """

    def __init__(self, base: DiagonalNormal, to_latents: Any) -> None:
        self.base, self._to_latents = base, to_latents
        self._known: tuple[Tensor, Tensor] | None = None

    def transform(self, eps: Tensor) -> Tensor:
        """The latents that standard normal noise becomes, shape (..., D) as it; their density is found on the way, and kept."""
        e = self.base.transform(eps)
        z: Tensor
        z, volume = self._to_latents.call_and_ladj(e)
        self._known = z, self.base.log_prob(e) - volume
        return z

    def log_prob(self, value: Tensor) -> Tensor:
        """The log density of latents of shape (..., D), in nats, shape (...).

        That of the latents which `transform` gave last is known; others are mapped back.
        """
        if self._known and value is self._known[0]:
            return self._known[1]
        e, volume = self._to_latents.inv.call_and_ladj(value)
        log_prob: Tensor = self.base.log_prob(e) + volume
        return log_prob

    @cached_property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """As `plane_bounds` gives them."""
        return plane_bounds(lambda eps: self._to_latents(self.base.transform(eps)), self.base.loc)


class AutoregressiveFlow(FlowDensity):
    """The densities of z = T(e; h), e ~ N(loc, diag(sigma^2)), of B images.

    From noise to latents with their density it is one pass of the networks, to the density of other latents D passes.

    Args:
        base: the Gaussians, of batch shape (B,).
        networks: of each map in turn, from latents and h to parameters.
        context: h, shape (B, context).
    """

    def __init__(self, base: DiagonalNormal, networks: Sequence[Callable[..., Tensor]], context: Tensor) -> None:
        self._networks, self._context = networks, context
        passes = base.loc.shape[-1]
        maps = [autoregressive(partial(network, context=context), affine, passes) for network in networks]
        super().__init__(base, zuko_transforms().ComposedTransform(*maps))

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        # draws and their negatives, with a variance of 1: for a Gaussian of independent latents both moments are exact
        eps = torch.randn(MOMENT_DRAWS // 2, 1, self.base.loc.shape[-1], generator=generator("cpu", "moments of a flow"))
        eps = torch.cat((eps, -eps)) / eps.square().mean(0).sqrt()
        z = self._to_latents(self.base.transform(eps.to(self.base.loc.device)))
        return z.mean(0), z.std(0, correction=0)

    @property
    def mean(self) -> Tensor:
        """The means, estimated by the same MOMENT_DRAWS draws each time, shape (B, D)."""
        return self._moments[0]

    @property
    def stddev(self) -> Tensor:
        """The standard deviations, estimated likewise, shape (B, D)."""
        return self._moments[1]

    def detached(self) -> "AutoregressiveFlow":
        """The same distribution, through whose parameters no gradient goes."""
        networks = [without_gradient(network) for network in self._networks]
        return AutoregressiveFlow(self.base.detached(), networks, self._context.detach())
