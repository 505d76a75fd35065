"""Inference of latents against a model whose posterior given a part of the pixels is known exactly."""

import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from tests.test_objectives import NOISE, PIXELS, LinearGaussian
from vaecli.config import Config
from vaecli.gaussian import DiagonalNormal
from vaecli.inpainting import infer, log_missing
from vaecli.seeding import generator

SEEN = torch.tensor([True, True, True, True, False, False])


class SomePixels(Independent):
    def marginal(self, mask):
        return SomePixels(Normal(self.mean[..., mask], NOISE), 1)


class Linear(LinearGaussian):
    config = Config(latent_dim=2)

    def __init__(self):
        super().__init__()
        # orthogonal within the seen pixels too, so that the best diagonal posterior is the true one
        self.W[4:] = torch.tensor([[0.5, 0.2], [-0.3, 0.4]], dtype=torch.float64)
        self.W[:4] = torch.linalg.qr(self.W[:4])[0]
        self.W = self.W.float()
        self.prior = type(self.prior)(self.prior.mu.float(), self.prior.mu.float())

    def eval(self):
        return self

    def likelihood(self, z, y=None):
        return SomePixels(Normal(z @ self.W.T, NOISE), 1)


def images():
    return torch.randn(3, PIXELS, generator=generator("cpu", "inpaint"))


def exact(model, x):
    """The true posterior of the latents given the seen pixels, which is diagonal."""
    W = model.W[SEEN]
    precision = 1 + W.square().sum(0) / NOISE**2
    return DiagonalNormal(x[:, SEEN] @ W / NOISE**2 / precision, (-0.5 * precision.log()).expand(len(x), -1))


def test_the_posterior_and_the_evidence_of_what_is_seen_are_found():
    model, x = Linear(), images()
    found, true = infer(model, x, None, SEEN, generator("cpu", 1), starts=2, steps=3000), exact(model, x)
    # Adam hovers about the optimum: a tenth of the posterior's width is close
    assert ((found.posterior.mu - true.mu).abs() < 0.1 * true.stddev).all()
    torch.testing.assert_close(found.posterior.stddev, true.stddev, rtol=0.1, atol=0)
    W = model.W[SEEN]
    evidence = MultivariateNormal(torch.zeros(4), W @ W.T + NOISE**2 * torch.eye(4)).log_prob(x[:, SEEN])
    torch.testing.assert_close(found.bound, evidence, atol=0.05, rtol=0)
    assert 150 < found.steps <= 3000


def test_the_score_is_the_log_density_of_the_missing_pixels():
    model, x = Linear(), images()
    score = log_missing(model, x, None, SEEN, exact(model, x), generator("cpu", 2), samples=50_000)
    cov = model.W @ model.W.T + NOISE**2 * torch.eye(PIXELS)
    joint = MultivariateNormal(torch.zeros(PIXELS), cov).log_prob(x)
    seen = MultivariateNormal(torch.zeros(4), cov[:4, :4]).log_prob(x[:, SEEN])
    torch.testing.assert_close(score, joint - seen, atol=0.02, rtol=0)


def test_more_starts_never_do_worse():
    model, x = Linear(), images()
    one = infer(model, x, None, SEEN, generator("cpu", 3), starts=1, steps=20)
    many = infer(model, x, None, SEEN, generator("cpu", 3), starts=16, steps=20)
    assert float(many.bound.mean()) > float(one.bound.mean())
