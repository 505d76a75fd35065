"""Objectives against their formulas, written out image by image and particle by particle: values and gradients, in float64."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.distributions import Bernoulli, Independent

from tests.objectives.test_objectives import LinearGaussian, bound_of, noise
from tests.objectives.test_objectives import images as real_images
from vaecli.distributions.normal import DiagonalNormal
from vaecli.model import VAE
from vaecli.objectives.base import Batch
from vaecli.objectives.beta_tc import BetaTC
from vaecli.objectives.ciwae import CIWAE
from vaecli.objectives.elbo import ELBO
from vaecli.objectives.info import Info
from vaecli.objectives.iwae import IWAE
from vaecli.objectives.miwae import MIWAE
from vaecli.objectives.piwae import PIWAE
from vaecli.objectives.renyi import Renyi
from vaecli.objectives.stl import STL
from vaecli.seeding import generator

B, D, L = 4, 7, 3


class Small:
    """A VAE of four matrices, and a prior that is trained."""

    latent_dim = L
    log_weights = VAE.log_weights

    def __init__(self, size=1.0, dtype=torch.float64):
        draws = generator("cpu", "small")

        def made(scale, *shape):
            return (scale * torch.randn(shape, dtype=torch.float64, generator=draws)).to(dtype).requires_grad_()

        self.encoder = [made(0.5, D, L), made(0.3, D, L)]
        self.decoder = [made(size, L, D), made(0.5, D), made(0.5, L), made(0.5, L)]

    def posterior(self, x, y=None):
        return DiagonalNormal(x @ self.encoder[0], x @ self.encoder[1])

    def likelihood(self, z, y=None):
        return Independent(Bernoulli(logits=z @ self.decoder[0] + self.decoder[1]), 1)

    def prior(self):
        return DiagonalNormal(*self.decoder[2:])


def images():
    return torch.bernoulli(torch.full((B, D), 0.5, dtype=torch.float64), generator=generator("cpu", "images"))


def drawn(objective):
    return torch.randn(objective.draws, B, L, dtype=torch.float64, generator=noise())


def gradients(value, parameters):
    found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(it) if gradient is None else gradient for it, gradient in zip(parameters, found, strict=True)]


def outcome(objective, model=None, eps=None, **batch):
    """The values, the encoder's gradient of their sum, and the decoder's and the prior's."""
    model = model or Small()
    x = images().to(model.encoder[0].dtype)
    eps = (drawn(objective) if eps is None else eps).to(x.dtype)
    value = objective(model, x, None, eps, **batch).value
    return value.detach(), gradients(value.sum(), model.encoder), gradients(value.sum(), model.decoder)


class Particle:
    """One particle of one image, by the formulas of a Gaussian and of a Bernoulli."""

    def __init__(self, model, x, eps):
        self.model, self.x = model, x
        self.mu, self.sd = x @ model.encoder[0], (x @ model.encoder[1]).exp()
        self.z = self.mu + self.sd * eps

    def likelihood(self, z):
        logits = z @ self.model.decoder[0] + self.model.decoder[1]
        return (self.x * logits - torch.log(1 + logits.exp())).sum()

    def log_p(self, z):
        return log_normal(z, self.model.decoder[2], self.model.decoder[3].exp())

    def log_q(self, z):
        return log_normal(z, self.mu, self.sd)

    @property
    def log_w(self):
        return self.likelihood(self.z) + self.log_p(self.z) - self.log_q(self.z)

    @property
    def kl(self):
        """Of each latent."""
        m, s = self.model.decoder[2], self.model.decoder[3].exp()
        return (s / self.sd).log() + (self.sd**2 + (self.mu - m) ** 2) / (2 * s**2) - 0.5


def log_normal(z, mu, sd):
    return (-((z - mu) ** 2) / (2 * sd**2) - sd.log()).sum() - len(z) / 2 * math.log(2 * math.pi)


def particles(model, eps):
    """By image, then by draw."""
    return [[Particle(model, x, eps[i, b]) for i in range(len(eps))] for b, x in enumerate(images())]


def mean(values):
    return sum(values) / len(values)


def log_mean_exp(values):
    return torch.stack(values).exp().mean().log()


