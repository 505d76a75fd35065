"""Annealing, against closed forms, quadrature and itself."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from tests.helpers import BASELINE
from vaecli.config import Config
from vaecli.data import load_images
from vaecli.data.images import Images
from vaecli.distributions.bernoulli import Bernoulli
from vaecli.distributions.normal import DiagonalNormal
from vaecli.errors import UsageError
from vaecli.evaluation import ais, quadrature
from vaecli.evaluation.ais import AIS, annealed, bracketed
from vaecli.evaluation.estimates import Estimate
from vaecli.evaluation.importance import importance_bound
from vaecli.evaluation.measure import measure
from vaecli.evaluation.quadrature import exact_log_prob
from vaecli.image_shape import ImageShape
from vaecli.model import VAE, build
from vaecli.posteriors.base import Posterior
from vaecli.runs.run import read_run
from vaecli.seeding import generator
from vaecli.training.loop import fit, make_optimizer

SIZE, PIXELS, NOISE = 3, 6, 0.5


class Guess(Posterior):
    """Gaussians beside the posterior of a `Linear`, and twice as wide."""

    def __init__(self, W):
        super().__init__(SIZE, PIXELS)
        self.W = W

    def forward(self, h, y=None):
        precision = torch.eye(SIZE) + self.W.T @ self.W / NOISE**2
        loc = h @ self.W / NOISE**2 @ precision.inverse()
        return DiagonalNormal(loc + 0.2, torch.full_like(loc, math.log(2) - 0.5 * math.log(float(precision.diagonal().mean()))))


class Linear(VAE):
    """p(x|z) = N(W z, NOISE^2 I), whose p(x) is Gaussian; it observes of an image the `x` of the number in its first two pixels."""

    def __init__(self, count=8):
        W = torch.randn(PIXELS, SIZE, generator=generator("cpu", "W"))
        nothing = torch.nn.Identity()
        super().__init__(nothing, nothing, Bernoulli, SIZE, image_shape=ImageShape(1, 1, PIXELS), posterior=Guess(W))
        self.W = W
        self.p_x = MultivariateNormal(torch.zeros(PIXELS).double(), (W @ W.T + NOISE**2 * torch.eye(PIXELS)).double())
        noise = generator("cpu", "drawn")
        z = torch.randn(count, SIZE, generator=noise)
        self.x = z @ W.T + NOISE * torch.randn(count, PIXELS, generator=noise)
        pixels = torch.zeros(count, PIXELS, dtype=torch.uint8)
        pixels[:, 0], pixels[:, 1] = torch.arange(count) // 256, torch.arange(count) % 256
        self.images = Images(pixels, torch.zeros(count, dtype=torch.int64), ("",), self.image_shape)

    def observe(self, pixels, noise=None):
        return self.x[256 * pixels[:, 0].long() + pixels[:, 1].long()]

    def features(self, x, y=None):
        return x

    def likelihood(self, z, y=None):
        class Pixels(Normal):
            def log_prob(self, value):
                return super().log_prob(value).sum(-1)

            def sample(self, shape=(), generator=None):
                return self.loc + self.scale * torch.randn(self.loc.shape, generator=generator)

        return Pixels(z @ self.W.T, NOISE)

    @property
    def exact(self):
        return self.p_x.log_prob(self.x.double())


def within(value, expected, error):
    return abs(float(value) - expected) < 4 * float(error)


def test_weights_are_p_of_x_in_expectation_whatever_the_schedule():
    """Forwards and, from draws of the posterior, backwards: with few temperatures weights differ, and their mean is right."""
    model = Linear(6)
    for settings in (AIS(1, 1000), AIS(2, 1000), AIS(5, 1000, 2)):
        found = annealed(model, model.images, settings)
        ratio = (found.log_w - model.exact).exp()
        assert float(ratio.std()) > 0.2
        assert within(ratio.mean(), 1, ratio.std() / 6000**0.5)
        assert bool((found.value < model.exact + 4 * found.variance.sqrt()).all())


def test_backward_weights_are_the_inverse_in_expectation():
    model, count = Linear(), 4000
    z = model.prior.sample(count, generator("cpu", "z"))
    x = model.likelihood(z).sample(generator=generator("cpu", "x"))
    with ais._ready(model):
        batch = ais._Batch(model, x, None, ("drawn", slice(0, count)), AIS(4, 2), lambda share: None)
        ratio = (batch.backward(z, batch.tuned()) + model.p_x.log_prob(x.double())).exp()
    assert float(ratio.std()) > 0.2
    assert within(ratio.mean(), 1, ratio.mean(0).std() / count**0.5)


def test_both_sides_bracket_the_exact_value_and_close():
    model = Linear()
    gaps = []
    for temperatures in (3, 100):
        settings = AIS(temperatures)
        sides = bracketed(model, 100, settings)
        z = model.prior.sample(100, generator("cpu", "annealing", "latents"))
        x = model.likelihood(z).sample(generator=generator("cpu", "annealing", "pixels"))
        exact = model.p_x.log_prob(x.double())
        below, above = exact - sides.lower, sides.upper - exact
        assert float(below.mean()) > -3 * float(below.std()) / 10
        assert float(above.mean()) > -3 * float(above.std()) / 10
        gaps.append(float((sides.upper - sides.lower).mean()))
    assert gaps[0] > 0.5 > 3 * gaps[1]


@pytest.mark.parametrize("step", [0.0, 100.0])
def test_broken_steps_widen_the_gap(monkeypatch, step):
    model = Linear()

    def gap():
        sides = bracketed(model, 50, AIS(30))
        return float((sides.upper - sides.lower).mean())

    tuned = gap()
    monkeypatch.setattr(ais._Batch, "tuned", lambda self: torch.full((29, 50), step))
    assert gap() > 3 * tuned > 0


def test_backwards_is_the_same_schedule_in_reverse(monkeypatch):
    moves = []

    def recorded(self, b, step, noise, leapfrog):
        moves.append((b, float(step[0])))
        return torch.zeros(4, 2)

    monkeypatch.setattr(ais._Batch, "tuned", lambda self: torch.arange(9.0).unsqueeze(1).repeat(1, 2))
    monkeypatch.setattr(ais._Chains, "move", recorded)
    bracketed(Linear(), 2, AIS(10))
    assert moves[:2] == [(pytest.approx(0.1), 0), (pytest.approx(0.2), 1)]
    assert len(moves) == 18 and moves[9:] == moves[8::-1]


def test_steps_are_tuned_to_the_acceptance():
    model = Linear()
    found = annealed(model, model.images, AIS(100))
    assert found.acceptance.tolist() == pytest.approx([ais.ACCEPTANCE] * 8, abs=0.12)


def test_two_errors_cover_the_truth():
    """In 36 of 40 means over other images and chains, at least."""
    model = Linear(400)
    found = annealed(model, model.images, AIS(20, 8))
    wrong = (found.value - model.exact).view(40, 10)
    errors = [
        Estimate.of(part, variance).monte_carlo_error for part, variance in zip(wrong, found.variance.view(40, 10), strict=True)
    ]
    inside = sum(abs(float(part.mean())) <= 2 * error for part, error in zip(wrong, errors, strict=True))
    assert inside >= 36
    assert sum(errors) / 40 < 2 * float(wrong.mean(1).std())


@pytest.fixture(scope="module")
def baseline():
    return read_run(BASELINE).model


@pytest.fixture(scope="module")
def some():
    return load_images("mnist", "test", limit=30)


def test_it_is_what_quadrature_says_within_its_error_and_closer_than_importance_sampling(baseline, some):
    measured = measure(baseline, some, k=(50,), exact=True, ais=AIS(60), bdmc=20)
    assert abs(measured.ais.mean - measured.exact.mean) < 3 * measured.ais.monte_carlo_error < 1
    assert measured.bounds[50].mean < measured.ais.mean
    assert 0.4 < measured.annealing.acceptance < 0.9
    assert abs(measured.bdmc.gap.mean) < 3 * measured.bdmc.gap.standard_error < 0.5
    assert measured.bdmc.gap.mean == pytest.approx(measured.bdmc.upper.mean - measured.bdmc.lower.mean)
    assert measured.per_image["ais"].mean() == pytest.approx(measured.ais.mean)


def test_an_image_has_the_same_noise_in_any_batch_and_of_any_number(baseline, some, monkeypatch):
    settings = AIS(5)
    all_of_them = annealed(baseline, some, settings).log_w
    few = annealed(baseline, some[:3], settings).log_w
    monkeypatch.setitem(ais.ROWS, "cpu", 28)
    in_sevens = annealed(baseline, some, settings).log_w
    # sums in another order may turn a move down that was accepted: here and there, of moves so long
    for found in (few, in_sevens):
        assert float(((found - all_of_them[:, : found.shape[1]]).abs() < 1e-2).double().mean()) > 0.8
    assert float(all_of_them.std(0).min()) > 0.05  # chains differ
    assert len(all_of_them.unique()) == all_of_them.numel()


def test_it_repeats_itself_tells_its_share_and_leaves_the_model_alone(baseline, some, monkeypatch):
    monkeypatch.setitem(ais.ROWS, "cpu", 40)
    before = {name: parameter.clone() for name, parameter in baseline.named_parameters()}
    next(baseline.parameters()).requires_grad_(False)
    told = []
    first = annealed(baseline, some, AIS(3), told.append).log_w
    torch.manual_seed(5)
    with torch.inference_mode():
        again = annealed(baseline, some, AIS(3)).log_w
    assert torch.equal(again, first)
    assert told == sorted(told) and 0 < told[0] < 0.1 and told[-1] == pytest.approx(1)
    assert len(told) > 150
    assert [parameter.requires_grad for parameter in baseline.parameters()] == [False] + [True] * (len(before) - 1)
    assert all(parameter.grad is None and torch.equal(parameter, before[name]) for name, parameter in baseline.named_parameters())
    next(baseline.parameters()).requires_grad_(True)


def test_pixels_drawn_at_random_are_those_of_importance_sampling(digits):
    """Of a decoder blind to its latents, with the prior as posterior, any weight is p(x)."""
    model = build(Config(binarize="stochastic"))
    with torch.no_grad():
        model.decoder.input.weight.zero_()
        model.encoder.output.weight.zero_()
        model.encoder.output.bias.zero_()
    found = annealed(model, digits[:40], AIS(2, 3))
    torch.testing.assert_close(found.value, importance_bound(model, digits[:40], 1).value, rtol=0, atol=1e-2)
    assert float(found.variance.max()) < 1e-6


def test_labels_are_given_or_summed_out(digits, monkeypatch):
    monkeypatch.setitem(quadrature.START, 2, 40)
    monkeypatch.setitem(quadrature.MOST, 2, 160)
    config = Config(labels="full", epochs=15, batch_size=50, hidden=(50,), lr=3e-3)
    model = build(config)
    list(fit(model, make_optimizer(model, config), digits, config))
    some = digits[:12]
    given = measure(model, some, k=(), exact=True, ais=AIS(50), bdmc=10)
    assert abs(given.ais.mean - given.exact.mean) < 3 * given.ais.monte_carlo_error < 0.5
    assert given.bdmc.lower.mean < given.bdmc.upper.mean  # of images unlike those that the encoder knows
    torch.testing.assert_close(given.per_image["exact"], exact_log_prob(model, some).log_prob)
    out = measure(model, some, k=(), exact=True, ais=AIS(10, 3), marginal_labels=True)
    assert abs(out.ais.mean - out.exact.mean) < 3 * out.ais.monte_carlo_error < 0.7
    assert abs(given.exact.mean - out.exact.mean) > 0.5


def test_one_chain_has_no_error_and_one_temperature_no_moves(baseline, some):
    measured = measure(baseline, some[:3], k=(), ais=AIS(1, 1))
    json = measured.to_json()
    assert "ais" not in json["monte_carlo_error"] and json["ais"] < json["elbo"] + 100
    assert json["annealing"] == {"temperatures": 1, "chains": 1, "leapfrog": 4}
    assert "monte_carlo_error_ais" not in measured.per_image
    whole = measure(baseline, some[:3], k=(), ais=True)
    assert whole.to_json()["annealing"].items() >= {"temperatures": 250, "chains": 4, "leapfrog": 4}.items()


def test_what_makes_no_sense_is_refused(baseline, some):
    with pytest.raises(UsageError, match=r"^ais_chains=0: expected a whole number from 1 to 1,000"):
        AIS(chains=0)
    with pytest.raises(UsageError, match=r"^bdmc=5 without ais: expected the schedule"):
        measure(baseline, some, bdmc=5)
    with pytest.raises(UsageError, match=r"^ais=yes: expected True or False or an AIS"):
        measure(baseline, some, ais="yes")
