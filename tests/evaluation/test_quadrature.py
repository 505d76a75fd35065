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
from vaecli.evaluation import quadrature
from vaecli.evaluation.grid import Grid
from vaecli.evaluation.importance import evaluate, importance_bound
from vaecli.evaluation.quadrature import START, exact_log_prob, exact_posterior
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
    """The first grid has 25 tiles, with all eight images in each; the second has some of their children."""
    model, told = Gaussian(size, 0.5), []
    monkeypatch.setitem(quadrature.TILE, size, 2 if size == 1 else 10)
    exact_log_prob(model, drawn(model), lambda side, share: told.append((side, share)), sides=(50, 100))
    shares = {side: [share for of, share in told if of == side] for side in (50, 100)}
    assert [side for side, _ in told] == sorted(side for side, _ in told)
    assert shares[50] == pytest.approx([number / 25 for number in range(1, 26)])
    assert shares[100] == sorted(shares[100]) and shares[100][-1] == 1
    assert len(shares[100]) < 4**size * 25


@pytest.mark.parametrize("size", [1, 2])
def test_finer_grids_have_few_points_for_each_image_and_all_its_mass(size, monkeypatch):
    """An eighth of the standard deviation of a posterior is nearly all it takes, of a plane that is 600 of them wide."""
    model, pairs = Gaussian(size, 0.02), {}
    inner = quadrature._Integral.joint

    def counted(self, grid, tile, rows):
        pairs[grid.side] = pairs.get(grid.side, 0) + len(rows)
        return inner(self, grid, tile, rows)

    monkeypatch.setattr(quadrature._Integral, "joint", counted)
    images = drawn(model)
    value = exact_log_prob(model, images)
    edge = quadrature.TILE[size]
    for side, count in sorted(pairs.items())[1:]:
        across = 2 * (60**0.5 * 0.02) * side / 12 + 2 * edge  # a disc of 30 nats, and the tiles at its rim
        assert count / len(images) <= (across / edge + 1) ** size
    assert value.side in pairs


def plain_sum(model, images, side):
    """All points of one grid that reaches 9, in float64."""
    with torch.inference_mode():
        x = torch.cat([model.observe(images.pixels, generator("cpu", "evaluation pixels"))])
        whole, total = Grid(model.latent_dim, side, 9.0), []
        for members, _, z, nats in whole.log_likelihoods(model, x, images.labels):
            log_sums = torch.full((len(x),), -torch.inf, dtype=torch.float64)
            log_sums[members] = (nats + model.prior().log_prob(z).unsqueeze(1)).double().logsumexp(0)
            total.append(log_sums)
        return torch.stack(total).logsumexp(0) + model.latent_dim * torch.tensor(whole.cell).log()


def test_it_is_a_plain_sum_over_the_plane_of_a_trained_model(trained_model, some):
    hard = load_images("mnist", "test")[torch.tensor([5069, 6191, 7262])]  # with mass beyond six deviations of the prior
    for images in (some[:15], hard):
        found = exact_log_prob(trained_model, images)
        torch.testing.assert_close(found.log_prob, plain_sum(trained_model, images, 450), atol=1e-3, rtol=0)
        assert not found.unconverged.any()


class Elsewhere(TruePosterior):
    """A posterior beside the true one, and wider."""

    def forward(self, h, y=None):
        return DiagonalNormal(torch.zeros_like(h[:, : self.W.shape[1]]), torch.full_like(h[:, : self.W.shape[1]], 0.2).log())


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("distance", [3.0, 6.5])
def test_mass_is_found_where_q_is_not(size, distance):
    """At three and more than six standard deviations of the prior, a sixth as wide as q."""
    model = Gaussian(size, 0.03)
    model.posterior_of = Elsewhere(model.W, model.noise)
    images = drawn(model)
    z = torch.full((8, size), distance) * torch.tensor([1.0, -1.0]).repeat(4).unsqueeze(1)
    model.x = z @ model.W.T + model.x - model.x @ model.W @ model.W.T
    found = exact_log_prob(model, images)
    cov = (model.W @ model.W.T + model.noise**2 * torch.eye(6)).double()
    expected = MultivariateNormal(torch.zeros(6, dtype=torch.float64), cov).log_prob(model.x.double())
    torch.testing.assert_close(found.log_prob, expected, atol=2e-3, rtol=0)
    assert not found.unconverged.any()


