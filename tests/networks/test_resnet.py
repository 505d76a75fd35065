"""The residual network: sizes that it takes, and how it starts."""

import pytest
import torch

from tests.networks.seen import check_networks
from vaecli.config import Config
from vaecli.errors import UsageError
from vaecli.image_shape import ImageShape
from vaecli.model import build
from vaecli.networks.resnet import ResNet
from vaecli.seeding import generator
from vaecli.training.loop import fit, make_optimizer


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 14), (1, 4, 4), (3, 33, 33)])
@pytest.mark.parametrize("labels", [0, 3])
@pytest.mark.parametrize("blocks", [1, 2])
def test_images_of_any_size(shape, labels, blocks):
    shape = ImageShape(*shape)
    check_networks(ResNet((8, 6, 5)[: 1 + (shape.height > 4)], (7,), blocks), shape, labels)


@pytest.mark.parametrize(("size", "channels"), [(28, (16, 32)), (32, (16, 32)), (51, (16, 32, 64)), (64, (16, 32, 64)), (4, (16,))])
def test_its_channels_fit_the_size_of_the_images(size, channels):
    assert Config(dataset="folder", arch="resnet", image_size=size).channels == channels


def test_more_halvings_than_an_image_has_are_refused():
    with pytest.raises(UsageError, match=r"^channels=.*: each of these 5 convolutions .* expected at most 4, which leave 2 of 28"):
        build(Config(arch="resnet", channels=(4,) * 5))
    assert build(Config(arch="resnet", channels=(4,) * 4)).encoder.input.in_features == 4 * 2 * 2


@pytest.mark.parametrize("init", ["torch", "glorot"])
def test_a_block_begins_as_the_identity_and_learns(digits, init):
    config = Config(arch="resnet", channels=(4, 4), hidden=(16,), blocks=2, batch_size=100, epochs=1, init=init)
    model = build(config)
    blocks = [block for network in (model.encoder, model.decoder) for stage in network.blocks for block in stage]
    assert len(blocks) == 2 * 2 * 2
    h = torch.randn(2, 4, 5, 5, generator=generator("cpu", "block"))
    assert all(torch.equal(block(h), h) for block in blocks)
    list(fit(model, make_optimizer(model, config), digits, config))
    assert not any(torch.allclose(block(h), h, atol=1e-4) for block in blocks)


@pytest.mark.parametrize("likelihood", ["bernoulli", "discretized-logistic"])
def test_it_starts_near_no_model_without_a_bias_from_the_data(digits, likelihood):
    """Posteriors at the prior, and pixels at the middle of their values, where 256 levels take 3.7 nats on digits."""
    model = build(Config(arch="resnet", likelihood=likelihood, latent_dim=32))
    x = model.observe(digits.pixels[:100], generator("cpu", "x"))
    w = model.log_weights(x, None, torch.randn(1, 100, 32, generator=generator("cpu", "start")))
    assert (w.kl < 0.1).all()
    middle = model.pixel_likelihood(torch.zeros(model.pixel_likelihood.outputs_per_pixel, 784)).log_prob(x)
    torch.testing.assert_close(w.reconstruction, middle, rtol=0.02, atol=0)
