import pytest
import torch

from vaecli.config import Config
from vaecli.data.images import Images
from vaecli.image_shape import ImageShape
from vaecli.model import build
from vaecli.training.loop import fit, make_optimizer
from vaecli.training.schedules import learning_rate, warm_up


def test_burdas_eight_stages():
    config = Config(lr_schedule="burda", epochs=3280)
    rates = [learning_rate(config, epoch) for epoch in range(1, 3281)]
    counts = [rates.count(rate) for rate in sorted(set(rates), reverse=True)]
    assert counts == [3**i for i in range(8)]
    assert rates[0] == 1e-3
    assert rates[-1] == pytest.approx(1e-4)
    assert rates[1] / rates[0] == pytest.approx(10 ** (-1 / 7))


def test_cosine_and_constant():
    config = Config(lr_schedule="cosine", epochs=10, lr=0.5)
    assert learning_rate(config, 1) == 0.5
    assert learning_rate(config, 6) == pytest.approx(0.25)
    assert 0 < learning_rate(config, 10) < 0.02
    assert learning_rate(Config(lr=0.2), 4) == 0.2


def test_training_uses_the_schedule_and_the_epsilon(digits):
    config = Config(lr_schedule="cosine", epochs=4, adam_eps=1e-4)
    model = build(config)
    optimizer = make_optimizer(model, config)
    assert optimizer.eps == 1e-4
    used = [optimizer.lr for _ in fit(model, optimizer, digits, config)]
    assert used == [learning_rate(config, epoch) for epoch in range(1, 5)]


def test_the_learning_rate_rises_step_by_step_over_epochs(digits):
    """8 steps of warm-up over epochs of 6, on a falling schedule."""
    config = Config(lr_schedule="cosine", epochs=3, lr_warmup=8, batch_size=100, hidden=(5,))
    model = build(config)
    optimizer = make_optimizer(model, config)
    step, used = optimizer.step, []
    optimizer.step = lambda: (used.append(optimizer.lr), step())
    list(fit(model, optimizer, digits, config))
    shares = [1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8, 7 / 8, *11 * [1]]
    assert len(digits) == 600 and len(used) == 18
    assert used == pytest.approx([learning_rate(config, 1 + i // 6) * share for i, share in enumerate(shares)])
    assert [warm_up(Config(), step) for step in (1, 2)] == [1, 1]


@pytest.mark.parametrize("binarize", ["threshold", "stochastic"])
def test_the_output_bias_can_start_at_the_mean_image(digits, binarize):
    model = build(Config(init_bias="data", binarize=binarize), digits)
    mean = ((digits.pixels > 127).float() if binarize == "threshold" else digits.pixels / 255).mean(0)
    torch.testing.assert_close(model.decoder.output.bias.data, torch.logit(mean.clamp(1e-3, 1 - 1e-3)))


def test_a_convolution_starts_at_the_mean_pixel(digits):
    model = build(Config(init_bias="data", arch="conv"), digits)
    torch.testing.assert_close(model.decoder.output.bias.data, torch.logit((digits.pixels > 127).float().mean()).unsqueeze(0))


def test_a_convolution_in_colour_starts_at_the_mean_colour():
    red = torch.tensor([200, 100, 20], dtype=torch.uint8).repeat_interleave(64).expand(5, -1)
    images = Images(red, torch.zeros(5, dtype=torch.int64), ("a",), ImageShape(3, 8, 8))
    config = Config(dataset="folder", image_size=8, arch="conv", channels=(4,), hidden=(4,), init_bias="data")
    model = build(config, images)
    assert model.pixel_likelihood.zero_start
    shown = model.likelihood(torch.zeros(1, 2)).mean.view(3, 64)
    torch.testing.assert_close(255 * shown, red[0].view(3, 64).float(), atol=20, rtol=0)
    assert (shown[0] > shown[1]).all() and (shown[1] > shown[2]).all()
