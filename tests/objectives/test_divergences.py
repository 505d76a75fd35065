"""The divergences of jsd, gjs and dreg against what they must be."""

import math

import pytest
import torch
from torch.distributions import kl_divergence

from tests.objectives.test_objectives import LinearGaussian, bound_of, images, noise
from vaecli.distributions.normal import DiagonalNormal
from vaecli.objectives.dreg import DReG
from vaecli.objectives.gjs import GJS, geometric_mean
from vaecli.objectives.iwae import IWAE
from vaecli.objectives.jsd import JSD


def normal(loc, sigma):
    return DiagonalNormal(torch.tensor(loc, dtype=torch.float64), torch.tensor(sigma, dtype=torch.float64).log())


class Fixed(LinearGaussian):
    """A model with a posterior of one's choice for every image."""

    def __init__(self, q):
        super().__init__()
        self.q = q

    def posterior(self, x, y=None):
        return DiagonalNormal(self.q.loc.expand(len(x), -1), self.q.log_scale.expand(len(x), -1))


def jsd_by_quadrature(q, p):
    """In two dimensions, on a grid."""
    axis = torch.linspace(-9, 9, 1801, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    log_q, log_p = q.log_prob(z), p.log_prob(z)
    log_m = torch.logaddexp(log_q, log_p) - math.log(2)
    return float(0.5 * (log_q.exp() * (log_q - log_m) + log_p.exp() * (log_p - log_m)).sum() * (axis[1] - axis[0]) ** 2)


@pytest.mark.parametrize(("loc", "sigma"), [((0.0, 0.0), (1.0, 1.0)), ((0.8, -0.3), (0.6, 1.2)), ((3.0, 2.0), (0.2, 0.3))])
def test_jsd_is_what_quadrature_gives_and_within_its_bounds(loc, sigma):
    model = Fixed(normal(loc, sigma))
    bound = bound_of(JSD(k=20_000), model, images())
    jsd = bound.reconstruction - bound.value
    expected = jsd_by_quadrature(model.q, model.prior())
    assert -1e-9 <= expected <= math.log(2)
    # each term is at most log 2 = 0.7 in size, 20,000 particles: a standard error of 0.005
    torch.testing.assert_close(jsd, torch.full_like(jsd, expected), atol=0.02, rtol=0)


def test_gjs_has_kl_at_both_ends_and_zero_of_equals():
    q, p = normal((0.7, -1.0), (0.5, 1.5)), normal((0.0, 0.0), (1.0, 1.0))
    model, x = Fixed(q), images()
    for alpha, expected in ((0.0, kl_divergence(q, p)), (1.0, kl_divergence(p, q))):
        bound = bound_of(GJS(k=1, alpha=alpha), model, x)
        torch.testing.assert_close(bound.reconstruction - bound.value, expected.expand(len(x)))
    same = bound_of(GJS(k=1, alpha=0.3), Fixed(p), x)
    torch.testing.assert_close(same.reconstruction, same.value)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.9])
def test_gjs_in_closed_form_is_its_monte_carlo(alpha):
    q, p = normal((0.7, -1.0), (0.5, 1.5)), normal((0.0, 0.0), (1.0, 1.0))
    g = geometric_mean(q, p, alpha)
    # g is proportional to q^alpha p^(1 - alpha): the log ratio is the same constant everywhere
    z = q.rsample((200_000,), noise())
    ratio = g.log_prob(z) - alpha * q.log_prob(z) - (1 - alpha) * p.log_prob(z)
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    z_p = p.rsample((200_000,), noise(1))
    by_hand = (1 - alpha) * (q.log_prob(z) - g.log_prob(z)).mean() + alpha * (p.log_prob(z_p) - g.log_prob(z_p)).mean()
    bound = bound_of(GJS(k=1, alpha=alpha), Fixed(q), images())
    torch.testing.assert_close(bound.reconstruction - bound.value, by_hand.expand(4), atol=0.02, rtol=0)


def gradients(objective, parameter, repeats):
    """One gradient for each of many independent draws."""
    x = images(1).expand(repeats, -1)
    value = torch.full((repeats, 1), 0.4, dtype=torch.float64, requires_grad=True)
    model = LinearGaussian(**{parameter: value})
    return torch.autograd.grad(bound_of(objective, model, x).value.sum(), value)[0]


@pytest.mark.parametrize("parameter", ["shift", "log_widen"])
def test_dreg_has_iwaes_encoder_gradient_with_less_variance(parameter):
    iwae, dreg = gradients(IWAE(8), parameter, 100_000), gradients(DReG(8), parameter, 100_000)
    error = math.hypot(float(iwae.std()), float(dreg.std())) / 100_000**0.5
    assert float(iwae.mean()) == pytest.approx(float(dreg.mean()), abs=5 * error)
    assert float(dreg.var()) < 0.9 * float(iwae.var())


def test_dreg_has_iwaes_value_and_decoder_gradient():
    x = images()
    results = []
    for objective in (IWAE(6), DReG(6)):
        model = LinearGaussian(shift=0.3)
        decoder = model.W.clone().requires_grad_()
        model.likelihood = lambda z, y=None, W=decoder: LinearGaussian.likelihood(type("", (), {"W": W}), z)
        value = bound_of(objective, model, x).value
        results.append((value.detach(), torch.autograd.grad(value.sum(), decoder)[0]))
    torch.testing.assert_close(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1])
