import math
from types import SimpleNamespace

import pytest
import torch

from tests.helpers import every_combination
from vaecli import device, registry
from vaecli.config import Config
from vaecli.data.images import UNKNOWN, Images
from vaecli.device import resolve_precision
from vaecli.errors import Diverged
from vaecli.image_shape import ImageShape
from vaecli.model import build
from vaecli.seeding import generator
from vaecli.training import loop, step
from vaecli.training.loop import fit, is_recoverable, make_optimizer


def run(config, images, **more):
    model = build(config)
    optimizer = make_optimizer(model, config)
    return model, optimizer, list(fit(model, optimizer, images, config, **more))


def test_the_loss_falls_and_the_records_add_up(digits):
    _, _, records = run(Config(epochs=3), digits)
    assert [record.epoch for record in records] == [1, 2, 3]
    assert records[0].loss > records[1].loss > records[2].loss
    for record in records:
        assert record.elbo == pytest.approx(record.reconstruction - record.kl)
        assert record.loss == pytest.approx(-record.elbo, rel=1e-5)


def test_a_record_is_the_mean_of_its_epochs(digits):
    _, _, each = run(Config(epochs=5), digits)
    _, _, records = run(Config(epochs=5, measure_every=2), digits)
    assert [record.epoch for record in records] == [2, 4, 5]
    for record, epochs in zip(records, ([1, 2], [3, 4], [5]), strict=True):
        for name in ("loss", "elbo", "reconstruction", "kl"):
            assert getattr(record, name) == pytest.approx(sum(getattr(each[epoch - 1], name) for epoch in epochs) / len(epochs))


def test_the_seconds_of_a_record_are_its_own(digits, monkeypatch):
    """Each look at this clock takes 3 seconds, and what is done between records 100."""
    now = -2.0

    def clock():
        nonlocal now
        now += 3
        return now

    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=clock))
    config = Config(epochs=3)
    model = build(config)
    for record in fit(model, make_optimizer(model, config), digits, config):
        assert (record.seconds, record.images_per_second) == (3, 200)
        now += 100


def test_a_batch_that_does_not_fill_counts_its_own_images(digits):
    config = Config(epochs=1, batch_size=599, lr=1e-12)
    _, _, (record,) = run(config, digits)
    _, _, (whole,) = run(Config(epochs=1, batch_size=600, lr=1e-12), digits)
    assert record.loss == pytest.approx(whole.loss, abs=0.5)


def test_equal_seeds_train_equally_and_global_noise_does_not_matter(digits):
    torch.manual_seed(0)
    first, _, _ = run(Config(epochs=2), digits)
    torch.manual_seed(9)
    second, _, _ = run(Config(epochs=2), digits)
    other, _, _ = run(Config(epochs=2, seed=1), digits)
    for a, b, c in zip(first.parameters(), second.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_going_on_is_the_same_as_never_stopping(digits):
    whole, _, records = run(Config(epochs=3), digits)
    part, optimizer, _ = run(Config(epochs=2), digits)
    (last,) = fit(part, optimizer, digits, Config(epochs=3), finished=2)
    assert last.loss == records[-1].loss
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), part.parameters(), strict=True))


def test_every_image_is_met_once_an_epoch_in_a_new_order(digits):
    met = []

    config = Config(epochs=2, batch_size=100)
    model = build(config)
    observe = model.observe
    model.observe = lambda pixels, noise=None: met.append(pixels) or observe(pixels, noise)
    list(fit(model, make_optimizer(model, config), digits, config))
    epochs = torch.cat(met).view(2, 600, 784)
    for epoch in epochs:
        assert torch.equal(epoch.long().sum(1).sort().values, digits.pixels.long().sum(1).sort().values)
    assert not torch.equal(epochs[0], epochs[1])


def test_a_loss_that_is_no_number_stops_with_where_and_what_to_try(digits):
    with pytest.raises(Diverged, match=r"epoch \d+, batch \d+: the loss became .*try a smaller learning rate than lr=1e\+06"):
        run(Config(epochs=30, lr=1e6, batch_size=50), digits)


@pytest.fixture
def steps_that_cost(monkeypatch):
    """Makes every step cost what a function of its number, from 1, says: nats per image."""

    def patch(nats):
        count = iter(range(1, 10**6))

        def make(*_):
            def step(index, noise):
                cost = nats(next(count)) * len(index)
                return torch.tensor([-cost, -cost, 0.0])

            return step

        monkeypatch.setattr(loop, "make_step", make)

    return patch


@pytest.mark.parametrize("batch", [1, 99, 100, 101, 251, 300])
@pytest.mark.parametrize("nats", [float("nan"), float("inf"), 1e7])
def test_a_batch_is_numbered_within_its_epoch(batch, nats, digits, steps_that_cost):
    steps_that_cost(lambda number: nats if number == 300 + batch else 200.0)
    with pytest.raises(Diverged, match=f"^epoch 2, batch {batch}: the loss became") as caught:
        run(Config(epochs=3, batch_size=2), digits)
    assert caught.value.epoch == 2


def test_the_nats_of_a_small_batch_are_of_its_own_images(digits, steps_that_cost):
    steps_that_cost(lambda number: 2e6 if number == 7 else 200.0)
    with pytest.raises(Diverged, match=r"^epoch 1, batch 7: the loss became 2e"):
        run(Config(batch_size=100), digits[torch.arange(601) % 600])


