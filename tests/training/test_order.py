import torch

from vaecli.config import Config
from vaecli.model import build
from vaecli.training import order
from vaecli.training.loop import fit, make_optimizer
from vaecli.training.order import epoch_order

SIZE = order.BLOCK // 10
"""Bytes of an image of which a block has ten."""


def drawn(count, shuffle, seed=0, size=SIZE):
    return epoch_order(count, size, shuffle, torch.Generator().manual_seed(seed))


def test_every_order_has_each_image_once():
    for shuffle in ("all", "blocks"):
        for count in (1, 9, 10, 11, 640, 641, 6405):
            found = drawn(count, shuffle)
            assert found.sort().values.equal(torch.arange(count))
            assert count < 9 or not found.equal(torch.arange(count))


def test_all_images_are_shuffled_as_before():
    assert drawn(1000, "all").equal(torch.randperm(1000, generator=torch.Generator().manual_seed(0)))


def test_blocks_are_read_once_and_a_window_at_a_time():
    count = 10 * (3 * order.WINDOW + 5)
    found = drawn(count, "blocks")
    windows = [set((part // 10).tolist()) for part in found.split(10 * order.WINDOW)]
    assert [len(blocks) for blocks in windows] == [order.WINDOW] * 3 + [5]
    assert len(set().union(*windows)) == sum(map(len, windows))
    # within a window its images are mixed: neighbours in the order are rarely of one block, 1 in 64 by chance
    same = (found[1:] // 10 == found[:-1] // 10).double().mean()
    assert same < 0.05
    # and another epoch has other windows
    assert set((drawn(count, "blocks", 1)[: 10 * order.WINDOW] // 10).tolist()) not in windows


def test_an_image_larger_than_a_block_is_a_block():
    assert drawn(300, "blocks", size=2 * order.BLOCK).sort().values.equal(torch.arange(300))


def test_training_in_blocks_is_another_order_of_the_same_images(digits, monkeypatch):
    monkeypatch.setattr(order, "BLOCK", 10 * 784)

    def losses(shuffle):
        config = Config(epochs=3, shuffle=shuffle, batch_size=20)
        model = build(config)
        return [record.loss for record in fit(model, make_optimizer(model, config), digits, config)]

    mixed, blocks = losses("all"), losses("blocks")
    assert mixed != blocks
    assert all(abs(a - b) < 0.05 * a for a, b in zip(mixed, blocks, strict=True))
