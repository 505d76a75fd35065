"""The way from one image to another."""

import math

import pytest
import torch

from vaecli.analysis.interpolation import between, spherical, straight
from vaecli.config import Config
from vaecli.data import load_images
from vaecli.data.images import UNKNOWN
from vaecli.errors import UsageError
from vaecli.model import build, one_hot

SHARE = torch.linspace(0, 1, 7)


@pytest.fixture(scope="module")
def digits():
    return load_images("mnist", "test", limit=2)


@pytest.mark.parametrize("path", ["straight", "spherical"])
def test_the_way_leads_from_one_posterior_mean_to_the_other(digits, path):
    model = build(Config(latent_dim=5))
    found = between(model, digits[:1], digits[1:], 4, path)
    with torch.inference_mode():
        loc = model.posterior(found.ends).loc
        torch.testing.assert_close(found.z[[0, -1]], loc)
        torch.testing.assert_close(found.mean, model.likelihood(found.z).mean)
    assert torch.equal(found.ends, (digits.pixels > 127).float())
    assert found.y is None
    straight_line = torch.equal(found.z, straight(loc[0], loc[1], torch.linspace(0, 1, 4)))
    assert straight_line == (path == "straight")


def test_the_label_goes_along_unless_one_is_given(digits):
    model = build(Config(labels="full"))
    a, b = digits[:1], digits[1:]
    seven, two = one_hot(digits.labels, 10)
    torch.testing.assert_close(between(model, a, b, 5).y, torch.stack([seven + (two - seven) * t / 4 for t in range(5)]))
    assert torch.equal(between(model, a, a, 3).y, seven.expand(3, -1))
    assert torch.equal(between(model, a, b, 3, label=4).y, one_hot(torch.tensor([4, 4, 4]), 10))
    a.labels[:] = UNKNOWN
    torch.testing.assert_close(between(model, a, b, 3).y, torch.stack([0 * two, two / 2, two]))


def test_a_great_circle_turns_evenly_and_its_length_grows_evenly():
    a, b = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])
    z = spherical(a, b, SHARE)
    torch.testing.assert_close(z.norm(dim=1), 2 - SHARE)
    torch.testing.assert_close(torch.atan2(z[:, 1], z[:, 0]), SHARE * math.pi / 2)
    assert not z[:, 2].any()


def test_between_vectors_of_one_length_it_is_whites_formula():
    a, b = torch.nn.functional.normalize(torch.randn(2, 9, generator=torch.Generator().manual_seed(0)), dim=1) * 3
    angle = torch.arccos((a @ b / 9).double())
    t = SHARE.double().unsqueeze(1)
    expected = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
    torch.testing.assert_close(spherical(a, b, SHARE), expected.float())


@pytest.mark.parametrize("change", [1e-3, 1e-4, 1e-7, 1e-12, 0.0])
@pytest.mark.parametrize("factor", [2.0, -2.0, 1.0, -1.0])
def test_vectors_that_are_nearly_parallel_or_opposite(factor, change):
    """No way is longer than its ends, and its ends are theirs."""
    a = torch.tensor([1.0, 0.0, 0.0])
    b = factor * torch.tensor([1.0, change, 0.0])
    z = spherical(a, b, SHARE)
    assert z.isfinite().all()
    assert float(z.norm(dim=1).max()) <= max(1, abs(factor)) * (1 + 1e-6)
    torch.testing.assert_close(z[[0, -1]], torch.stack((a, b)))
    if factor > 0:
        torch.testing.assert_close(z, straight(a, b, SHARE), atol=1e-6 + change, rtol=0)


@pytest.mark.parametrize(("a", "b"), [((0.0, 0.0), (1.0, 2.0)), ((1.0, 2.0), (0.0, 0.0)), ((0.0, 0.0), (0.0, 0.0))])
def test_from_the_origin_the_way_is_straight(a, b):
    assert torch.equal(spherical(torch.tensor(a), torch.tensor(b), SHARE), straight(torch.tensor(a), torch.tensor(b), SHARE))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"n": 1}, "n=1: expected a whole number from 2"),
        ({"path": "round"}, "path=round: expected straight or spherical"),
        ({"label": 3}, "label=3: expected a label of the model, which has 0"),
    ],
)
def test_mistakes(digits, more, words):
    with pytest.raises(UsageError, match=words):
        between(build(Config()), digits[:1], digits[1:], **more)
