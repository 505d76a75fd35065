"""Plots of runs with any name, and of many."""

from pathlib import Path

import pytest
import torch

from vaecli.analysis.comparison import Curve
from vaecli.analysis.latents import Cloud, Variances
from vaecli.plotting import plots


def test_thirty_runs_in_one_legend(tmp_path):
    """Which fails where matplotlib warns that there is no room."""
    curves = [Curve(f"a run of some name, {index}", [1, 2], [1.0, 0.5], [1.0, 0.5]) for index in range(60)]
    plots.save_curves(tmp_path / "x.png", curves)


def test_names_are_drawn_letter_by_letter(monkeypatch):
    """Neither as TeX nor, where they begin with an underscore, not at all."""
    drawn = []
    monkeypatch.setattr(plots, "save_figure", lambda path, figure, dpi: drawn.append(figure))
    names = ["price$\\x$", "_mine", "$x$", "a\x1b[2J"]
    plots.save_curves(Path("x.png"), [Curve(name, [1], [1.0], [1.0]) for name in names])
    plots.save_clouds(Path("x.png"), [("$\\x$", Cloud(torch.zeros(2, 2), torch.tensor([0, 1]), ("_a", "$b$"), ("z1", "z2")))])
    plots.save_variances(Path("x.png"), [("$\\x$", Variances(torch.randn(2, 2), torch.ones(2, 2)))])
    legends = [[text.get_text() for text in figure.axes[-1].get_legend().get_texts()] for figure in drawn]
    assert legends[0] == ["price$\\x$", "_mine", "$x$", "a\\x1b[2J"]
    assert legends[1] == ["_a", "$b$"]
    assert [figure.axes[0].title.get_parse_math() for figure in drawn] == [False] * 3
    assert {text.get_parse_math() for figure in drawn[:2] for text in figure.axes[-1].get_legend().get_texts()} == {False}
    assert "sigma" in legends[2][0]  # which is TeX, and ours
    assert all(text.get_parse_math() for text in drawn[2].axes[-1].get_legend().get_texts())


@pytest.mark.parametrize(
    ("splits", "labels"),
    [(["test", "validation"], ["one (test)", "two (validation)"]), (["validation", "validation"], ["one", "two"])],
)
def test_curves_of_different_images_say_which(monkeypatch, splits, labels):
    drawn = []
    monkeypatch.setattr(plots, "save_figure", lambda path, figure, dpi: drawn.append(figure))
    curves = [Curve(name, [1], [1.0], [1.0], split) for name, split in zip(["one", "two"], splits, strict=True)]
    plots.save_curves(Path("x.png"), curves)
    assert [text.get_text() for text in drawn[0].axes[1].get_legend().get_texts()] == labels