def parts(values, size):
    return [values[start : start + size] for start in range(0, len(values), size)]


def by_hand_miwae(model, eps, k):
    return [mean([log_mean_exp(part) for part in parts([it.log_w for it in row], k)]) for row in particles(model, eps)]


def by_hand_renyi(model, eps, order):
    return [log_mean_exp([(1 - order) * it.log_w for it in row]) / (1 - order) for row in particles(model, eps)]


def by_hand_ciwae(model, eps, weight):
    return [
        weight * (mean([it.likelihood(it.z) for it in row]) - row[0].kl.sum())
        + (1 - weight) * log_mean_exp([it.log_w for it in row])
        for row in particles(model, eps)
    ]


SINGLE = [
    (MIWAE(3, 2), lambda model, eps: by_hand_miwae(model, eps, 3)),
    (CIWAE(5, 0.3), lambda model, eps: by_hand_ciwae(model, eps, 0.3)),
    *[(Renyi(5, order), lambda model, eps, order=order: by_hand_renyi(model, eps, order)) for order in (0.5, -1.5, 2.0)],
]


@pytest.mark.parametrize(("objective", "by_hand"), SINGLE, ids=lambda it: str(it) if not callable(it) or it in dict(SINGLE) else "")
def test_values_and_gradients_are_those_of_the_formula(objective, by_hand):
    model = Small()
    values = by_hand(model, drawn(objective))
    expected = (torch.stack(values).detach(), *(gradients(sum(values), part) for part in (model.encoder, model.decoder)))
    torch.testing.assert_close(outcome(objective), expected, rtol=1e-9, atol=1e-11)


def test_piwae_has_iwaes_gradient_for_decoder_and_prior_and_miwaes_for_the_encoder():
    model, objective = Small(), PIWAE(3, 2)
    eps = drawn(objective)
    of_all = [log_mean_exp([it.log_w for it in row]) for row in particles(model, eps)]
    encoder = gradients(sum(by_hand_miwae(model, eps, 3)), model.encoder)
    expected = (torch.stack(of_all).detach(), encoder, gradients(sum(of_all), model.decoder))
    torch.testing.assert_close(outcome(objective), expected, rtol=1e-9, atol=1e-11)
    with torch.no_grad():
        torch.testing.assert_close(objective(model, images(), None, eps).value, expected[0])


def test_piwae_keeps_the_encoders_gradient_of_groups_far_below_the_best():
    """In float32, where the exponential of their distance is 0."""
    model, objective = Small(60.0, torch.float32), PIWAE(3, 4)
    log_w = model.log_weights(images().float(), None, drawn(objective).float()).log_w.unflatten(0, (4, 3)).logsumexp(1)
    assert float((log_w.amax(0) - log_w.amin(0)).detach().max()) > 110
    _, found, _ = outcome(objective, model)
    _, expected, _ = outcome(MIWAE(3, 4), model)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("weight", [1.0, 0.4])
def test_stl_reaches_the_encoder_through_z_alone(weight):
    model, objective = Small(), STL(3, weight)
    eps = drawn(objective)
    values, encoder = [], [torch.zeros(D, L, dtype=torch.float64) for _ in range(2)]
    for row in particles(model, eps):
        values.append(mean([it.likelihood(it.z) - weight * (it.log_q(it.z) - it.log_p(it.z)) for it in row]))
        for it in row:
            z = it.z.detach().requires_grad_()
            log_q = log_normal(z, it.mu.detach(), it.sd.detach())
            (by_z,) = torch.autograd.grad(it.likelihood(z) + weight * (it.log_p(z) - log_q), z)
            encoder = [sum(two) for two in zip(encoder, gradients(it.z @ by_z / len(row), model.encoder), strict=True)]
    expected = (torch.stack(values).detach(), encoder, gradients(sum(values), model.decoder))
    torch.testing.assert_close(outcome(objective), expected, rtol=1e-9, atol=1e-11)


def score(objective, parameter, at, repeats=1):
    """The encoder's gradient, one for each of many independent draws."""
    value = torch.full((repeats, 1), at, dtype=torch.float64, requires_grad=True)
    model = LinearGaussian(**{parameter: value})
    model.latent_dim = 2
    return torch.autograd.grad(bound_of(objective, model, real_images(1).expand(repeats, -1)).value.sum(), value)[0]


