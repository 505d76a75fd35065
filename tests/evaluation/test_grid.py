import pytest
import torch

from vaecli.config import Config
from vaecli.evaluation import grid
from vaecli.evaluation.grid import Grid, log_likelihoods
from vaecli.model import build
from vaecli.seeding import generator


@pytest.mark.parametrize("size", [1, 2])
def test_tiles_cover_the_grid_once_and_say_what_lies_beyond(size):
    whole, edge, across = Grid(size, 25, 3.0), 10, 3
    met = []
    for position in torch.cartesian_prod(*[torch.arange(across)] * size).view(-1, size):
        points, inside = whole.tile(position, edge)
        assert points.shape == (edge**size, size)
        met.append(points[inside])
        assert (points[~inside].abs().amax(-1) > 3).all()
    met, points = torch.cat(met), whole.points(torch.device("cpu"))
    assert len(met) == len(points)
    assert torch.equal(met.unique(dim=0), points.unique(dim=0))


@pytest.mark.parametrize("cells", [1, 12, 10**6])
@pytest.mark.parametrize("block", [None, 2])
@torch.inference_mode()
def test_each_latent_is_decoded_once_for_each_image_however_many_fit_at_once(digits, monkeypatch, cells, block):
    """5 images of 3 labels; with 1 cell fewer fit than there are images."""
    monkeypatch.setattr(grid, "_CELLS", cells)
    model = build(Config(labels="full", hidden=(8,)))
    x = model.observe(digits.pixels[:5], generator("cpu", "x"))
    labels = torch.tensor([3, 1, 3, 7, 1])
    points = Grid(2, 3, 2.0).points(x.device)
    found, met = torch.zeros(9, 5), torch.zeros(9, 5)
    for members, where, z, nats in log_likelihoods(model, points, x, labels, block=block):
        assert torch.equal(z, points[where])
        found[where, members] = nats
        met[where, members] += 1
    assert (met == 1).all()
    for image in range(5):
        y = model.condition(labels[image].expand(9))
        torch.testing.assert_close(found[:, image], model.likelihood(points, y).log_prob(x[image]), atol=1e-3, rtol=0)
