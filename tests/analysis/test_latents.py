import torch

from vaecli.analysis.latents import principal_components, squares
from vaecli.config import Config
from vaecli.evaluation.encode import encode
from vaecli.model import build
from vaecli.priors.normal import StandardNormal
from vaecli.seeding import generator


def test_encoding_is_the_posterior_of_every_image(digits):
    model = build(Config(latent_dim=5))
    q = encode(model, digits)
    expected = model.posterior(model.observe(digits.pixels, generator("cpu")))
    torch.testing.assert_close(q.mean, expected.mean)
    torch.testing.assert_close(q.stddev, expected.stddev)


def test_principal_components_find_the_directions_and_their_share():
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=generator("cpu", 1)))[0]
    scales = torch.tensor([5.0, 3, 1, 0.5, 0.2, 0.1])
    points = torch.randn(20_000, 6, generator=generator("cpu", 2)) * scales @ rotation.T + 7
    coordinates, shares = principal_components(points, 2)
    torch.testing.assert_close(shares, (scales**2 / (scales**2).sum())[:2], atol=0.02, rtol=0)
    # the coordinates are those along the first two columns of the rotation, up to sign
    expected = (points - points.mean(0)) @ rotation[:, :2]
    for d in range(2):
        assert abs(float(torch.corrcoef(torch.stack((coordinates[:, d], expected[:, d])))[0, 1])) > 0.999


def test_prior_quantiles_read_like_a_page():
    grid = StandardNormal(2).quantile(squares(3)).float().view(3, 3, 2)
    assert (grid[0, :, 1] > grid[1, :, 1]).all()
    assert (grid[:, 2, 0] > grid[:, 1, 0]).all()
    torch.testing.assert_close(grid[1, 1], torch.zeros(2))
    torch.testing.assert_close(grid[0, 2], torch.tensor([0.967422, 0.967422]))  # the normal quantile of 5/6
