import pytest
import torch

from vaecli.config import Config
from vaecli.model import build
from vaecli.seeding import generator
from vaecli.training.loop import make_optimizer
from vaecli.training.step import make_step


def gradient(digits, clip_norm):
    config = Config(hidden=(20,), clip_norm=clip_norm, objective="iwae", k=3)
    model = build(config)
    make_step(model, make_optimizer(model, config), digits, config)(torch.arange(100), generator("cpu", "noise"))
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def test_a_gradient_is_scaled_down_to_the_norm_and_a_smaller_one_left(digits):
    plain = gradient(digits, None)
    norm = float(plain.norm())
    clipped = gradient(digits, norm / 10)
    assert float(clipped.norm()) == pytest.approx(norm / 10, rel=1e-4)
    torch.testing.assert_close(10 * clipped, plain, rtol=1e-3, atol=1e-6)
    assert torch.equal(gradient(digits, 2 * norm), plain)
