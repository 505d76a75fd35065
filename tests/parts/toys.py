"""A prior, a posterior and a hierarchy that vaecli does not ship, as a person would bring them."""

import math

import torch
from torch import nn
from torch.distributions import MultivariateNormal, register_kl
from torch.func import functional_call

from vaecli import registry
from vaecli.distributions.normal import REACH, DiagonalNormal
from vaecli.posteriors.base import Posterior
from vaecli.priors.base import Prior

MEMBERS = {
    "prior": {"mixture": "MixturePrior", "two-layers": "TwoLayerPrior"},
    "posterior": {"full": "FullPosterior", "two-layers": "TwoLayerPosterior"},
}

PAIRS = [("mixture", "diagonal"), ("normal", "full"), ("mixture", "full"), ("two-layers", "two-layers")]


def register(monkeypatch):
    """Adds them to the registry, until the test is over."""
    for family, members in MEMBERS.items():
        for name, kind in members.items():
            monkeypatch.setitem(registry.REGISTRY[family], name, registry.Member(f"{__name__}:{kind}", "of a test"))


class Mixture:
    """Gaussians, of which each latent comes from one."""

    def __init__(self, weights, loc, scale):
        self.weights, self.loc, self.scale = weights, loc, scale

    def log_prob(self, value):
        parts = torch.distributions.Normal(self.loc, self.scale).log_prob(value.unsqueeze(-2)).sum(-1)
        return (parts + self.weights.log()).logsumexp(-1)

    @property
    def extent(self):
        return (self.loc.abs() + REACH * self.scale).amax()

    @property
    def narrowest(self):
        return self.scale.amin()


class MixturePrior(Prior):
    """Three Gaussians, all learned."""

    def __init__(self, latent_dim):
        super().__init__(latent_dim)
        self.logits = nn.Parameter(torch.zeros(3))
        self.loc = nn.Parameter(torch.randn(3, latent_dim))
        self.log_scale = nn.Parameter(torch.zeros(3, latent_dim))

    def forward(self):
        return Mixture(self.logits.softmax(0), self.loc, self.log_scale.exp())

    @torch.no_grad()
    def sample(self, count, generator=None):
        which = torch.multinomial(self.logits.softmax(0), count, replacement=True, generator=generator)
        eps = torch.randn(count, self.latent_dim, generator=generator, device=self.loc.device)
        return self.loc[which] + self.log_scale.exp()[which] * eps


class FullNormal(MultivariateNormal):
    """N(loc, L L^T)."""

    def transform(self, eps):
        return self.loc + (self.scale_tril * eps.unsqueeze(-2)).sum(-1)

    def detached(self):
        return FullNormal(self.loc.detach(), scale_tril=self.scale_tril.detach(), validate_args=False)

    @property
    def extent(self):
        return (self.loc.abs() + REACH * self.stddev).amax(-1)

    @property
    def narrowest(self):
        return torch.linalg.svdvals(self.scale_tril).amin(-1)


class FullPosterior(Posterior):
    """A Gaussian with a full covariance: the encoder gives its mean and a lower triangle, whose diagonal is exponentiated."""

    def __init__(self, latent_dim):
        super().__init__(latent_dim, latent_dim + latent_dim * (latent_dim + 1) // 2)

    def forward(self, h, y=None):
        loc, rest = h.split([self.latent_dim, self.features - self.latent_dim], -1)
        below = torch.tril_indices(self.latent_dim, self.latent_dim)
        L = h.new_zeros(*h.shape[:-1], self.latent_dim, self.latent_dim)
        L[..., below[0], below[1]] = rest
        diagonal = L.diagonal(dim1=-2, dim2=-1)
        return FullNormal(loc, scale_tril=L - torch.diag_embed(diagonal - diagonal.clamp(-10, 10).exp()), validate_args=False)


@register_kl(FullNormal, DiagonalNormal)
def _kl(q, p):
    other = MultivariateNormal(
        p.loc.expand_as(q.loc), scale_tril=torch.diag_embed(p.stddev).expand_as(q.scale_tril), validate_args=False
    )
    same = MultivariateNormal(q.loc, scale_tril=q.scale_tril, validate_args=False)
    return torch.distributions.kl_divergence(same, other)


def layer(inputs, outputs):
    """A network from a layer of latents to the means, at most 3 in size, and scales of the other."""
    return nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, 2 * outputs), nn.Tanh())


def given(output):
    loc, log_scale = output.float().chunk(2, -1)
    return DiagonalNormal(3 * loc, log_scale)


class TwoLayers:
    """z = (z1, z2) of a first layer and of a second one given that: `order` says at which end of z the first one stands."""

    def __init__(self, first, network, first_is_left):
        self.first, self.network, self.first_is_left = first, network, first_is_left

    def _joined(self, first, second):
        return torch.cat((first, second) if self.first_is_left else (second, first), -1)

    def _split(self, z):
        size = self.first.loc.shape[-1]
        return (z[..., :size], z[..., size:]) if self.first_is_left else (z[..., -size:], z[..., :-size])

    def log_prob(self, value):
        first, second = self._split(value)
        return self.first.log_prob(first) + given(self.network(first)).log_prob(second)

    def transform(self, eps):
        of_first, of_second = self._split(eps)
        first = self.first.transform(of_first)
        return self._joined(first, given(self.network(first)).transform(of_second))

    @property
    def mean(self):
        return self._joined(self.first.loc, given(self.network(self.first.loc)).loc)  # the second's, at the mean of the first

    @property
    def stddev(self):
        return self._joined(self.first.stddev, given(self.network(self.first.loc)).stddev)

    @property
    def extent(self):
        return self.first.extent.clamp(min=3 + REACH * math.e)

    @property
    def narrowest(self):
        return self.first.narrowest.clamp(max=1 / math.e)

    def detached(self):
        fixed = {name: weight.detach() for name, weight in self.network.named_parameters()}
        return TwoLayers(self.first.detached(), lambda first: functional_call(self.network, fixed, (first,)), self.first_is_left)


class TwoLayerPrior(Prior):
    """p(z2) = N(0, I), p(z1 | z2) = N(mu(z2), diag(sigma(z2)^2)); the decoder sees z1."""

    def __init__(self, latent_dim):
        super().__init__(latent_dim, decoded=latent_dim - latent_dim // 2)
        self.network = layer(latent_dim // 2, self.decoded)
        self.register_buffer("zeros", torch.zeros(latent_dim // 2), persistent=False)

    def forward(self):
        return TwoLayers(DiagonalNormal(self.zeros, self.zeros), self.network, first_is_left=False)

    @torch.no_grad()
    def sample(self, count, generator=None):
        return self().transform(torch.randn(count, self.latent_dim, generator=generator, device=self.zeros.device))


class TwoLayerPosterior(Posterior):
    """q(z1 | x) from the encoder, q(z2 | z1)."""

    def __init__(self, latent_dim):
        half = latent_dim - latent_dim // 2
        super().__init__(latent_dim, 2 * half)
        self.network = layer(half, latent_dim // 2)

    def forward(self, h, y=None):
        loc, log_scale = h.chunk(2, -1)
        return TwoLayers(DiagonalNormal(loc, log_scale.clamp(-20, 20)), self.network, first_is_left=True)
