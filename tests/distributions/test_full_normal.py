import torch
from torch.distributions import MultivariateNormal, kl_divergence

from vaecli.distributions.full_normal import FullNormal
from vaecli.distributions.normal import DiagonalNormal
from vaecli.seeding import generator


def made(images=4, latents=5):
    noise = generator("cpu", "full")
    below = torch.randn(images, latents, latents, generator=noise).tril(-1)
    diagonal = torch.randn(images, latents, generator=noise).exp()
    return torch.randn(images, latents, generator=noise), below + torch.diag_embed(diagonal)


def test_it_is_torch_s_gaussian():
    loc, L = made()
    q, exact = FullNormal(loc, L), MultivariateNormal(loc.double(), scale_tril=L.double())
    noise = generator("cpu", "z")
    for z in (torch.randn(4, 5, generator=noise), torch.randn(6, 4, 5, generator=noise), torch.randn(2, 3, 4, 5, generator=noise)):
        torch.testing.assert_close(q.log_prob(z).double(), exact.log_prob(z.double()), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(q.log_prob(z[:, :, :1]).double(), exact.log_prob(z[:, :, :1].double()), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(q.stddev.double(), exact.stddev)
    eps = torch.randn(3, 4, 5, generator=noise)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(eps).sum(-1) - L.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    torch.testing.assert_close(q.log_prob(q.transform(eps)), expected, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(q.narrowest, torch.linalg.svdvals(L).amin(-1))


def test_its_kl_is_that_of_torch():
    loc, L = made()
    p = DiagonalNormal(torch.linspace(-1, 1, 5), torch.linspace(-1, 0.5, 5))
    other = MultivariateNormal(p.loc.double(), scale_tril=torch.diag(p.stddev.double()))
    expected = kl_divergence(MultivariateNormal(loc.double(), scale_tril=L.double()), other)
    torch.testing.assert_close(kl_divergence(FullNormal(loc, L), p).double(), expected, rtol=1e-5, atol=1e-5)
