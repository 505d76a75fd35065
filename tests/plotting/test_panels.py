"""The pictures of ``compare``: which images stand where."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from vaecli.analysis.comparison import Decoded, Shown
from vaecli.analysis.scores import Scores
from vaecli.config import Config
from vaecli.data.images import Images
from vaecli.model import build
from vaecli.plotting import panels


def shown(name, images, samples, labels=0):
    def numbered(count, start):
        return torch.arange(start, start + count, dtype=torch.float32)[:, None].expand(-1, 784)

    run = SimpleNamespace(config=Config(), class_names=tuple("0123456789")[:labels], model=SimpleNamespace(conditional=labels > 0))
    reconstructions = Decoded(numbered(images, 100), numbered(images, 200))
    return Shown(run, name, numbered(images, 0), reconstructions, Decoded(numbered(samples, 300), numbered(samples, 400)))


@pytest.fixture
def layout(monkeypatch):
    """The captions, the first pixels and the columns of the panels that are drawn, row by row."""

    def draw(save, *runs):
        rows = []
        monkeypatch.setattr(panels, "save_panels", lambda path, drawn: rows.extend(drawn))
        save(Path("x.png"), runs)
        return [[(panel.caption, panel.images[:, 0].int().tolist(), panel.columns) for panel in row] for row in rows]

    return draw


def test_five_images_stand_below_each_other_and_more_beside_them(layout):
    (row,) = layout(panels.save_reconstructions, shown("a", 7, 1))
    assert row == [
        ("\noriginal", [0, 1, 2, 3, 4], 1),
        ("a\nmean, draw", [100, 200, 101, 201, 102, 202, 103, 203, 104, 204], 2),
        ("\noriginal", [5, 6], 1),
        ("a\nmean, draw", [105, 205, 106, 206], 2),
    ]
    rows = layout(panels.save_reconstructions, shown("a", 12, 1), shown("b", 12, 1))
    assert [[caption for caption, _, _ in row] for row in rows] == [
        ["\noriginal", "a\nmean, draw", "b\nmean, draw"] * 2,
        ["\noriginal", "a\nmean, draw", "b\nmean, draw"],
    ]


def test_few_samples_are_pairs_and_many_are_squares(layout):
    assert layout(panels.save_samples, shown("a", 1, 2), shown("b", 1, 2)) == [
        [("a\nmean, draw", [300, 400, 301, 401], 2), ("b\nmean, draw", [300, 400, 301, 401], 2)]
    ]
    means, draws = layout(panels.save_samples, shown("a", 1, 64), shown("b", 1, 64))
    assert means == [(f"{name}\nmeans", list(range(300, 364)), 8) for name in "ab"]
    assert draws == [(f"{name}\ndraws", list(range(400, 464)), 8) for name in "ab"]


def test_samples_of_labels_have_a_column_for_each(layout):
    ((caption, _, columns), (draws, _, _)) = layout(panels.save_samples, shown("a", 1, 30, labels=10))[0]
    assert (caption, columns, draws) == ("a\nmeans; 0, 1, ... by column", 10, "a\ndraws; 0, 1, ... by column")
    (((caption, _, _),),) = layout(panels.save_samples, shown("a", 1, 10, labels=10))
    assert caption == "a\nmean, draw; 0, 1, ... by row"


def test_the_least_and_the_most_likely_images_are_named(layout):
    pixels = (torch.arange(5, dtype=torch.uint8) % 2 * 255)[:, None].expand(-1, 784)
    images, numbers = Images(pixels, torch.zeros(5, dtype=torch.int64), ("0",)), torch.tensor([-3.0, -1.0, -5.0, -2.0, -4.0])
    names = ("x/a.png", "x/b.png", "x/a-rather-long-name.png", "d", "e")
    scores = Scores("L_50", numbers.double(), numbers, numbers, 784, images.labels, names, ("0",))
    rows = layout(lambda path, sets: panels.save_extremes(path, sets, build(Config(hidden=(4,)))), ("mine", images, scores))
    assert rows == [
        [
            ("mine: least likely\n-L_50 5.0\na-rat....png", [0], 1),
            ("rank 2\n4.0\ne", [0], 1),
            ("rank 3\n3.0\na.png", [0], 1),
        ],
        [("mine: most likely\n-L_50 1.0\nb.png", [1], 1), ("rank 4\n2.0\nd", [1], 1)],
    ]
