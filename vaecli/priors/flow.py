"""The flow prior."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vaecli.distributions.flow import BINS, FlowDensity, additive, affine, autoregressive, spline, zuko_transforms
from vaecli.distributions.normal import DiagonalNormal
from vaecli.errors import UsageError
from vaecli.networks.dependent import Autoregressive, Coupling
from vaecli.priors.base import Prior

_KINDS: dict[str, tuple[type[nn.Module], Callable[[Tensor], Any], int]] = {
    "coupling": (Coupling, additive, 1),
    "autoregressive": (Autoregressive, affine, 2),
    "spline": (Coupling, spline, 3 * BINS - 1),
}


class Flow(Prior):
    """p(z) = N(e; 0, I) |det de/dz|, e = f(z) an invertible map that is learned.

    The map from latents to noise is the one that the networks give, so that a density takes one pass:

    - ``coupling``: half of the latents are moved by what a network makes of the other half (NICE, Dinh, Krueger & Bengio 2015,
      arXiv:1410.8516). Samples take two passes.
    - ``autoregressive``: each latent is scaled and moved by what a network makes of those before it (MAF, Papamakarios, Pavlakou &
      Murray 2017, arXiv:1705.07057). Samples take latent_dim passes.
    - ``spline``: as ``coupling``, by monotonic splines (Durkan, Bekasov, Murray & Papamakarios 2019, arXiv:1906.04032).

    Args:
        latent_dim: size of z, at least 2.
        flow: the kind of the maps.
        prior_transforms: how many maps follow each other; every second one has the latents in the opposite order.
        prior_hidden: units of the hidden layers of each map's network.

    Raises:
        UsageError: there is one latent.
        VaecliError: zuko is not installed.
    """

    def __init__(self, latent_dim: int, flow: str, prior_transforms: int, prior_hidden: Sequence[int]) -> None:
        super().__init__(latent_dim)
        zuko_transforms()
        if latent_dim < 2:
            raise UsageError("{latent_dim} with {prior=flow}: a flow needs two latents or more", latent_dim=latent_dim)
        network, self._map, parameters = _KINDS[flow]
        self._passes = latent_dim if network is Autoregressive else 2
        self.maps = nn.ModuleList(network(latent_dim, prior_hidden, parameters, bool(i % 2)) for i in range(prior_transforms))
        self.register_buffer("zeros", torch.zeros(latent_dim), persistent=False)
        self.zeros: Tensor

    def forward(self) -> FlowDensity:
        """The density."""
        to_noise = zuko_transforms().ComposedTransform(*(autoregressive(it, self._map, self._passes) for it in self.maps))
        return FlowDensity(DiagonalNormal(self.zeros, self.zeros), to_noise.inv)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents drawn with `generator`, shape (count, latent_dim)."""
        return self.forward().transform(torch.randn(count, self.latent_dim, generator=generator, device=self.zeros.device))
