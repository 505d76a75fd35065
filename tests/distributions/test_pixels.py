import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from vaecli import registry
from vaecli.config import Config
from vaecli.distributions.bernoulli import Bernoulli
from vaecli.distributions.beta import Beta
from vaecli.distributions.continuous_bernoulli import ContinuousBernoulli
from vaecli.model import build
from vaecli.seeding import generator

LIKELIHOODS = registry.names("likelihood")


def likelihood_of(name, *batch, scale=2.0):
    likelihood = registry.load("likelihood", name)
    return likelihood(scale * torch.randn(*batch, likelihood.outputs_per_pixel, 784, generator=generator("cpu", name)))


def observed(name, *batch):
    likelihood = likelihood_of(name, *batch)
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
    assert gradcheck(lambda logits: Bernoulli(logits).log_prob(x), output)


def test_bernoulli_is_finite_at_extreme_logits():
    output = torch.tensor([-1e4, -100.0, 100.0, 1e4]).view(1, 4).requires_grad_()
    for x in (torch.zeros(4), torch.ones(4)):
        value = Bernoulli(output).log_prob(x)
        assert value == -10_100
        assert torch.autograd.grad(value, output)[0].isfinite().all()


@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0, 100.0])
@pytest.mark.parametrize("with_gradient", [False, True])
def test_bernoulli_is_its_formula_in_float64(scale, with_gradient):
    """Logits up to `scale`; half of the images follow from them, so that the others have pixels all but impossible."""
    noise = generator("cpu", "extreme", scale)
    logits = scale * (2 * torch.rand(90, 6, 784, generator=noise) - 1)  # three blocks
    x = (torch.rand(6, 784, generator=noise) < 0.5).float()
    logits[:45] = logits[:45].abs() * (2 * x - 1)
    logits[0, 0], logits[-1] = scale * (2 * x[0] - 1), -scale * (2 * x - 1)
    expected = -F.softplus((1 - 2 * x.double()) * logits.double(), threshold=1000).sum(-1)
    found = Bernoulli(logits.unsqueeze(-2).requires_grad_(with_gradient)).log_prob(x)
    assert found.requires_grad == with_gradient
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=2e-5)


def test_bernoulli_of_one_image_does_not_depend_on_the_images_beside_it():
    """An image that one product cannot hold is computed pixel by pixel, and leaves the others as they are."""
    logits = torch.randn(50, 6, 1, 784, generator=generator("cpu", "beside")) * 3
    x = (torch.rand(6, 784, generator=generator("cpu", "beside", "x")) < 0.5).float()
    before = Bernoulli(logits).log_prob(x)
    logits[7, 2] = -100 * (2 * x[2] - 1)
    after = Bernoulli(logits).log_prob(x)
    assert after[7, 2] == -78_400
    after[7, 2] = before[7, 2]
    assert torch.equal(after, before)


def test_bernoulli_keeps_not_a_number():
    logits = torch.zeros(3, 1, 784)
    logits[1, 0, 5] = math.nan
    assert Bernoulli(logits).log_prob(torch.zeros(784)).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("name", LIKELIHOODS)
