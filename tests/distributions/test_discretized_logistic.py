import math

import pytest
import torch
from torch.autograd import gradcheck

from vaecli.config import Config
from vaecli.distributions import discretized_logistic
from vaecli.distributions.discretized_logistic import DiscretizedLogistic
from vaecli.evaluation.likelihood_table import worthwhile
from vaecli.model import build
from vaecli.seeding import generator

LEVELS = torch.arange(256) / 255


def definition(loc, log_scale):
    """The probabilities of the 256 levels in float64, shape (256,): differences of the distribution function, of either tail."""
    edges = torch.arange(-254, 255, 2, dtype=torch.float64) / 255
    z = (edges - loc) / math.exp(log_scale)
    left, right = torch.sigmoid(z), torch.sigmoid(-z)  # each without loss in its own tail
    nothing, all_ = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    from_left = torch.diff(torch.cat((nothing, left, all_)))
    from_right = -torch.diff(torch.cat((all_, right, nothing)))
    return torch.where(LEVELS.double() < (loc + 1) / 2, from_left, from_right)


@pytest.mark.parametrize("loc", [-3.0, -1.0, -0.998, -0.31, 0.0, 0.2, 0.77, 1.0, 1.4])
@pytest.mark.parametrize("raw", [-40.0, -7.0, -6.0, -4.0, -2.0, 0.0, 2.0, 6.0, 30.0])
def test_it_is_the_difference_of_the_distribution_function(loc, raw):
    likelihood = DiscretizedLogistic(torch.tensor([[loc], [raw]]))
    expected = definition(float(likelihood.loc), float(likelihood.log_scale.double()))
    found = likelihood.log_prob(LEVELS.unsqueeze(-1)).double()
    probable = expected > 1e-280
    torch.testing.assert_close(found[probable], expected[probable].log(), rtol=2e-5, atol=5e-4)
    mean = float((expected * LEVELS.double()).sum())
    assert float(likelihood.mean) == pytest.approx(mean, abs=2e-6)


def test_a_level_that_underflows_has_the_logarithm_of_its_density():
    """Far in the tail, where P itself is 0 in any precision, log P is log(2/255 of the density), e^-|z| / s."""
    likelihood = DiscretizedLogistic(torch.tensor([[0.9], [-3.0]]))
    s = float(likelihood.log_scale.exp())
    c = 2 * 10 / 255 - 1
    expected = -(0.9 - c) / s + math.log(2 * math.sinh(1 / 255 / s))
    assert float(likelihood.log_prob(LEVELS[10:11])) == pytest.approx(expected, rel=1e-5)


def test_the_gradient_is_that_of_the_value():
    output = torch.randn(3, 4, 2, 6, dtype=torch.float64, generator=generator("cpu", "gradient"))
    output[0, :, 1] -= 5
    x = torch.tensor([0.0, 255, 1, 254, 100, 200], dtype=torch.float64).expand(4, 6) / 255
    assert gradcheck(lambda raw: DiscretizedLogistic(raw).log_prob(x), output.requires_grad_())


@pytest.mark.parametrize("pixels", [1, 7, 100, 784])
@pytest.mark.parametrize("images", [5, 150])
def test_every_image_under_every_distribution_is_the_same_however_it_is_computed(images, pixels, monkeypatch):
    noise = generator("cpu", "pairwise", images, pixels)
    likelihood = DiscretizedLogistic(torch.randn(70, 2, pixels, generator=noise) * 2)
    x = likelihood.sample((3,), noise).flatten(0, 1)[:images]
    expected = torch.stack([DiscretizedLogistic(likelihood.output.double()).log_prob(image.double()) for image in x], 1)
    torch.testing.assert_close(likelihood.pairwise_log_prob(x).double(), expected, rtol=1e-6, atol=2e-4)
    # the other way
    monkeypatch.setattr(discretized_logistic, "_FEWEST_FOR_A_TABLE", 10_000 if images > 100 else 1)
    torch.testing.assert_close(likelihood.pairwise_log_prob(x).double(), expected, rtol=1e-6, atol=2e-4)


@pytest.mark.parametrize("raw", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("loc", [-50.0, 0.3, 50.0])
def test_many_improbable_pixels_are_as_one_is_many_times(loc, raw):
    x = LEVELS[100:101]
    one = DiscretizedLogistic(torch.tensor([[loc], [raw]])).log_prob(x)
    many = DiscretizedLogistic(torch.tensor([[loc], [raw]]).expand(2, 784)).log_prob(x.expand(784))
    torch.testing.assert_close(many, 784 * one, rtol=1e-5, atol=1e-3)


def test_broadcasting():
    noise = generator("cpu", "broadcast")
    output, x = torch.randn(5, 1, 2, 30, generator=noise), torch.randint(256, (5, 4, 30), generator=noise) / 255
    found = DiscretizedLogistic(output).log_prob(x)
    expected = DiscretizedLogistic(output.expand(5, 4, 2, 30).contiguous()).log_prob(x)
    assert torch.equal(found, expected)
    one = DiscretizedLogistic(output[0, 0]).log_prob(x[0, 0])
    assert one.shape == () and one == expected[0, 0]


def test_not_a_number_stays_one():
    output = torch.zeros(3, 2, 784)
    output[1, 0, 5] = math.nan
    assert DiscretizedLogistic(output).log_prob(torch.zeros(784)).isnan().tolist() == [False, True, False]


def test_black_and_white_means_have_outputs_too():
    mean = torch.tensor([0.0, 1.0])
    output = DiscretizedLogistic.output_for(mean)
    torch.testing.assert_close(DiscretizedLogistic(output).mean, torch.tensor([0.001, 0.999]), atol=2e-6, rtol=0)


def test_the_output_for_a_mean_and_a_deviation_has_both():
    mean, deviation = torch.tensor([0.3, 0.5, 0.7]), torch.tensor([0.03, 0.1, 0.05])
    likelihood = DiscretizedLogistic(DiscretizedLogistic.output_for(mean, deviation))
    draws = likelihood.sample((20_000,), generator("cpu", 8))
    # a logistic variable has tails: the standard error of its deviation from 20,000 draws is 1 %
    torch.testing.assert_close(draws.std(0), deviation, rtol=0.06, atol=0)
    torch.testing.assert_close(likelihood.mean, mean, rtol=0, atol=2e-3)


@pytest.mark.parametrize("mean", [0.0, 0.4, 1.0])
def test_pixels_that_never_differ_have_a_finite_output(mean):
    output = DiscretizedLogistic.output_for(torch.full((3,), mean), torch.zeros(3))
    x = torch.tensor([[0.0] * 3, [mean] * 3, [1.0] * 3])
    assert output.isfinite().all()
    assert DiscretizedLogistic(output).log_prob((255 * x).round() / 255).isfinite().all()


def test_a_model_starts_from_mid_grey():
    likelihood = build(Config(likelihood="discretized-logistic")).likelihood(torch.randn(5, 2, generator=generator("cpu", 1)))
    assert (likelihood.loc == 0).all()
    torch.testing.assert_close(likelihood.log_scale, torch.zeros(5, 784), atol=0.01, rtol=0)
    torch.testing.assert_close(likelihood.mean, torch.full((5, 784), 0.5))


def test_no_table_of_likelihoods_where_they_are_no_matrix_product():
    assert worthwhile(build(Config()), 1000, 5000)
    assert not worthwhile(build(Config(likelihood="discretized-logistic")), 1000, 5000)
