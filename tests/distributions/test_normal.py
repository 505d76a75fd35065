import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from vaecli.distributions.normal import DiagonalNormal
from vaecli.seeding import generator


def pair(seed):
    loc, log_scale = torch.randn(2, 6, 4, generator=generator("cpu", seed), dtype=torch.float64)
    return DiagonalNormal(loc, log_scale), Independent(Normal(loc, log_scale.exp()), 1)


def test_density_and_divergence_are_torchs():
    (q, torch_q), (p, torch_p) = pair(1), pair(2)
    z = torch.randn(5, 6, 4, dtype=torch.float64, generator=generator("cpu", 3))
    torch.testing.assert_close(q.log_prob(z), torch_q.log_prob(z))
    with torch.no_grad():
        kept = z.clone()
        torch.testing.assert_close(q.log_prob(z), torch_q.log_prob(z))
        assert torch.equal(z, kept)
    torch.testing.assert_close(kl_divergence(q, p), kl_divergence(torch_q, torch_p))


def test_samples_have_the_moments_and_come_from_the_generator_alone():
    q, _ = pair(1)
    torch.manual_seed(0)
    z = q.rsample((200_000,), generator("cpu", 4))
    torch.manual_seed(1)
    assert torch.equal(z, q.rsample((200_000,), generator("cpu", 4)))
    # a mean of n draws is off by sigma / sqrt(n); 6 of those will not happen
    assert ((z.mean(0) - q.mean).abs() < 6 * q.stddev / 200_000**0.5).all()
    torch.testing.assert_close(z.var(0), q.variance, rtol=0.03, atol=0)


@pytest.mark.parametrize("shape", [(4,), (6, 4), (5, 6, 4)])
def test_the_last_dimension_is_that_of_the_event(shape):
    q = DiagonalNormal(torch.zeros(shape), torch.zeros(shape))
    assert (q.batch_shape, q.event_shape) == (shape[:-1], shape[-1:])
    assert q.rsample((2,)).shape == (2, *shape)


def test_the_box_holds_the_mass_and_is_no_larger_than_it_must_be():
    q, torch_q = pair(1)
    outside = 1 - torch_q.base_dist.cdf(q.extent.unsqueeze(1)) + torch_q.base_dist.cdf(-q.extent.unsqueeze(1))
    # beyond 6 standard deviations on one side of the mean lie 9.9e-10, on both sides twice as much
    assert ((outside.amax(1) > 9e-10) & (outside.amax(1) < 2e-9)).all()
    assert torch.equal(q.narrowest, q.stddev.min(1).values)
