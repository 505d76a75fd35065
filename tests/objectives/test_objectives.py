"""Objectives against closed forms: a linear-Gaussian model, whose log p(x) and posterior are known exactly."""

import math

import pytest
import torch
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from vaecli import registry
from vaecli.config import Config
from vaecli.distributions.normal import DiagonalNormal
from vaecli.model import VAE, build
from vaecli.objectives.base import make_objective
from vaecli.objectives.elbo import ELBO
from vaecli.objectives.iwae import IWAE
from vaecli.priors.normal import StandardNormal
from vaecli.seeding import generator

D, PIXELS, NOISE = 2, 6, 0.5


class LinearGaussian:
    """p(z) = N(0, I), p(x|z) = N(W z, NOISE^2 I). W's columns are orthogonal, so the true posterior is diagonal."""

    def __init__(self, shift=0.0, log_widen=0.0):
        columns = torch.linalg.qr(torch.randn(PIXELS, D, dtype=torch.float64, generator=generator("cpu", "W")))[0]
        self.W = columns * torch.tensor([1.5, 0.7], dtype=torch.float64)
        self.shift, self.log_widen = shift, log_widen
        self.prior = StandardNormal(D).double()

    log_weights = VAE.log_weights

    def posterior(self, x, y=None):
        precision = 1 + self.W.square().sum(0) / NOISE**2
        loc = x @ self.W / NOISE**2 / precision
        return DiagonalNormal(loc + self.shift, (-0.5 * precision.log() + self.log_widen).expand_as(loc))

    def likelihood(self, z, y=None) -> Distribution:
        return Independent(Normal(z @ self.W.T, NOISE), 1)

    def log_evidence(self, x):
        cov = self.W @ self.W.T + NOISE**2 * torch.eye(PIXELS, dtype=torch.float64)
        return MultivariateNormal(torch.zeros(PIXELS, dtype=torch.float64), cov).log_prob(x)


def images(count=4):
    return torch.randn(count, PIXELS, dtype=torch.float64, generator=generator("cpu", "images"))


def noise(word=0):
    return generator("cpu", "noise", word)


def bound_of(objective, model, x, word=0):
    """What an objective gives for images x, with noise of its own."""
    return objective(model, x, None, torch.randn(objective.draws, len(x), D, dtype=torch.float64, generator=noise(word)))


def test_elbo_is_tight_at_the_true_posterior():
    model, x = LinearGaussian(), images()
    value = bound_of(ELBO(k=400_000, kl_weight=1), model, x).value
    # log p(x|z) varies by about 1 nat over the posterior: 6 standard errors
    torch.testing.assert_close(value, model.log_evidence(x), rtol=0, atol=6 / 400_000**0.5)


def test_elbo_is_below_by_the_divergence_from_the_true_posterior():
    model, x = LinearGaussian(shift=0.3, log_widen=0.2), images()
    true = LinearGaussian().posterior(x)
    gap = torch.distributions.kl_divergence(model.posterior(x), true)
    value = bound_of(ELBO(k=400_000, kl_weight=1), model, x).value
    torch.testing.assert_close(value, model.log_evidence(x) - gap, rtol=0, atol=0.03)


def test_kl_weight_weighs_the_divergence():
    model, x = LinearGaussian(shift=0.3), images()
    one, three = (bound_of(ELBO(k=2, kl_weight=weight), model, x) for weight in (1.0, 3.0))
    torch.testing.assert_close(one.value - three.value, 2 * one.kl)
    torch.testing.assert_close(one.value, one.reconstruction - one.kl)


@pytest.mark.parametrize("k", [1, 5])
def test_iwae_is_exact_at_the_true_posterior(k):
    model, x = LinearGaussian(), images()
    torch.testing.assert_close(bound_of(IWAE(k), model, x).value, model.log_evidence(x))


def test_iwae_with_one_particle_is_the_one_sample_elbo():
    model, x = LinearGaussian(shift=0.5, log_widen=-0.3), images()
    q = model.posterior(x)
    z = q.rsample((1,), noise())
    by_hand = (model.likelihood(z).log_prob(x) + model.prior().log_prob(z) - q.log_prob(z)).squeeze(0)
    torch.testing.assert_close(bound_of(IWAE(1), model, x).value, by_hand)


def test_bounds_rise_with_k_towards_the_evidence():
    model, x = LinearGaussian(shift=0.5, log_widen=-0.5), images(1).expand(40_000, -1)
    evidence = float(model.log_evidence(x[:1]))
    values = [bound_of(IWAE(k), model, x, k).value for k in (1, 5, 50)]
    means = [float(value.mean()) for value in values]
    errors = [float(value.std()) / math.sqrt(len(x)) for value in values]
    for (low, high), error in zip([means[:2], means[1:], [means[2], evidence]], errors, strict=True):
        assert low < high - 6 * error


def test_iwae_gradient_is_the_reports_equation_3():
    x = images()
    for parameter in ("shift", "log_widen"):
        value = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
        model = LinearGaussian(**{parameter: value})
        (autograd,) = torch.autograd.grad(bound_of(IWAE(7), model, x).value.sum(), value)
        q = model.posterior(x)
        z = q.rsample((7,), noise())
        log_w = model.likelihood(z).log_prob(x) + model.prior().log_prob(z) - q.log_prob(z)
        weights = log_w.exp().detach()
        weights = weights / weights.sum(0)
        by_hand = sum(
            weights[i, b] * torch.autograd.grad(log_w[i, b], value, retain_graph=True)[0] for i in range(7) for b in range(len(x))
        )
        torch.testing.assert_close(autograd, by_hand)


@pytest.mark.parametrize("arch", registry.names("arch"))
@pytest.mark.parametrize("likelihood", registry.names("likelihood"))
@pytest.mark.parametrize("objective", registry.names("objective"))
def test_every_model_gives_nats_per_image_and_every_parameter_a_gradient(digits, arch, likelihood, objective):
    config = Config(arch=arch, likelihood=likelihood, objective=objective, latent_dim=3)
    model = build(config)
    # a likelihood that starts from one known shape does so by a last layer of zeros, which stops gradients at first
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator("cpu", "shake")))
    objective = make_objective(config)
    eps = torch.randn(objective.draws, 20, 3, generator=noise())
    bound = objective(model, model.observe(digits.pixels[:20], noise()), None, eps)
    assert [nats.shape for nats in bound[:3]] == [(20,)] * 3
    assert bound.kl_is_exact
    (-bound.value.mean()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert (parameter.grad != 0).any(), name
