"""Reading log p(x | z) off a table: the same as decoding it, wherever the table is called good."""

from typing import get_args

import pytest
import torch
from torch import nn

from tests.helpers import BASELINE
from vaecli.config import Config
from vaecli.data import load_images
from vaecli.data.images import UNKNOWN, Images
from vaecli.distributions.bernoulli import Bernoulli
from vaecli.distributions.normal import DiagonalNormal
from vaecli.evaluation import importance as evaluation
from vaecli.evaluation import likelihood_table as tabulated
from vaecli.evaluation.importance import Proposal, importance_bound
from vaecli.evaluation.likelihood_table import TOLERANCE, LikelihoodTable, worthwhile
from vaecli.image_shape import ImageShape
from vaecli.model import VAE, build
from vaecli.runs.run import read_run
from vaecli.seeding import generator
from vaecli.training.loop import fit, make_optimizer


def tables_of(model, images):
    with torch.inference_mode():
        x, y = model.observe(images.pixels, generator("cpu", "x")), model.condition(images.labels)
        h = model.features(x, y)
        return LikelihoodTable(model, x, images, h), x, y, model.posterior_of(h, y)


@pytest.fixture(scope="module")
def baseline():
    return read_run(BASELINE / "model.safetensors").model


@pytest.mark.parametrize("proposal", get_args(Proposal))
def test_the_bound_is_the_same_with_and_without(baseline, proposal, monkeypatch):
    images = load_images("mnist", "test", limit=40)
    monkeypatch.setattr(evaluation, "worthwhile", lambda *_: True)
    read = importance_bound(baseline, images, 500, proposal)
    monkeypatch.setattr(evaluation, "worthwhile", lambda *_: False)
    decoded = importance_bound(baseline, images, 500, proposal)
    # single-precision decoding itself is good to about 1e-4
    torch.testing.assert_close(read.value, decoded.value, atol=TOLERANCE, rtol=0)
    assert (read.value - decoded.value).mean().abs() < TOLERANCE / 5
    assert not torch.equal(read.value, decoded.value)  # two ways were taken


@pytest.mark.parametrize(
    "settings",
    [{"latent_dim": 1}, {"likelihood": "beta"}, {"labels": "full", "arch": "conv", "channels": (4, 8), "hidden": (32,)}],
    ids=str,
)
def test_it_is_the_decoder_for_every_likelihood_architecture_and_label(settings, digits, monkeypatch):
    monkeypatch.setitem(tabulated.SIDE, 2, 150)
    monkeypatch.setattr(tabulated, "TOLERANCE", 0.1)
    config = Config(**settings, epochs=2, batch_size=50)
    model = build(config)
    list(fit(model, make_optimizer(model, config), digits, config))
    some = digits[torch.isin(digits.labels, torch.tensor([3, 7]))][:30]  # each label takes a grid of its own
    table, x, y, q = tables_of(model, some)
    assert table.good.all()
    with torch.inference_mode():
        z = q.rsample((50,), generator("cpu", "z"))
        decoded = model.likelihood(z, y).log_prob(x)
        torch.testing.assert_close(table.log_prob(z, torch.arange(30)), decoded, atol=0.2, rtol=1e-4)
        rows = torch.tensor([7, 3])
        torch.testing.assert_close(table.log_prob(z[:, rows], rows), decoded[:, rows], atol=0.2, rtol=1e-4)


def test_latents_beyond_the_grid_are_decoded(baseline, monkeypatch):
    monkeypatch.setitem(tabulated.SIDE, 2, 50)
    table, x, _y, _q = tables_of(baseline, load_images("mnist", "test", limit=5))
    z = torch.full((1, 5, 2), 50.0)
    with torch.inference_mode():
        torch.testing.assert_close(table.log_prob(z, torch.arange(5)), baseline.likelihood(z).log_prob(x))


def test_images_it_errs_on_are_decoded(baseline, monkeypatch):
    monkeypatch.setitem(tabulated.SIDE, 2, 12)  # far too coarse
    table, x, _y, q = tables_of(baseline, load_images("mnist", "test", limit=20))
    assert not table.good.any()
    with torch.inference_mode():
        z = q.rsample((3,), generator("cpu", "z"))
        torch.testing.assert_close(table.log_prob(z, torch.arange(20)), baseline.likelihood(z).log_prob(x), atol=1e-3, rtol=0)


def test_it_is_made_only_where_it_saves_work(baseline):
    assert worthwhile(baseline, 1000, 5000)
    assert not worthwhile(baseline, 10_000, 50)  # few particles
    assert not worthwhile(baseline, 5, 5000)  # few images
    assert not worthwhile(build(Config(latent_dim=3)), 10_000, 5000)


def test_images_are_found_by_their_number(baseline):
    images = load_images("mnist", "test", limit=6)
    table, x, _, q = tables_of(baseline, images)
    with torch.inference_mode():
        one = DiagonalNormal(q.loc[4:5], q.log_scale[4:5]).rsample((9,), generator("cpu", "one"))
        expected = baseline.likelihood(one).log_prob(x[4:5])
        torch.testing.assert_close(table.log_prob(one, torch.tensor([4])), expected, atol=2 * TOLERANCE, rtol=0)


class Slope(nn.Module):
    """A decoder that gives six pixels the logit 2 z."""

    def forward(self, z, y=None):
        return (2 * z).expand(*z.shape[:-1], 6).unsqueeze(-2)


class Nothing(nn.Module):
    """An encoder that is blind to its images."""

    def forward(self, x, y=None):
        return torch.zeros(len(x), 2)


@torch.inference_mode()
def test_it_errs_as_a_cubic_through_the_four_nearest_points_does(monkeypatch):
    """By at most 3/128 h^4 max|f^(4)|, the remainder of Lagrange's interpolation midway between the inner two of four points.

    Here f is -6 softplus(2 z) for black pixels, with |f^(4)| up to 6 * 2^4 / 8 = 12, at 0.
    """
    side = 41
    monkeypatch.setitem(tabulated.SIDE, 1, side)
    model = VAE(Nothing(), Slope(), Bernoulli, 1, image_shape=ImageShape(1, 1, 6))
    images = Images(torch.zeros(1, 6, dtype=torch.uint8), torch.tensor([UNKNOWN]), (), model.image_shape)
    table, x, _, q = tables_of(model, images)
    assert table.good.all()
    reach = float(q.extent)
    z = torch.linspace(-reach, reach, 4001).view(-1, 1, 1)
    errors = (table.log_prob(z, torch.tensor([0])) - model.likelihood(z).log_prob(x)).abs()
    bound = 3 / 128 * (2 * reach / side) ** 4 * 12
    inner = z.abs().view(-1) < reach - 4 * reach / side  # at the edge the nearest points lie on one side
    assert 0.8 * bound < float(errors[inner].max()) < bound + 1e-5