class Peaks(Gaussian):
    """p(x|z) is the density of z under two narrow Gaussians, whatever x; q is one of them."""

    def __init__(self, places, scale):
        super().__init__(2, 1.0)
        self.places, self.scale = torch.tensor(places), scale

        class One(TruePosterior):
            def forward(_, h, y=None):
                loc = self.places[:1].expand(len(h), -1)
                return DiagonalNormal(loc, torch.full_like(loc, scale).log())

        self.posterior_of = One(self.W, 1.0)

    def likelihood(self, z, y=None):
        outer = self

        class Pixels:
            def pairwise_log_prob(self, value):
                peaks = torch.distributions.Normal(outer.places, outer.scale).log_prob(z.unsqueeze(1)).sum(-1)
                return peaks.logsumexp(-1, keepdim=True).expand(-1, len(value))

        return Pixels()


def test_of_two_narrow_peaks_none_is_missed_between_points():
    """One on a point of the grid of 80 x 80, one between its points."""
    cell = 12 / 80
    model = Peaks([[1.5 * cell, -2.5 * cell], [-6 * cell, 9 * cell]], 0.012)
    found = exact_log_prob(model, drawn(model, 1))
    spread = torch.full_like(model.places, (1 + 0.012**2) ** 0.5)
    expected = DiagonalNormal(torch.zeros_like(spread), spread.log()).log_prob(model.places).logsumexp(0)
    assert float(found.log_prob) == pytest.approx(float(expected), abs=1e-3)


def test_mass_farther_out_than_grids_reach_is_told(monkeypatch):
    """A third of it, of posteriors so wide that what there is within six converges."""
    model = Gaussian(2, 0.5)
    model.posterior_of = Elsewhere(model.W, model.noise)
    images = drawn(model)
    model.x = torch.full((8, 2), 7.3) @ model.W.T
    monkeypatch.setattr(quadrature, "FARTHEST", 1.0)
    assert exact_log_prob(model, images).unconverged.all()


@pytest.mark.parametrize("most", [1, 4 * 8, 1000])
def test_how_many_pairs_are_held_at_once_does_not_change_an_image(monkeypatch, most):
    """The first grid has four tiles, the next 16: 32 pairs hold all eight images on the first, and few on the next."""
    model = Gaussian(2, 0.5)
    images = drawn(model)
    whole = exact_log_prob(model, images, sides=(20, 160))
    groups, held = quadrature._Integral._groups, []

    def watched(self, rows, kept):
        for group in groups(self, rows, kept):
            held.append(int(group.sum()))
            yield group

    monkeypatch.setattr(quadrature._Integral, "_groups", watched)
    monkeypatch.setattr(quadrature, "MOST_PAIRS", most)
    by_parts = exact_log_prob(model, images, sides=(20, 160))
    assert (max(held) == 8) == (most == 1000)
    for found, expected in ((by_parts.log_prob, whole.log_prob), (by_parts.refinement_error, whole.refinement_error)):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert by_parts.side == whole.side
    assert not (by_parts.unconverged | whole.unconverged).any()


@torch.inference_mode()
def test_draws_are_from_the_exact_posterior():
    """Of seen pixels of a `Gaussian` whose posterior is known; and none depends on how many are drawn of other images."""
    model = Gaussian(2, 0.5)
    drawn(model)
    model.likelihood = lambda z, y=None: Independent(z @ model.W.T, model.noise)
    seen = torch.tensor([True, True, True, True, False, False])
    W = model.W[seen]
    covariance = (torch.eye(2) + W.T @ W / model.noise**2).inverse()
    means = model.x[:, seen] @ W / model.noise**2 @ covariance
    _, posterior = exact_posterior(model, model.x, torch.zeros(8, dtype=torch.int64), seen, model.posterior_of(model.x))
    count = 40_000
    for image in (0, 7):
        z = posterior.sample(image, count, generator("cpu", image))
        assert torch.equal(z, posterior.sample(image, count, generator("cpu", image)))
        error = float(covariance.diagonal().max().sqrt()) / count**0.5
        torch.testing.assert_close(z.mean(0), means[image], atol=5 * error, rtol=0)
        # cells add a forty-eighth of the squared length of the last grid's to the variances
        torch.testing.assert_close(z.T.cov(), covariance, atol=float(covariance.max()) * 0.04, rtol=0)
        assert len(z.unique(dim=0)) > 0.99 * count


class Independent:
    def __init__(self, mean, noise):
        self.mean, self.noise = mean, noise

    def marginal(self, mask):
        return Independent(self.mean[..., mask], self.noise)

    def pairwise_log_prob(self, value):
        return torch.distributions.Normal(self.mean.unsqueeze(1), self.noise).log_prob(value).sum(-1)


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
