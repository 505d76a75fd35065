import pytest
import torch

from vaecli.config import Config
from vaecli.data.images import Images
from vaecli.image_shape import ImageShape
from vaecli.model import build
from vaecli.training import loop
from vaecli.training.loop import fit, make_optimizer
from vaecli.training.schedules import kl_weight, learning_rate, warm_up


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


def test_the_weight_of_kl_rises_to_its_size():
    config = Config(kl_weight=3, kl_warmup=2.5)
    assert [kl_weight(config, done) for done in (0, 0.5, 1.25, 2.5, 7)] == pytest.approx([0, 0.6, 1.5, 3, 3])


@pytest.mark.parametrize("objective", ["elbo", "info"])
def test_training_weighs_kl_by_its_schedule(objective, digits):
    """A step an epoch, whose loss is that of the weights before it."""
    more = {"mmd_weight": 0.0} if objective == "info" else {}
    config = Config(objective=objective, epochs=4, batch_size=600, kl_weight=600, kl_warmup=3, **more)
    model = build(config)
    records = list(fit(model, make_optimizer(model, config), digits, config))
    for record, weight in zip(records, (0, 200, 400, 600), strict=True):
        assert record.kl > 0.01
        assert record.loss == pytest.approx(weight * record.kl - record.reconstruction, rel=1e-6)


def test_every_step_has_its_weight_of_kl(digits, monkeypatch):
    found = []

    def make_step(*arguments):
        *_, count, weight = arguments

        def step(index, noise):
            found.append((count, float(weight)))
            return torch.zeros(3)

        return step

    monkeypatch.setattr(loop, "make_step", make_step)
    config = Config(epochs=2, batch_size=200, kl_warmup=1.25)
    model = build(config)
    list(fit(model, make_optimizer(model, config), digits, config))
    weights = [min(1, step / 3.75) for step in range(6)]
    assert found == [(600, pytest.approx(weight)) for weight in weights]


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
