import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import ImageChops

from tests.helpers import one_line, opened
from vaecli.data import load_images
from vaecli.evaluation.encode import encode
from vaecli.runs.run import read_run


@pytest.fixture
def run_of(vaecli, small_mnist):
    def train(size):
        return vaecli("train", "--data-dir", small_mnist, "--epochs", "1", "--latent-dim", size, "--name", f"z{size}", "-q").path

    return train


@pytest.fixture
def plot(vaecli, small_mnist):
    return lambda *arguments: vaecli("latent-plot", *arguments, "--data-dir", small_mnist)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_any_latent_size_is_plotted_and_written_as_csv(run_of, plot, size):
    run_of(size)
    outcome = plot(f"z{size}", "--csv")
    assert outcome.out.splitlines() == [f"checkpoints/z{size}/latent-plot.png", f"checkpoints/z{size}/latent-plot.csv"]
    picture = opened(outcome.out.splitlines()[0])
    assert picture.width > 500
    assert len(picture.convert("RGB").getcolors(1 << 24)) > 100
    with Path(outcome.out.splitlines()[1]).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 200
    assert list(rows[0]) == ["run", "label", *(["pc1", "pc2"] if size > 3 else ["z1", "z2", "z3"][:size])]


def test_the_csv_holds_the_posterior_means(run_of, plot):
    run = run_of(2)
    plot("z2", "--csv")
    with (run / "latent-plot.csv").open() as file:
        rows = list(csv.DictReader(file))
    test = load_images("mnist", "test", limit=200)
    loc = encode(read_run(run).model, test).mean
    torch.testing.assert_close(torch.tensor([[float(row["z1"]), float(row["z2"])] for row in rows]), loc)
    assert [int(row["label"]) for row in rows] == test.labels.tolist()


def test_a_3d_plot_turns(run_of, plot):
    run_of(3)
    pictures = [opened(plot("z3", "--view", view, "--out", f"{view}.png").path) for view in ("10,20", "80,50")]
    assert ImageChops.difference(*pictures).getbbox()


def test_principal_components_in_two_or_three(run_of, plot):
    run_of(5)
    flat, deep = (opened(plot("z5", "--dimensions", size, "--out", f"{size}.png").path) for size in (2, 3))
    assert flat.tobytes() != deep.tobytes()


def test_several_runs_stand_side_by_side(run_of, plot):
    run_of(2), run_of(3)
    one, two = opened(plot("z2", "--out", "one.png").path), opened(plot("z3", "z2", "--out", "two.png").path)
    assert two.width == 2 * one.width


def test_variances_are_drawn_and_printed(run_of, plot):
    run = run_of(3)
    outcome = plot("z3", "--variance", "--csv", "--n", "50")
    q = encode(read_run(run).model, load_images("mnist", "test", limit=50))
    assert "z3: mean posterior variance " + ", ".join(f"{variance:.4f}" for variance in q.stddev.square().mean(0)) in outcome.err
    printed = json.loads(plot("z3", "--variance", "--n", "50", "--json", "-q").out)["variance"][0]
    assert printed["mean_posterior_variance"] == pytest.approx(q.stddev.square().mean(0).tolist())
    assert printed["variance_of_means"] == pytest.approx(q.mean.var(0, correction=0).tolist())
    assert len((run / "latent-variance.csv").read_text().splitlines()) == 1 + 50 * 3


def test_the_manifold_is_the_decoder_over_the_plane(run_of, vaecli):
    run_of(2), run_of(3)
    picture = opened(vaecli("latent-plot", "z2", "--manifold", "--device", "cpu").path)
    assert picture.width > 20 * 28 * 2
    assert "3 latent dimensions, expected 2" in one_line(vaecli("latent-plot", "z3", "--manifold"), 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--view", "north"], "expected two angles"), (["--variance", "--manifold"], "expected only one of them")],
)
def test_wrong_usage(plot, arguments, words):
    assert words in one_line(plot(*arguments), 2)
