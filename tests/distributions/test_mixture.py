import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from vaecli.distributions.mixture import LEAST_LOG_SCALE, DiagonalMixture
from vaecli.seeding import generator


def made(components, latents, spread=2.0):
    noise = generator("cpu", "mixture")
    logits = torch.randn(components, generator=noise)
    loc, log_scale = torch.randn(2, components, latents, generator=noise)
    return logits, spread * loc, log_scale - 1


def reference(logits, loc, log_scale):
    parts = Independent(Normal(loc.double(), log_scale.double().exp()), 1)
    return MixtureSameFamily(Categorical(logits=logits.double()), parts)


@pytest.mark.parametrize("latents", [1, 2, 50])
def test_it_is_torch_s_mixture_and_so_is_its_gradient(latents):
    parameters = [values.requires_grad_() for values in made(40, latents)]
    z = torch.randn(3, 7, latents, generator=generator("cpu", "z"), requires_grad=True)
    found, expected = DiagonalMixture(*parameters).log_prob(z), reference(*parameters).log_prob(z.double())
    assert found.shape == (3, 7)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-3)
    for mine, exact in zip(*(torch.autograd.grad(it.sum(), [*parameters, z]) for it in (found, expected)), strict=True):
        torch.testing.assert_close(mine, exact, rtol=1e-3, atol=1e-3 * float(exact.abs().max()))


def test_float32_is_precise_at_the_narrowest_that_is_allowed():
    logits, loc, _ = made(200, 2, spread=3.0)
    log_scale = torch.full_like(loc, -20.0)
    z = loc + 0.02 * torch.randn(loc.shape, generator=generator("cpu", "near"))
    expected = reference(logits, loc, log_scale.clamp(min=LEAST_LOG_SCALE)).log_prob(z.double())
    # (z / sigma)^2 is up to a million, of which float32 rounds a fifteen-millionth, several times
    torch.testing.assert_close(DiagonalMixture(logits, loc, log_scale).log_prob(z).double(), expected, rtol=0, atol=0.5)