class TestEveryLikelihood:
    def test_its_value_is_the_same_without_a_gradient(self, name):
        likelihood, x = likelihood_of(name, 4, 3, scale=6.0), observed(name, 3)
        with_gradient = type(likelihood)(likelihood.output.clone().requires_grad_()).log_prob(x)
        torch.testing.assert_close(likelihood.log_prob(x), with_gradient.detach(), rtol=1e-6, atol=1e-4)

    def test_particles_share_the_images(self, name):
        likelihood, x = likelihood_of(name, 4, 3), observed(name, 3)
        shared = likelihood.log_prob(x)
        assert shared.shape == (4, 3)
        torch.testing.assert_close(shared, likelihood.log_prob(x.expand(4, 3, 784).contiguous()))

    def test_every_image_under_every_distribution_is_a_table_of_the_same(self, name):
        likelihood, x = likelihood_of(name, 7), observed(name, 5)
        table = likelihood.pairwise_log_prob(x)
        assert table.shape == (7, 5)
        expected = torch.stack([likelihood.log_prob(image) for image in x], 1)
        torch.testing.assert_close(table, expected, rtol=1e-5, atol=1e-2)

    def test_pixels_are_independent(self, name):
        likelihood, x = likelihood_of(name, 3), observed(name, 3)
        mask = torch.arange(784) < 300
        halves = likelihood.marginal(mask).log_prob(x[:, mask]) + likelihood.marginal(~mask).log_prob(x[:, ~mask])
        torch.testing.assert_close(halves, likelihood.log_prob(x))

    def test_draws_have_the_mean_and_come_from_the_generator_alone(self, name):
        likelihood = likelihood_of(name, 1)
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

    def test_the_output_for_a_mean_has_it(self, name):
        likelihood = registry.load("likelihood", name)
        mean = torch.linspace(0.05, 0.95, 784)
        torch.testing.assert_close(likelihood(likelihood.output_for(mean)).mean, mean, atol=1e-4, rtol=0)

    def test_it_computes_in_float32_under_autocast(self, name):
        likelihood, x = likelihood_of(name, 4, 3), observed(name, 3)
        half = likelihood.output.bfloat16()
        expected = type(likelihood)(half.float().requires_grad_())
        with torch.autocast("cpu", torch.bfloat16):
            found = type(likelihood)(half.clone().requires_grad_())
            value = found.log_prob(x)
            assert value.dtype == found.mean.dtype == torch.float32
            torch.testing.assert_close(found.mean, expected.mean)
        torch.testing.assert_close(value, expected.log_prob(x))
        (gradient,) = torch.autograd.grad(value.sum(), found.output)
        (reference,) = torch.autograd.grad(expected.log_prob(x).sum(), expected.output)
        torch.testing.assert_close(gradient.float(), reference, rtol=0.02, atol=0.02)


DISCRETE = [name for name in LIKELIHOODS if registry.load("likelihood", name).discrete]
DENSITIES = [name for name in LIKELIHOODS if name not in DISCRETE]


@pytest.mark.parametrize("name", DISCRETE)
class TestEveryDiscreteLikelihood:
    def test_the_probabilities_of_its_values_sum_to_one_at_any_output(self, name):
        """In float32, where the outputs are extreme; the gradients are finite there."""
        likelihood = registry.load("likelihood", name)
        grey = "none" in registry.find("likelihood", name).binarize
        values = likelihood.grey(torch.arange(256)) if grey else torch.arange(2.0)
        extremes = torch.tensor([-1e4, -100, -30, -9, -5, -2, -1, -0.4, 0, 0.3, 0.7, 1, 3, 8, 20, 100, 1e4])
        for output in torch.cartesian_prod(*[extremes] * likelihood.outputs_per_pixel).view(-1, likelihood.outputs_per_pixel, 1):
            output.requires_grad_()
            log_prob = likelihood(output.unsqueeze(0)).log_prob(values.unsqueeze(-1))
            (gradient,) = torch.autograd.grad(log_prob.sum(), output)
            assert log_prob.isfinite().all() and gradient.isfinite().all()
            assert float(log_prob.detach().double().exp().sum()) == pytest.approx(1, abs=5e-5), output
            fixed = likelihood(output.detach())
            mean = float((log_prob.detach().double().exp() * values).sum())
            assert float(fixed.mean) == pytest.approx(mean, abs=5e-5)
            assert torch.isin(fixed.sample(generator=generator("cpu", 1)), values).all()

    def test_draws_are_as_frequent_as_probable(self, name):
        likelihood = registry.load("likelihood", name)
        outputs = torch.randn(60, likelihood.outputs_per_pixel, 1, generator=generator("cpu", "frequent", name))
        outputs[:, -1] *= 2
        for output in outputs:
            draws = likelihood(output).sample((20_000,), generator("cpu", "draws")).squeeze(-1)
            values, counts = draws.unique(return_counts=True)
            probability = likelihood(output).log_prob(values.unsqueeze(-1)).exp()
            assert float(probability.sum()) > 1 - 0.02  # nothing probable is never drawn
            error = (20_000 * probability * (1 - probability)).sqrt()
            assert ((counts - 20_000 * probability).abs() < 5 * error + 3).all()


