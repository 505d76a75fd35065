"""The residual dense network: what it adds, and how it starts."""

import pytest
import torch

from tests.networks.seen import check_networks
from vaecli.config import Config
from vaecli.image_shape import ImageShape
from vaecli.model import build
from vaecli.networks.residual_mlp import ResidualMLP
from vaecli.seeding import generator

SHAPE = ImageShape(3, 4, 5)


@pytest.mark.parametrize("labels", [0, 3])
@pytest.mark.parametrize("hidden", [(7,), (7, 7, 5)])
def test_each_image_is_seen_alone_with_its_label(labels, hidden):
    check_networks(ResidualMLP(hidden), SHAPE, labels)


def test_layers_of_as_many_units_are_added():
    """A layer without weights changes nothing where it is added, and leaves nothing where sizes differ."""
    x = torch.rand(3, SHAPE.size, generator=generator("cpu", "residual"))
    for hidden, equal in (((7, 7), True), ((7, 5), False)):
        encoder = ResidualMLP(hidden).encoder(SHAPE, 0, 4)
        torch.nn.init.zeros_(encoder.hidden[0].weight)
        torch.nn.init.zeros_(encoder.hidden[0].bias)
        assert torch.equal(encoder(x).std(0) > 0, torch.full((4,), equal))


@pytest.mark.parametrize("likelihood", ["bernoulli", "discretized-logistic"])
def test_training_begins_near_a_model_without_latents(digits, likelihood):
    model = build(Config(arch="residual-mlp", likelihood=likelihood, latent_dim=32, init_bias="data"), digits)
    x = model.observe(digits.pixels[:100], generator("cpu", "x"))
    w = model.log_weights(x, None, torch.randn(1, 100, 32, generator=generator("cpu", "start")))
    assert (w.kl < 0.2).all()
    without = model.pixel_likelihood(model.output_without_latents(digits, by_channel=False)).log_prob(x)
    torch.testing.assert_close(w.reconstruction, without, rtol=0.03, atol=0)
