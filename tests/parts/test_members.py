"""What holds of every prior and posterior of the registry."""

import pytest
import torch

from tests.parts.pairs import small
from vaecli import registry
from vaecli.evaluation.grid import Grid
from vaecli.model import build
from vaecli.seeding import generator

PRIORS = registry.names("prior")
POSTERIORS = registry.names("posterior")


def made(family, name, latent_dim=2):
    """A member whose parameters are no longer those at the start."""
    model = build(small(**{family: name}, latent_dim=latent_dim, hidden=(20,)))
    member = model.prior if family == "prior" else model.posterior_of
    for parameter in member.parameters():
        parameter.data.add_(0.3 * torch.randn(parameter.shape, generator=generator("cpu", "moved")))
    return member


def posteriors(member, count=3):
    return member(0.5 * torch.randn(count, member.features, generator=generator("cpu", "h")))


@torch.no_grad()
def whole(distribution, log_prob):
    """The integral of a density over the box that it says holds its mass, its moments, and the grid's points."""
    grid = Grid(2, 400, float(distribution.extent.max()))
    points = grid.points(torch.device("cpu"))
    density = log_prob(points).exp() * grid.cell**2
    return density.sum(0), density, points


@pytest.mark.parametrize("name", PRIORS)
def test_a_prior_is_a_density_and_samples_have_its_moments(name):
    prior = made("prior", name)
    p = prior()
    total, density, points = whole(p, p.log_prob)
    assert float(total) == pytest.approx(1, abs=1e-3)
    mean = (density.unsqueeze(-1) * points).sum(0)
    covariance = ((points - mean).T * density) @ (points - mean)
    z = prior.sample(100_000, generator("cpu", "sample"))
    assert torch.equal(z, prior.sample(100_000, generator("cpu", "sample")))
    assert z.shape == (100_000, 2)
    assert not z.requires_grad
    torch.testing.assert_close(z.mean(0), mean, atol=6 * float(z.std(0).max()) / 100_000**0.5, rtol=0)
    torch.testing.assert_close(z.T.cov(), covariance, atol=0.05 * float(covariance.diagonal().max()), rtol=0)


@pytest.mark.parametrize("name", POSTERIORS)
@torch.no_grad()
def test_a_posterior_is_a_density_and_noise_becomes_its_latents(name):
    q = posteriors(made("posterior", name))
    totals, density, points = whole(q, lambda points: q.log_prob(points.unsqueeze(1)))
    torch.testing.assert_close(totals, torch.ones(3), atol=1e-3, rtol=0)
    z = q.transform(torch.randn(100_000, 3, 2, generator=generator("cpu", "eps")))
    mean = (density.unsqueeze(-1) * points.unsqueeze(1)).sum(0)
    torch.testing.assert_close(z.mean(0), mean, atol=6 * float(z.std(0).max()) / 100_000**0.5, rtol=0)
    # draws from a density a tenth wider than the one said would be 0.1 off
    log_q = q.log_prob(points.unsqueeze(1))
    entropy = -(density * log_q.clamp(min=-1e3)).sum(0)
    torch.testing.assert_close(-q.log_prob(z).mean(0), entropy, atol=0.03, rtol=0)


@pytest.mark.parametrize("name", POSTERIORS)
def test_images_are_taken_and_joined_by_their_features(name):
    member = made("posterior", name, 4)
    h = torch.randn(5, member.features, generator=generator("cpu", "h"))
    eps = torch.randn(7, 5, 4, generator=generator("cpu", "eps"))
    z, rows = member(h).transform(eps), torch.tensor([3, 0])
    torch.testing.assert_close(member(h[rows]).transform(eps[:, rows]), z[:, rows])
    torch.testing.assert_close(member(h[rows]).log_prob(z[:, rows]), member(h).log_prob(z)[:, rows], rtol=1e-4, atol=1e-4)
    assert member(h).mean.shape == member(h).stddev.shape == (5, 4)


@pytest.mark.parametrize("name", POSTERIORS)
def test_a_detached_posterior_has_the_density_and_no_gradient(name):
    member = made("posterior", name, 4)
    h = torch.randn(3, member.features, generator=generator("cpu", "h"), requires_grad=True)
    q = member(h)
    z = q.transform(torch.randn(2, 3, 4, generator=generator("cpu", "eps"))).detach()
    torch.testing.assert_close(q.detached().log_prob(z), q.log_prob(z))
    assert not q.detached().log_prob(z).requires_grad
    assert q.log_prob(z).requires_grad
