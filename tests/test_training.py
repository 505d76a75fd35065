import pytest
import torch

from vaecli.config import Config
from vaecli.errors import TrainingError
from vaecli.model import build
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