@pytest.mark.parametrize("parameter", ["shift", "log_widen"])
def test_stl_has_the_elbos_gradient_in_the_mean_and_no_variance_at_the_true_posterior(parameter):
    stl, elbo = score(STL(1, 1.0), parameter, 0.4, 100_000), score(ELBO(1, 1.0), parameter, 0.4, 100_000)
    error = math.hypot(float(stl.std()), float(elbo.std())) / 100_000**0.5
    assert float(stl.mean()) == pytest.approx(float(elbo.mean()), abs=5 * error)
    assert score(STL(1, 1.0), parameter, 0.0, 1000).abs().max() < 1e-12
    assert score(ELBO(1, 1.0), parameter, 0.0, 1000).std() > 0.1


def check_total(found, model, total):
    """Compares an outcome with the sum of the values over images, by hand, and its gradient."""
    value, *by_autograd = found
    expected = (total.detach(), gradients(total, model.encoder), gradients(total, model.decoder))
    torch.testing.assert_close((value.sum(), *by_autograd), expected, rtol=1e-9, atol=1e-11)


def test_free_bits_are_of_the_mean_over_the_batch():
    """Kingma et al. 2016, eq. 16. The second latent is below the limit, the others above, though not in every image."""
    model, objective, least = Small(), ELBO(2, 0.7, free_bits=0.45), 0.45
    rows = particles(model, drawn(objective))
    kl = torch.stack([row[0].kl for row in rows], 1).detach()
    assert (kl.mean(1) < least).tolist() == [False, True, False] and ((kl < least).sum(1) > 0).all()
    of_latents = [mean([row[0].kl[d] for row in rows]) for d in range(L)]
    reconstruction = mean([mean([it.likelihood(it.z) for it in row]) for row in rows])
    total = B * (reconstruction - 0.7 * sum(max(of_latent, torch.tensor(least, dtype=torch.float64)) for of_latent in of_latents))
    check_total(outcome(objective), model, total)


def test_free_bits_of_an_estimated_kl_are_of_all_latents_together():
    model, objective = Small(), STL(2, 1.0)
    plain = outcome(objective)
    kl = mean([mean([it.log_q(it.z) - it.log_p(it.z) for it in row]) for row in particles(model, drawn(objective))])
    limit = float(kl.detach()) / L + 1e-6
    torch.testing.assert_close(outcome(replace(objective, free_bits=limit - 2e-6)), plain)
    total = sum(mean([it.likelihood(it.z) for it in row]) for row in particles(model, drawn(objective))) - B * L * limit
    check_total(outcome(replace(objective, free_bits=limit)), model, total)


def test_beta_tc_weighs_the_total_correlation_of_minibatch_weighted_sampling():
    """Its three terms add up to the estimate of KL, which stands where the objective has the closed form."""
    model, images_trained_on, beta, weight = Small(), 1000, 3.5, 0.8
    objective = BetaTC(2, weight, tc_weight=beta)
    values = []
    rows = particles(model, drawn(objective))
    for row in rows:
        value = 0
        for it in row:
            of_all = [other[0].log_q(it.z) for other in rows]
            by_latent = [[log_normal(it.z[d : d + 1], o[0].mu[d : d + 1], o[0].sd[d : d + 1]) for o in rows] for d in range(L)]
            log_q = torch.stack(of_all).exp().sum().log() - math.log(images_trained_on * B)
            log_q_each = [torch.stack(found).exp().sum().log() - math.log(images_trained_on * B) for found in by_latent]
            information, tc = it.log_q(it.z) - log_q, log_q - sum(log_q_each)
            each = sum(log_q_each) - it.log_p(it.z)
            estimate = it.log_q(it.z) - it.log_p(it.z)
            torch.testing.assert_close(information + tc + each, estimate)
            value += (it.likelihood(it.z) - weight * (information + beta * tc + each - estimate + it.kl.sum())) / len(row)
        values.append(value)
    expected = (torch.stack(values).detach(), gradients(sum(values), model.encoder), gradients(sum(values), model.decoder))
    found = outcome(objective, batch=Batch(images_trained_on))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)
    value, *others = outcome(objective, batch=Batch(10))
    shift = weight * (beta - 1) * (L - 1) * math.log(100)
    torch.testing.assert_close((value - shift, *others), expected, rtol=1e-9, atol=1e-11)  # N has no gradient


