"""Exact log p(x): against a closed form, and as the ground truth of the bounds on a trained model."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from tests.helpers import BASELINE
from vaecli.config import Config
from vaecli.data import load_images
from vaecli.data.images import Images
from vaecli.distributions.bernoulli import Bernoulli
from vaecli.distributions.normal import DiagonalNormal
from vaecli.errors import UsageError
from vaecli.evaluation import grid
from vaecli.evaluation.importance import evaluate, importance_bound
from vaecli.evaluation.quadrature import START, exact_log_prob
from vaecli.image_shape import ImageShape
from vaecli.model import VAE, build
from vaecli.posteriors.base import Posterior
from vaecli.runs.run import read_run
from vaecli.seeding import generator


class TruePosterior(Posterior):
    """The posterior of a `Gaussian`, made of the image itself."""

    def __init__(self, W, noise):
        super().__init__(W.shape[1], len(W))
        self.W, self.noise = W, noise

    def forward(self, h, y=None):
        precision = 1 + 1 / self.noise**2
        loc = h @ self.W / self.noise**2 / precision
        return DiagonalNormal(loc, torch.full_like(loc, precision**-0.5).log())


class Gaussian(VAE):
    """p(x|z) = N(W z, noise^2 I) with the true posterior; it observes of an image the values `x` of the number in its pixels."""

    def __init__(self, size, noise):
        W = torch.linalg.qr(torch.randn(6, size, generator=generator("cpu", "W", size)))[0]
        nothing, true = torch.nn.Identity(), TruePosterior(W, noise)
        super().__init__(nothing, nothing, Bernoulli, size, image_shape=ImageShape(1, 1, 6), posterior=true)
        self.W, self.noise = W, noise

    def observe(self, pixels, noise=None):
        return self.x[pixels[:, 0].long()]

    def features(self, x, y=None):
        return x

    def likelihood(self, z, y=None):
        outer = self

        class Pixels:
            def pairwise_log_prob(self, value):
                return torch.distributions.Normal((z @ outer.W.T).unsqueeze(1), outer.noise).log_prob(value).sum(-1)

        return Pixels()


def drawn(model, count=8):
    noise = generator("cpu", "drawn")
    z = torch.randn(count, model.latent_dim, generator=noise)
    model.x = z @ model.W.T + model.noise * torch.randn(count, 6, generator=noise)
    numbers = torch.arange(count, dtype=torch.uint8).unsqueeze(1).repeat(1, 6)
    return Images(numbers, torch.zeros(count, dtype=torch.int64), ("",), model.image_shape)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("noise", [0.5, 0.02])
def test_it_is_the_closed_form_however_narrow_the_posterior(size, noise):
    model = Gaussian(size, noise)
    images = drawn(model)
    value = exact_log_prob(model, images)
    cov = (model.W @ model.W.T + noise**2 * torch.eye(6)).double()
    expected = MultivariateNormal(torch.zeros(6, dtype=torch.float64), cov).log_prob(model.x.double())
    # float32 log densities of size up to 30 / noise: their rounding
    torch.testing.assert_close(value.log_prob, expected, atol=2e-3, rtol=0)
    assert not value.unconverged.any()
    assert (value.side > 2 * START[size]) == (size == 2 and noise == 0.02)


@pytest.mark.parametrize("size", [1, 2])
def test_it_says_which_share_of_a_grid_is_done(size, monkeypatch):
    model, told = Gaussian(size, 0.5), []
    monkeypatch.setattr(grid, "_CELLS", 8 * 1000)
    exact_log_prob(model, drawn(model), lambda side, share: told.append((side, share)), sides=(50, 100))
    shares = {side: [share for of, share in told if of == side] for side in (50, 100)}
    assert [side for side, _ in told] == sorted(side for side, _ in told)
    for side, found in shares.items():
        points = side**size
        assert found == [min(points, end) / points for end in range(1000, points + 1000, 1000)]


def test_a_posterior_narrower_than_any_grid_has_not_converged():
    model = Gaussian(2, 0.002)
    value = exact_log_prob(model, drawn(model), sides=(150, 300))
    assert value.unconverged.tolist() == [True] * 8
    assert value.side == 300


def test_more_than_two_dimensions_are_refused(digits):
    with pytest.raises(UsageError, match="exact: found a latent space of 3 dimensions"):
        exact_log_prob(build(Config(latent_dim=3)), digits[:2])


@pytest.fixture(scope="module")
def trained_model():
    return read_run(BASELINE).model


@pytest.fixture(scope="module")
def some():
    return load_images("mnist", "test", limit=100)


@pytest.fixture(scope="module")
def exact(trained_model, some):
    return exact_log_prob(trained_model, some)


def test_the_bounds_of_a_trained_model_are_in_order_and_the_mixture_reaches_the_truth(trained_model, some, exact):
    assert not exact.unconverged.any()
    assert float(exact.refinement_error.mean()) < 0.01
    by_mixture = importance_bound(trained_model, some, 5000, "mixture")
    fifty, elbo = importance_bound(trained_model, some, 50, "mixture").value, evaluate(trained_model, some).elbo
    # a bound of k particles is low by half its variance to first order, and off by its Monte Carlo error
    expected = exact.log_prob - by_mixture.variance / 2
    error = float(by_mixture.variance.sum().sqrt()) / len(some)
    assert float((by_mixture.value - expected).mean()) == pytest.approx(0, abs=5 * error + 0.01)
    means = [float(values.mean()) for values in (exact.log_prob, by_mixture.value, fifty, elbo)]
    assert means[0] + 5 * error > means[1] > means[2] > means[3]


def test_the_posterior_alone_misses_modes(trained_model, some, exact):
    missed = exact.log_prob - importance_bound(trained_model, some, 1000).value
    assert float(missed.max()) > 1
    assert float(missed.mean()) > float((exact.log_prob - importance_bound(trained_model, some, 1000, "mixture").value).mean())


def test_chunks_do_not_change_the_value(trained_model, some, monkeypatch):
    monkeypatch.setattr("vaecli.evaluation.importance.ROWS", 500)
    small = importance_bound(trained_model, some[:30], 120, "mixture")
    monkeypatch.setattr("vaecli.evaluation.importance.ROWS", 4000)
    whole = importance_bound(trained_model, some[:30], 120, "mixture")
    # other noise falls to each image, so equal within the errors told
    error = (small.variance + whole.variance).sum().sqrt() / 30
    assert float((small.value - whole.value).mean()) == pytest.approx(0, abs=5 * float(error))
