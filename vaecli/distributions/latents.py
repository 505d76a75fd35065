"""What priors and posteriors give: distributions over latents z, shape (..., latent_dim), whose log densities are in nats.

Where `torch.distributions.kl_divergence` knows KL(q || p) of their classes in closed form, it is used; elsewhere KL is estimated by
the particles.

Exact log p(x) by quadrature needs two more attributes of both distributions, tensors of their batch shape:

- ``extent``: half the length of an edge of the box around 0 that holds all mass but 1e-8 or so, as 6 standard deviations do;
- ``narrowest``: the standard deviation of the narrowest peak, in its narrowest direction.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call


class LatentDistribution(Protocol):
    """A distribution over latents."""

    def log_prob(self, value: Tensor) -> Tensor:
        """The log density of latents of shape (..., latent_dim), in nats, shape (...)."""
        ...


class PosteriorDistribution(LatentDistribution, Protocol):
    """Distributions over the latents of B images, made of noise that the caller draws."""

    @property
    def mean(self) -> Tensor:
        """The means, shape (B, latent_dim)."""
        ...

    @property
    def stddev(self) -> Tensor:
        """The standard deviations of each latent, shape (B, latent_dim)."""
        ...

    def transform(self, eps: Tensor) -> Tensor:
        """The latents z that standard normal noise becomes, shape (k, B, latent_dim) as it.

        `log_prob` is then asked of this very tensor, or not at all: a flow may keep the density that it found on the way.
        """
        ...

    def detached(self) -> "PosteriorDistribution":
        """The same distribution, through whose parameters no gradient goes."""
        ...


RADII, ANGLES, WITHIN, STEP = 12, 48, 4.0, 0.002


def plane_bounds(transform: Callable[[Tensor], Tensor], of: Tensor) -> tuple[Tensor, Tensor]:
    """The `extent` and `narrowest` of two latents that a smooth map makes of standard normal noise.

    The map is looked at on RADII circles of ANGLES points around 0, the last one of radius 6, beyond which is a mass of 1e-8:
    ``extent`` is the largest coordinate of their images, and ``narrowest`` the least factor by which the map shrinks any direction
    within WITHIN standard deviations of 0, by differences over a STEP on either side.

    Args:
        transform: from noise of shape (P, *batch shape, 2) to latents of that shape.
        of: a tensor of the shape (*batch shape, 2), on the device.

    Returns:
        Two tensors of the batch shape.

    Raises:
        AttributeError: there are more or fewer latents.
    """
    if of.shape[-1] != 2:
        raise AttributeError("only known of two latents")
    radius = torch.linspace(6 / RADII, 6, RADII)
    angle = torch.arange(ANGLES) * (2 * math.pi / ANGLES)
    places = torch.view_as_real(torch.polar(*torch.broadcast_tensors(radius.unsqueeze(1), angle)))
    eps = torch.stack([places + sign * STEP * axis for sign in (1, -1) for axis in torch.eye(2)])
    parts = eps.view(-1, *[1] * (of.ndim - 1), 2).to(of.device).split(max(1, 200_000 // max(1, of.numel())))
    z = torch.cat([transform(part.expand(-1, *of.shape)) for part in parts]).unflatten(0, (2, 2, RADII, ANGLES))
    jacobian = ((z[0] - z[1]) / (2 * STEP))[:, radius < WITHIN].movedim(0, -1)
    squares, volume = jacobian.square().sum((-2, -1)), torch.linalg.det(jacobian).abs()
    widest = ((squares + (squares.square() - 4 * volume.square()).clamp(min=0).sqrt()) / 2).sqrt()
    return z.abs().amax((0, 1, 2, 3, -1)), (volume / widest).amin((0, 1))


class PlaneDensity:
    """What quadrature needs of a density of two latents that is known as a map of noise: one with `plane_bounds`."""

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """As `plane_bounds` gives them."""
        raise NotImplementedError

    @property
    def extent(self) -> Tensor:
        """Half the length of an edge of the box around 0 that holds the mass of two latents, shape (B,) or ()."""
        return self.bounds[0]

    @property
    def narrowest(self) -> Tensor:
        """The standard deviation of the narrowest peak of two latents, in its narrowest direction, shape (B,) or ()."""
        return self.bounds[1]


def without_gradient(network: Any) -> Callable[..., Any]:
    """The function that a network is, through whose parameters no gradient goes; a function is taken for one without parameters."""
    if not isinstance(network, nn.Module):
        return network  # type: ignore[no-any-return]
    fixed = {name: parameter.detach() for name, parameter in network.named_parameters()}

    def call(*inputs: Any, **named: Any) -> Any:
        return functional_call(network, fixed, inputs, named)

    return call
