"""Each picture of results in axes that are there already."""

import io
import subprocess
import sys

import matplotlib
import pytest
import torch
from matplotlib.figure import Figure

import vaecli
from tests.helpers import BASELINE, ROOT
from vaecli.analysis.comparison import Row
from vaecli.analysis.differences import differences
from vaecli.config import Config
from vaecli.errors import UsageError
from vaecli.evaluation.measure import measure
from vaecli.image_shape import GREY_28
from vaecli.model import build
from vaecli.plotting.grids import short
from vaecli.runs.run import Run, read_run


@pytest.fixture(scope="module")
def run():
    return read_run(BASELINE)


@pytest.fixture(scope="module")
def some(digits):
    return digits[:60]


@pytest.fixture
def axes():
    """Two axes side by side; whatever is drawn into the first leaves the second as it is, and can be saved."""
    figure = Figure(layout="constrained")
    first, second = figure.subplots(1, 2)
    before = dict(matplotlib.rcParams)
    yield first
    figure.savefig(io.BytesIO(), format="svg")
    assert figure.axes[:2] == [first, second]
    assert not second.has_data() and not second.get_legend()
    assert dict(matplotlib.rcParams) == before


def test_curves_are_those_of_the_logs(run, axes):
    assert vaecli.plot.curves([run, run], axes) is axes
    for line in axes.lines:
        assert line.get_xdata().tolist() == [1, 2, 3, 4, 5]
        assert line.get_ydata().tolist() == [-row["test_elbo"] for row in run.log]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "-ELBO (nats per image)")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == 2 * [short(str(run.path))]


def test_latents_are_the_posterior_means(run, some, axes):
    vaecli.plot.latents(run.model, some, axes)
    drawn = torch.tensor(axes.collections[-1].get_offsets().tolist())
    means = vaecli.encode(run.model, some).mean
    torch.testing.assert_close(drawn[drawn[:, 0].argsort()], means[means[:, 0].argsort()], rtol=1e-5, atol=1e-5)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("z1", "z2")


@pytest.mark.parametrize(("latents", "deep"), [(1, False), (2, False), (3, True), (5, False), (5, True)])
def test_latents_of_any_number_have_axes_to_be_drawn_into(some, latents, deep):
    model = build(Config(latent_dim=latents, hidden=(5,)))
    axes = Figure().add_subplot(projection="3d" if deep else None)
    vaecli.plot.latents(model, some, axes)
    assert axes.get_xlabel().startswith("z1" if latents < 4 else "principal component 1")


@pytest.mark.parametrize(("latents", "deep", "words"), [(2, True, "3-D axes for 2 latents"), (3, False, "flat axes for 3 latents")])
def test_axes_of_another_kind_are_refused(some, latents, deep, words):
    model = build(Config(latent_dim=latents, hidden=(5,)))
    axes = Figure().add_subplot(projection="3d" if deep else None)
    with pytest.raises(UsageError, match=f"found {words}, expected axes made with"):
        vaecli.plot.latents(model, some, axes)


def test_variances_stand_at_their_dimensions(run, some, axes):
    vaecli.plot.variances(run.model, some, axes)
    means = axes.collections[1].get_offsets()
    assert means[:, 0].tolist() == [1, 2]
    assert means[:, 1].tolist() == pytest.approx(vaecli.encode(run.model, some).stddev.square().mean(0).tolist(), rel=1e-5)


def test_images_are_the_grid_that_a_notebook_shows(run, some, axes):
    for shown in (some, vaecli.sample(run.model, 3), vaecli.reconstruct(run.model, some[:5])):
        vaecli.plot.images(shown, axes)
        assert (axes.images[-1].get_array() == shown.grid().permute(1, 2, 0).numpy()).all()
    assert not len(axes.get_xticks())


def test_a_manifold(run, axes):
    vaecli.plot.manifold(run, axes)
    assert axes.images[0].get_array().shape == (20 * 31 + 3, 20 * 31 + 3, 3)


def test_thumbnails_stand_at_the_posterior_means(run, some, axes):
    vaecli.plot.thumbnails(run.model, some, axes)
    means = vaecli.encode(run.model, some).mean
    left, right, low, high = axes.images[0].get_extent()
    assert left < means[:, 0].min() < means[:, 0].max() < right
    assert low < means[:, 1].min() < means[:, 1].max() < high
    with pytest.raises(UsageError, match="found latents: 3, expected two, or more than three"):
        vaecli.plot.thumbnails(build(Config(latent_dim=3, hidden=(5,))), some, axes)


def test_differences_stand_in_rows(run, some, axes):
    other = Run(build(Config(hidden=(5,))), Config(hidden=(5,)))
    found = differences([Row(one, name, measure(one.model, some, k=())) for one, name in ((run, "a"), (other, "b"))], "elbo")
    vaecli.plot.differences(found, axes)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b"]
    assert axes.lines[1].get_xdata()[0] == pytest.approx(-found[1].value)


def test_a_setting_of_a_search(tmp_path, small_mnist, axes):
    settings = {"latent_dim": [2, 3], "epochs": 1, "limit": 200, "validation": 100, "hidden": (5,)}
    found = vaecli.search(settings, tmp_path, data_dir=small_mnist)
    vaecli.plot.search(found, "latent_dim", axes)
    assert sorted(axes.collections[0].get_offsets()[:, 0].tolist()) == [2, 3]
    assert axes.get_ylabel() == "validation -ELBO (nats per image)"
    with pytest.raises(UsageError, match="name=lr: expected a setting that varied, one of latent_dim"):
        vaecli.plot.search(found, "lr", axes)
    with pytest.raises(UsageError, match="outcome: found a Figure"):
        vaecli.plot.search(Figure(), "lr", axes)


@pytest.mark.system
def test_optuna_is_not_imported():
    """Its tqdm warns in a notebook without ipywidgets."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys, vaecli.plot; print('optuna' in sys.modules)"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "False\n"


def test_what_has_no_pictures_or_is_no_axes_is_refused(run, some, axes):
    with pytest.raises(UsageError, match="shown: found a Run, expected images, or what sample, reconstruct, between or inpaint"):
        vaecli.plot.images(run, axes)
    with pytest.raises(UsageError, match="ax: found a Figure, expected matplotlib Axes"):
        vaecli.plot.images(some, Figure())
    with pytest.raises(UsageError, match="found no images"):
        vaecli.plot.images(some[:0], axes)
    assert some.shape == GREY_28
