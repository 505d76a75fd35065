import pytest
import torch

from vaecli import model as model_room
from vaecli import registry
from vaecli.config import Config
from vaecli.device import matmul_dtype
from vaecli.errors import TrainingError
from vaecli.model import build
from vaecli.objectives.bound import make_objective
from vaecli.seeding import generator
from vaecli.training import fit, make_optimizer


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

    model = build(Config(epochs=2, batch_size=100))
    observe = model.observe
    model.observe = lambda pixels, noise: met.append(pixels) or observe(pixels, noise)
    list(fit(model, make_optimizer(model, model.config), digits, model.config))
    epochs = torch.cat(met).view(2, 600, 784)
    for epoch in epochs:
        assert torch.equal(epoch.long().sum(1).sort().values, digits.pixels.long().sum(1).sort().values)
    assert not torch.equal(epochs[0], epochs[1])


def test_a_loss_that_is_no_number_stops_with_where_and_what_to_try(digits):
    with pytest.raises(
        TrainingError, match=r"epoch \d+, batch \d+: the loss became .*try a smaller learning rate than --lr 1e\+06"
    ):
        run(Config(epochs=30, lr=1e6, batch_size=50), digits)


@pytest.mark.parametrize("objective", registry.names("objective"))
def test_particles_in_parts_have_the_same_gradient(objective, digits, monkeypatch):
    config = Config(objective=objective, k=7, hidden=(20,))
    x = (digits[:10].pixels > 127).float()
    found = []
    for rows in (20_000, 30):  # all at once; three particles at a time
        monkeypatch.setattr(model_room, "ROWS", rows)
        model = build(config)
        make_objective(config)(model, x, None, generator("cpu", "noise")).value.mean().backward()
        found.append([each.grad for each in model.parameters()])
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-6)


def test_bf16_trains_as_fp32_does_and_keeps_fp32_weights(digits):
    losses = {}
    for precision in ("fp32", "bf16"):
        model, optimizer, records = run(Config(objective="iwae", k=3, hidden=(50,), epochs=4, precision=precision), digits)
        losses[precision] = records[-1].loss
        assert {each.dtype for each in model.parameters()} == {torch.float32}
        assert {each["exp_avg"].dtype for each in optimizer.state.values()} == {torch.float32}
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.002)


def test_auto_precision_is_what_the_processor_multiplies_fast(monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert matmul_dtype("auto", cpu) is torch.bfloat16
    assert matmul_dtype("fp32", cpu) is torch.float32
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert matmul_dtype("auto", cpu) is torch.float32
    assert matmul_dtype("bf16", cpu) is torch.bfloat16
    assert matmul_dtype("auto", torch.device("mps")) is torch.float32
