"""search.png: what is drawn of which search."""

from dataclasses import replace
from pathlib import Path

import pytest

from vaecli.plotting import search_plot as plots
from vaecli.studies.plan import Plan
from vaecli.studies.run_plan import Outcome
from vaecli.studies.space import Range
from vaecli.studies.trials import DONE, PRUNED, Trial, ranked

PLAIN = Trial(0, DONE, 0, 0, {}, "h", -100.0, path="x")


@pytest.fixture
def drawn(monkeypatch):
    def draw(settings, trials):
        figures = []
        monkeypatch.setattr(plots, "save_figure", lambda path, figure, dpi: figures.append(figure))
        rows = ranked(trials)
        plots.save_search(Path("x.png"), Outcome(Plan.of(settings), rows, rows[0].trials[0], None, "sqlite:///x"))
        return figures[0]

    return draw


def trials_of(name, values, seeds=(0,)):
    return [
        replace(PLAIN, number=number, group=group, seed=seed, settings={name: value}, value=-100.0 - group - 0.5 * seed)
        for number, (group, value, seed) in enumerate((group, value, seed) for group, value in enumerate(values) for seed in seeds)
    ]


def test_every_run_is_a_point_and_seeds_have_error_bars(drawn):
    axes = drawn({"latent_dim": [2, 3, 5], "seed": [0, 1]}, trials_of("latent_dim", [2, 3, 5], (0, 1))).axes[0]
    points = axes.collections[0].get_offsets().tolist()
    assert sorted(points) == [[2, 100], [2, 100.5], [3, 101], [3, 101.5], [5, 102], [5, 102.5]]
    (bars,) = axes.containers
    assert bars.lines[0].get_ydata().tolist() == [100.25, 101.25, 102.25]
    assert axes.get_xscale() == "linear"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "3", "5"]


def test_axes_are_logarithmic_where_values_span_decades(drawn):
    axes = drawn({"lr": Range(1e-4, 1e-2)}, trials_of("lr", [1e-4, 3e-3, 1e-2])).axes[0]
    assert axes.get_xscale() == "log"
    assert not axes.containers


def test_names_stand_in_the_order_of_the_table(drawn):
    axes = drawn({"objective": ["iwae", "dreg"]}, trials_of("objective", ["dreg", "iwae"])).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["dreg", "iwae"]


def test_each_setting_has_its_axes_and_pruned_runs_do_not_stretch_them(drawn):
    made = enumerate([(-100.0, DONE), (-110.0, DONE), (-9000.0, PRUNED)])
    trials = [
        replace(PLAIN, number=at, group=at, settings={"latent_dim": 2 + at, "lr": 10.0 ** (at - 4)}, value=value, state=state)
        for at, (value, state) in made
    ]
    figure = drawn({"latent_dim": Range(2, 9), "lr": Range(1e-4, 1e-2)}, trials)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in shown] == ["latent dim", "lr"]
    assert shown[0].get_ylim()[1] < 120
    assert [text.get_text() for text in figure.legends[0].get_texts()][1].startswith("a pruned run")
    colours = {tuple(points.get_facecolor()[0].round(3)) for points in shown[0].collections if len(points.get_facecolor())}
    assert len(colours) == 3


def test_a_search_over_seeds_alone_is_drawn_by_seed(drawn):
    axes = drawn({"seed": [4, 7]}, [replace(PLAIN, seed=4), replace(PLAIN, number=1, seed=7, value=-90.0)]).axes[0]
    assert axes.get_xlabel() == "seed"
    assert len(axes.collections[0].get_offsets()) == 2


def test_names_keep_away_from_the_edges(drawn):
    axes = drawn({"objective": ["iwae", "dreg"]}, trials_of("objective", ["dreg", "iwae"])).axes[0]
    assert axes.get_xlim() == (-0.5, 1.5)
