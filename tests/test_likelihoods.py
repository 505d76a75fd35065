import pytest
import torch
from torch.autograd import gradcheck

from vaecli import registry
from vaecli.likelihoods.bernoulli import Bernoulli
from vaecli.seeding import generator

LIKELIHOODS = registry.names("likelihood")


def made(name, *batch, scale=2.0):
    likelihood = registry.load("likelihood", name)
    return likelihood(scale * torch.randn(*batch, likelihood.outputs_per_pixel, 784, generator=generator("cpu", name)))


def observed(name, *batch):
    likelihood = made(name, *batch)
    return likelihood.sample(generator=generator("cpu", "x", name))


def test_bernoulli_is_torchs():
    output = torch.randn(3, 5, 1, 784, generator=generator("cpu", 1)) * 4
    x = (torch.rand(5, 784, generator=generator("cpu", 2)) > 0.5).float()
    reference = torch.distributions.Bernoulli(logits=output.squeeze(-2))
    torch.testing.assert_close(Bernoulli(output).log_prob(x), reference.log_prob(x.expand(3, 5, 784)).sum(-1))
    torch.testing.assert_close(Bernoulli(output).mean, reference.mean)


def test_bernoulli_gradient_is_that_of_its_value():
    output = torch.randn(2, 3, 1, 5, dtype=torch.float64, generator=generator("cpu", 3), requires_grad=True)
    x = torch.tensor([0.0, 1, 1, 0, 1], dtype=torch.float64).expand(3, 5)
    assert gradcheck(lambda each: Bernoulli(each).log_prob(x), output)


def test_bernoulli_is_finite_at_extreme_logits():
    output = torch.tensor([-1e4, -100.0, 100.0, 1e4]).view(1, 4).requires_grad_()
    for x in (torch.zeros(4), torch.ones(4)):
        value = Bernoulli(output).log_prob(x)
        assert value == -10_100
        assert torch.autograd.grad(value, output)[0].isfinite().all()


@pytest.mark.parametrize("name", LIKELIHOODS)
class TestEveryLikelihood:
    def test_particles_share_the_images(self, name):
        likelihood, x = made(name, 4, 3), observed(name, 3)
        shared = likelihood.log_prob(x)
        assert shared.shape == (4, 3)
        torch.testing.assert_close(shared, likelihood.log_prob(x.expand(4, 3, 784).contiguous()))

    def test_pixels_are_independent(self, name):
        likelihood, x = made(name, 3), observed(name, 3)
        mask = torch.arange(784) < 300
        halves = likelihood.marginal(mask).log_prob(x[:, mask]) + likelihood.marginal(~mask).log_prob(x[:, ~mask])
        torch.testing.assert_close(halves, likelihood.log_prob(x))

    def test_draws_have_the_mean_and_come_from_the_generator_alone(self, name):
        likelihood = made(name, 1)
        draws = likelihood.sample((4000,), generator("cpu", 5))
        assert torch.equal(draws, likelihood.sample((4000,), generator("cpu", 5)))
        spread = draws.std(0) / 4000**0.5
        assert ((draws.mean(0) - likelihood.mean).abs() < 6 * spread + 1e-3).all()

    def test_gradients_are_finite(self, name):
        likelihood = registry.load("likelihood", name)
        x = observed(name, 2)
        for scale in (1.0, 30.0):
            output = (scale * torch.randn(2, likelihood.outputs_per_pixel, 784, generator=generator("cpu", 6))).requires_grad_()
            likelihood(output).log_prob(x).sum().backward()
            assert output.grad.isfinite().all()
            assert (output.grad != 0).any()
