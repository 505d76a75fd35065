"""Plots of runs with any name, and of many."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vaecli.analysis.comparison import Curve
from vaecli.analysis.latents import Cloud, Variances
from vaecli.data.images import UNKNOWN
from vaecli.plotting import plots
from vaecli.plotting.palette import class_colours


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


@pytest.mark.parametrize(("epochs", "scale", "marker"), [(100, "linear", "o"), (101, "log", "")])
def test_curves_of_many_epochs_are_lines_on_a_logarithmic_axis(monkeypatch, epochs, scale, marker):
    drawn = []
    monkeypatch.setattr(plots, "save_figure", lambda path, figure, dpi: drawn.append(figure))
    runs = [Curve("short", [1], [1.0], [1.0]), Curve("long", list(range(1, epochs + 1)), [1.0] * epochs, [1.0] * epochs)]
    plots.save_curves(Path("x.png"), runs)
    for axes in drawn[0].axes:
        assert axes.get_xscale() == scale
        assert [line.get_marker() for line in axes.lines] == [marker] * 2


def cloud_of(labels, classes, dimensions=2):
    names = tuple(f"class {number}" for number in range(classes))
    points = torch.rand(len(labels), dimensions, generator=torch.Generator().manual_seed(0))
    return Cloud(points, torch.tensor(labels), names, ("z1", "z2", "z3")[:dimensions])


@pytest.fixture
def drawn(monkeypatch):
    """The axes of clouds."""

    def draw(*clouds):
        figures = []
        monkeypatch.setattr(plots, "save_figure", lambda path, figure, dpi: figures.append(figure))
        plots.save_clouds(Path("x.png"), [("run", cloud) for cloud in clouds])
        return figures[0].axes

    return draw


def words_of(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.parametrize("dimensions", [1, 2])
def test_no_class_is_drawn_over_all_others(drawn, dimensions):
    labels = [0] * 50 + [1] * 50
    cloud = cloud_of(labels, 2, dimensions)
    (axes,) = drawn(cloud)
    assert [len(part.get_offsets()) for part in axes.collections] == [0, 0, 100]
    points = axes.collections[-1]
    colours = [class_colours(2).index((*map(float, colour[:3]), 1.0)) for colour in points.get_facecolors()]
    assert sorted(colours) == labels and len(set(colours[:30])) == len(set(colours[-30:])) == 2
    if dimensions == 2:
        at = {tuple(point): label for point, label in zip(cloud.points.tolist(), labels, strict=True)}
        assert [at[tuple(np.float32(point).tolist())] for point in points.get_offsets()] == colours


def test_names_of_few_classes_stand_at_the_medians_of_their_points(drawn):
    cloud = cloud_of([0, 0, 0, 1], 2)
    (axes,) = drawn(cloud)
    assert [text.get_text() for text in axes.texts] == ["class 0", "class 1"]
    assert list(axes.texts[0].xy) == cloud.points[:3].median(0).values.tolist()
    assert not drawn(cloud_of([0, 1], 11))[0].texts
    assert not drawn(cloud_of([0, 1], 2, 3))[0].texts


def test_the_legend_of_many_classes_has_the_most_frequent_ones_in_their_order(drawn):
    rare = [label for label in range(60) if label % 3]
    (axes,) = drawn(cloud_of([label for label in range(60) for _ in range(1 if label in rare else 3 + label % 2)], 60))
    assert words_of(axes) == [*(f"class {label}" for label in range(0, 60, 3)), "and 40 more"]
    assert len(axes.collections) == 61
    (axes,) = drawn(cloud_of(list(range(20)), 25))
    assert words_of(axes) == [f"class {label}" for label in range(20)]


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_images_without_labels_have_no_legend(drawn, dimensions):
    labelled, unlabelled = drawn(cloud_of([0, UNKNOWN], 1, dimensions), cloud_of([UNKNOWN] * 2, 0, dimensions))
    assert words_of(labelled) == ["unknown", "class 0"]
    assert unlabelled.get_legend() is None
    assert len(unlabelled.collections[-1].get_offsets()) == 2
    assert unlabelled.get_ylabel() == ("" if dimensions == 1 else "z2")
