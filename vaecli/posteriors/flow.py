"""The flow posterior."""

from collections.abc import Sequence

from torch import Tensor, nn

from vaecli.distributions.flow import AutoregressiveFlow, zuko_transforms
from vaecli.distributions.normal import DiagonalNormal
from vaecli.errors import UsageError
from vaecli.networks.dependent import Autoregressive
from vaecli.posteriors.base import Posterior
from vaecli.posteriors.diagonal import MAX_LOG_SCALE


class Flow(Posterior):
    """q(z | x, y) of z = T(e; h), e ~ N(mu, diag(sigma^2)): an inverse autoregressive flow.

    Kingma, Salimans, Jozefowicz, Chen, Sutskever & Welling 2016, arXiv:1606.04934. The encoder gives mu, log sigma and h. Each map
    scales and moves a latent by what a network makes of h and of the latents before it; every second map has the latents in the
    opposite order. Noise becomes latents with their density in one pass. The density of other latents, which
    annealing, DReG, jsd and half of the particles of ``--proposal mixture`` need, takes latent_dim passes.

    Args:
        latent_dim: size of z, at least 2.
        posterior_transforms: how many maps follow each other.
        posterior_hidden: units of the hidden layers of each map's network; h has as many as the first of them.

    Raises:
        UsageError: there is one latent.
        VaecliError: zuko is not installed.
    """

    def __init__(self, latent_dim: int, posterior_transforms: int, posterior_hidden: Sequence[int]) -> None:
        super().__init__(latent_dim, 2 * latent_dim + posterior_hidden[0])
        zuko_transforms()
        if latent_dim < 2:
            raise UsageError("{latent_dim} with {posterior=flow}: a flow needs two latents or more", latent_dim=latent_dim)
        self.maps = nn.ModuleList(
            Autoregressive(latent_dim, posterior_hidden, 2, bool(i % 2), posterior_hidden[0]) for i in range(posterior_transforms)
        )

    def forward(self, h: Tensor, y: Tensor | None = None) -> AutoregressiveFlow:
        """The posteriors of h, shape (B, features): mu, log sigma and the context side by side."""
        loc, log_scale, context = h.split([self.latent_dim, self.latent_dim, self.features - 2 * self.latent_dim], -1)
        base = DiagonalNormal(loc, log_scale.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE))
        return AutoregressiveFlow(base, list(self.maps), context)
