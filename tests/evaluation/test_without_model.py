import math

import pytest
import torch

from vaecli import registry
from vaecli.config import Config
from vaecli.data.images import UNKNOWN, Images
from vaecli.evaluation.without_model import grey_share, without_model
from vaecli.image_shape import ImageShape
from vaecli.model import build
from vaecli.seeding import generator

SHAPE = ImageShape(3, 8, 8)


def noise(low, high, count=400, words=1):
    pixels = torch.randint(low, high, (count, SHAPE.size), generator=generator("cpu", words)).to(torch.uint8)
    return Images(pixels, torch.full((count,), UNKNOWN), (), SHAPE)


def model_of(likelihood):
    return build(Config(dataset="folder", image_size=8, likelihood=likelihood, hidden=(4,)))


@pytest.mark.parametrize("likelihood", registry.names("likelihood"))
def test_equal_values_and_the_mean_are_better_than_an_untrained_model_of_bright_images(likelihood):
    model = model_of(likelihood)
    equal, mean = without_model(model, noise(200, 256), noise(200, 256, words=2))
    assert equal == pytest.approx(SHAPE.size * {"discretized-logistic": math.log(256), "bernoulli": math.log(2)}.get(likelihood, 0))
    assert mean < equal
    assert math.isfinite(mean)


def test_black_and_white_pixels_cost_the_entropy_of_their_mean():
    images = noise(0, 256, 4000)
    _, mean = without_model(model_of("bernoulli"), images, images)
    p = (images.pixels > 127).float().mean(0).double()
    entropy = -(p * p.log() + (1 - p) * (1 - p).log()).sum()
    assert mean == pytest.approx(float(entropy), rel=1e-4)


def test_noise_of_all_levels_costs_about_eight_bits():
    equal, mean = without_model(model_of("discretized-logistic"), noise(0, 256), noise(0, 256, words=2))
    assert equal / SHAPE.size / math.log(2) == pytest.approx(8)
    assert 8 < mean / SHAPE.size / math.log(2) < 8.3


def test_grey_lies_an_eighth_of_the_range_from_black_and_white():
    pixels = torch.tensor([[0, 31, 32, 128, 223, 224, 255, 255]], dtype=torch.uint8)
    assert grey_share(Images(pixels, torch.tensor([UNKNOWN]), (), ImageShape(1, 1, 8))) == 3 / 8