@pytest.mark.parametrize("name", DENSITIES)
class TestEveryDensity:
    def test_it_integrates_to_one(self, name):
        likelihood = registry.load("likelihood", name)
        outputs = 0.8 * torch.randn(likelihood.outputs_per_pixel, 20, generator=generator("cpu", "integral"))
        # in t = logit(x), where a density that is infinite at an end is smooth and its tails fall exponentially
        t = torch.linspace(-36, 36, 20_001, dtype=torch.float64)
        x = torch.sigmoid(t)
        for pixel in range(20):
            density = likelihood(outputs[:, pixel : pixel + 1].double()).log_prob(x.unsqueeze(1)).exp()
            assert float(torch.trapezoid(density * x * torch.sigmoid(-t), t)) == pytest.approx(1, abs=1e-4)

    def test_it_is_finite_at_the_ends_and_at_extreme_outputs(self, name):
        likelihood = registry.load("likelihood", name)
        ends = likelihood.grey(torch.tensor([0, 255], dtype=torch.uint8))
        for extreme in (-1e4, -80.0, 0.0, 80.0, 1e4):
            for other in (-1e4, 0.0, 1e4):
                rows = torch.tensor([extreme, other])[: likelihood.outputs_per_pixel]
                output = rows.unsqueeze(1).repeat(1, 2).requires_grad_()
                value = likelihood(output).log_prob(ends)
                assert value.isfinite()
                assert torch.autograd.grad(value, output)[0].isfinite().all()
                assert likelihood(output).mean.isfinite().all()
                assert likelihood(output.detach()).sample(generator=generator("cpu", 1)).isfinite().all()


def test_beta_is_torchs_and_starts_at_two():
    start = Beta(torch.zeros(2, 784))
    assert all((concentration == 2).all() for concentration in start.concentrations)
    assert float(start.log_prob(torch.full((784,), 0.5))) == pytest.approx(784 * math.log(1.5), rel=1e-6)
    output = torch.randn(50, 2, 784, generator=generator("cpu", 7)) * 2
    x = (torch.arange(784) % 256 + 0.5) / 256
    alpha, beta = (concentration.double() for concentration in Beta(output).concentrations)
    expected = torch.distributions.Beta(alpha, beta).log_prob(x.double()).sum(-1)
    torch.testing.assert_close(Beta(output).log_prob(x).double(), expected, rtol=1e-5, atol=1e-5)


def test_a_trained_beta_model_starts_from_two_and_two():
    model = build(Config(likelihood="beta"))
    likelihood = model.likelihood(torch.randn(5, 2, generator=generator("cpu", 1)) * 3)
    for concentration in likelihood.concentrations:
        assert (concentration == 2).all()


def test_continuous_bernoulli_is_torchs():
    # torch's own is in float64 here and goes through the probability, which loses the far ends: logits up to 15
    logits = torch.cat((torch.linspace(-15, 15, 3001), torch.linspace(-0.5, 0.5, 3001))).unsqueeze(-1)
    for x in (0.0, 0.2, 1.0):
        reference = torch.distributions.ContinuousBernoulli(logits=logits.double(), lims=(0.4999, 0.5001))
        ours = ContinuousBernoulli(logits.unsqueeze(-2)).log_prob(torch.full((1,), x))
        torch.testing.assert_close(
            ours.double(), reference.log_prob(torch.full((1,), x, dtype=torch.float64)).squeeze(-1), rtol=1e-5, atol=1e-5
        )
    torch.testing.assert_close(ContinuousBernoulli(logits.unsqueeze(-2)).mean.double(), reference.mean, rtol=1e-5, atol=1e-5)


def test_continuous_bernoulli_is_smooth_where_its_series_begins():
    for edge in (-0.3, 0.3):
        logits = torch.linspace(edge - 1e-3, edge + 1e-3, 101).view(101, 1, 1).requires_grad_()
        value = ContinuousBernoulli(logits).log_prob(torch.zeros(1))
        (slope,) = torch.autograd.grad(value.sum(), logits)
        torch.testing.assert_close(-slope.flatten(), ContinuousBernoulli(logits.detach()).mean.flatten(), rtol=1e-4, atol=1e-5)