def test_info_has_the_unbiased_discrepancy_of_all_latents_from_the_prior():
    model, objective = Small(), Info(2, 0.6, mmd_weight=30.0)
    eps = drawn(objective)
    rows = particles(model, eps[:2])
    of_prior = model.decoder[2] + model.decoder[3].exp() * eps[2:]

    def kernel(a, b):
        return 2 * L / (2 * L + (a - b) @ (a - b))

    mmd = 0
    for i in range(2):
        z, p = [row[i].z for row in rows], list(of_prior[i])
        pairs = [(a, b) for a in range(B) for b in range(B) if a != b]
        mmd += mean([kernel(z[a], z[b]) + kernel(p[a], p[b]) for a, b in pairs]) / 2
        mmd -= 2 * mean([kernel(z[a], p[b]) for a in range(B) for b in range(B)]) / 2
    elbo = mean([mean([it.likelihood(it.z) for it in row]) - 0.6 * row[0].kl.sum() for row in rows])
    total = B * (elbo - 30 * mmd)
    check_total(outcome(objective), model, total)


K = 6
LIMITS = {
    "ciwae at 0": (CIWAE(K, 0.0), IWAE(K)),
    "ciwae at 1": (CIWAE(K, 1.0), ELBO(K, 1.0)),
    "renyi at 0": (Renyi(K, 0.0), IWAE(K)),
    "renyi at 1": (Renyi(K, 1.0), MIWAE(1, K)),
    "renyi near 1": (Renyi(K, 1 - 1e-9), MIWAE(1, K)),
    "renyi just above 1": (Renyi(K, 1 + 1e-9), MIWAE(1, K)),
    "one group of miwae": (MIWAE(K, 1), IWAE(K)),
    "one group of piwae": (PIWAE(K, 1), IWAE(K)),
    "piwae of one particle": (PIWAE(1, 1), IWAE(1)),
    "beta-tc at 1": (BetaTC(K, 1.0, tc_weight=1.0), ELBO(K, 1.0)),
    "beta-tc at 1, free bits": (BetaTC(K, 0.7, free_bits=0.5, tc_weight=1.0), ELBO(K, 0.7, free_bits=0.5)),
    "free bits of nearly 0": (ELBO(K, 1.0, free_bits=1e-9), ELBO(K, 1.0)),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limiting_cases(name):
    one, other = LIMITS[name]
    torch.testing.assert_close(outcome(one), outcome(other), rtol=1e-5 if "near" in name or "just" in name else 1e-10, atol=1e-6)


def test_info_without_the_discrepancy_is_the_elbo():
    objective, elbo = Info(2, 0.7, mmd_weight=0.0, free_bits=0.5), ELBO(2, 0.7, free_bits=0.5)
    eps = drawn(objective)
    torch.testing.assert_close(outcome(objective, eps=eps), outcome(elbo, eps=eps[:2]))


def test_renyi_falls_from_the_greatest_weight_to_the_least():
    model = Small()
    values = [outcome(Renyi(K, order), model)[0] for order in (-100.0, -2.0, 0.0, 0.5, 1.0, 2.0, 100.0)]
    log_w = model.log_weights(images(), None, drawn(Renyi(K, 0.0))).log_w.detach()
    assert all((low < high).all() for high, low in pairwise(values))
    torch.testing.assert_close(values[0], log_w.amax(0), rtol=0, atol=1.001 * math.log(K) / 101)
    torch.testing.assert_close(values[-1], log_w.amin(0), rtol=0, atol=1.001 * math.log(K) / 99)


def test_a_batch_of_one_image_has_a_value():
    for objective in (BetaTC(2, 1.0), Info(2, 1.0)):
        bound = objective(Small(), images()[:1], None, drawn(objective)[:, :1])
        assert bound.value.isfinite().all()