@pytest.mark.parametrize(
    ("settings", "advice"),
    [({"init_bias": "random"}, "init_bias=data"), ({}, "init=glorot"), ({"init": "glorot"}, "init=torch")],
)
def test_a_loss_that_is_no_number_before_any_step_is_not_blamed_on_the_learning_rate(settings, advice, digits, steps_that_cost):
    steps_that_cost(lambda number: float("inf"))
    with pytest.raises(Diverged, match=f"^epoch 1, batch 1: the loss is inf before any step.* such as {advice}$") as caught:
        run(Config(**settings), digits)
    assert "lr" not in str(caught.value)


@pytest.mark.parametrize(
    ("arch", "likelihood", "init_bias"),
    every_combination(registry.names("arch"), registry.names("likelihood"), ["random", "data"]),
)
def test_the_largest_images_in_colour_train(arch, likelihood, init_bias):
    """Untrained, 256 levels take 1.2 million nats per image here."""
    pixels = torch.randint(256, (3, 3 * 256 * 256), generator=generator("cpu", 1)).to(torch.uint8)
    images = Images(pixels, torch.full((3,), UNKNOWN), (), ImageShape(3, 256, 256))
    config = Config(dataset="folder", image_size=256, likelihood=likelihood, arch=arch, hidden=(8,), init_bias=init_bias,
                    batch_size=2, epochs=1, lr=1e-6)  # fmt: skip
    model = build(config, images)
    (record,) = fit(model, make_optimizer(model, config), images, config)
    assert is_recoverable(record.elbo, images.shape)


@pytest.mark.parametrize("side", [4, 28, 64, 256])
def test_what_is_sane_grows_with_the_image(side):
    shape = ImageShape(3, side, side)
    assert is_recoverable(-70.0 * shape.size, shape)
    assert is_recoverable(-999_999.0, shape)
    assert not is_recoverable(-3000.0 * shape.size - 1e6, shape)
    assert not is_recoverable(math.nan, shape)


@pytest.mark.parametrize("objective", registry.names("objective"))
def test_a_few_images_at_a_time_have_the_gradient_of_all(objective, digits, monkeypatch):
    config = Config(objective=objective, k=7, hidden=(20,), labels="partial", label_fraction=0.5, precision="fp32")

    def spread(draws, images, latents, **_):  # in the place of noise, which comes in another order
        return torch.linspace(-1, 1, draws).view(-1, 1, 1).expand(-1, images, latents)

    monkeypatch.setattr(torch, "randn", spread)
    gradients, nats = [], []
    for rows in (10_000, 30):  # all at once; four images at a time
        monkeypatch.setattr(step, "ROWS", rows)
        model = build(config)
        nats.append(step.make_step(model, make_optimizer(model, config), digits, config)(torch.arange(10), generator("cpu", "x")))
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(*nats)
    for whole, parts in zip(*gradients, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-6)


def test_an_objective_knows_how_many_images_are_trained_on(digits):
    """Of which not all may be on the device at a time."""
    config = Config(objective="beta-tc", latent_dim=3, tc_weight=6.0)

    def value(count):
        model = build(config)
        take = step.make_step(model, make_optimizer(model, config), digits, config, count=count)
        return float(take(torch.arange(10), generator("cpu", "x"))[0])

    assert value(None) == value(600)
    assert value(600) - value(60_000) == pytest.approx(10 * 5 * 2 * math.log(100), rel=1e-4)


@pytest.mark.parametrize(("k", "rows", "most"), [(7, 30, 28), (7, 7, 7), (7, 3, 7)])
def test_no_more_particles_than_rows_are_decoded_at_once(k, rows, most, digits, monkeypatch):
    """But those of one image are."""
    monkeypatch.setattr(step, "ROWS", rows)
    config = Config(objective="iwae", k=k, hidden=(4,))
    model, particles = build(config), []
    log_weights = model.log_weights
    model.log_weights = lambda x, y, eps: particles.append(eps[..., 0].numel()) or log_weights(x, y, eps)
    step.make_step(model, make_optimizer(model, config), digits, config)(torch.arange(10), generator("cpu", "x"))
    assert (max(particles), sum(particles)) == (most, 10 * k)


def test_bf16_trains_as_fp32_does_and_keeps_fp32_weights(digits):
    losses = {}
    for precision in ("fp32", "bf16"):
        model, optimizer, records = run(Config(objective="iwae", k=3, hidden=(50,), epochs=4, precision=precision), digits)
        losses[precision] = records[-1].loss
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        assert {moment.dtype for moment in optimizer.exp_avg} == {torch.float32}
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.002)


def test_auto_precision_is_what_the_processor_multiplies_fast(monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    for gain, expected in ((2.0, "bf16"), (0.5, "fp32")):
        monkeypatch.setattr(device, "bf16_gain", lambda gain=gain: gain)
        assert resolve_precision("auto", cpu) == expected
        assert resolve_precision("fp32", cpu) == "fp32"
        assert resolve_precision("bf16", cpu) == "bf16"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    monkeypatch.setattr(device, "bf16_gain", lambda: pytest.fail("measured without need: without the instructions it takes long"))
    assert resolve_precision("auto", cpu) == "fp32"
    assert resolve_precision("bf16", cpu) == "bf16"
    assert resolve_precision("auto", torch.device("mps")) == "fp32"


def test_the_gain_of_bf16_is_measured():
    assert 0 < device.bf16_gain() < 100


def test_numbers_below_the_normal_range_are_nothing_on_every_thread():
    tiny = torch.full((3_000_000,), 1e-30)
    assert not (tiny * 1e-10).any()
