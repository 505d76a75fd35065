import torch

from vaecli.data.images import UNKNOWN
from vaecli.model import one_hot
from vaecli.runs.train import hide_labels


def test_one_hot_has_an_entry_a_label_and_none_set_where_unknown():
    assert one_hot(torch.tensor([3, UNKNOWN, 0]), 10).tolist() == [
        [0, 0, 0, 1, 0, 0, 0, 0, 0, 0], [0] * 10, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]]  # fmt: skip


def test_exactly_the_asked_share_keeps_its_label_by_seed(digits):
    for fraction, kept in ((0.5, 300), (0.0, 0), (1.0, 600), (0.123, 74)):
        hidden = hide_labels(digits, fraction, seed=3)
        known = hidden.labels != UNKNOWN
        assert int(known.sum()) == kept
        assert torch.equal(hidden.labels[known], digits.labels[known])
    assert torch.equal(hide_labels(digits, 0.5, 3).labels, hide_labels(digits, 0.5, 3).labels)
    assert not torch.equal(hide_labels(digits, 0.5, 3).labels, hide_labels(digits, 0.5, 4).labels)
