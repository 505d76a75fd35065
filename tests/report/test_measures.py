"""What figures measure: which model is the first of a comparison, of all seeds, and by which values."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.helpers import BASELINE
from vaecli.analysis.masks import half
from vaecli.data import Images, load_images
from vaecli.evaluation.importance import Evaluation
from vaecli.evaluation.quadrature import exact_log_prob_of_parts
from vaecli.image_shape import ImageShape
from vaecli.report.classifier import Classifier
from vaecli.report.evidence import Evidence, Shared
from vaecli.report.figures import FIGURES, dimensions, fashion, inpainting, iwae, labels
from vaecli.runs.run import read_run
from vaecli.seeding import generator

N = 200
NOISE = torch.rand(N, generator=generator("cpu", "measures"), dtype=torch.float64) / 100


def run(name):
    model = SimpleNamespace(parameters=lambda: [torch.zeros(len(name))], image_shape=SimpleNamespace(width=2))
    return SimpleNamespace(path=Path(name), model=model, config=SimpleNamespace(dataset="mnist"))


class Picky:
    """A classifier that takes bright pictures for class 0, and recognises them."""

    accuracy = 0.97

    def right(self, pictures, _):
        return (pictures[:, 0] > 0.5).double()

    def recognised(self, pictures):
        return self.right(pictures, None)

    def classes(self, pictures):
        return torch.where(pictures[:, 0] > 0.5, torch.arange(len(pictures)) % 10, 0)


def evidence(*names, seeds=3):
    """Evidence on runs that are called ``high`` or ``low``: whatever is measured is more for the first of these."""
    shared = Shared()
    shown = [[run(f"{name}-{place}-{seed}") for place, name in enumerate(names)] for seed in range(seeds)]
    for runs in shown:
        for one in runs:
            up = one.path.name.startswith("high")
            level = NOISE + (0.9 if up else 0.02)
            values = {
                "agreement": torch.arange(N) % 10 < (9 if up else 2),
                "closeness": level,
                "evaluation": Evaluation(level - 5, torch.full((N,), 1.0, dtype=torch.float64) + up / 2, None, 2),
                "reconstructed": level[:, None].expand(N, 4).float(),
                "samples": level[:, None].expand(N, 4).float(),
            }
            for name, value in values.items():
                shared.once((name, one.path), lambda value=value: value)
    shared.once(("classifier", "mnist"), Picky)
    pixels = torch.full((N, 4), 250, dtype=torch.uint8)
    test = Images(pixels, torch.zeros(N, dtype=torch.long), tuple("0123456789"), ImageShape(1, 2, 2))
    return Evidence(shown, test, lambda: test, False, shared)


@pytest.mark.parametrize(
    ("number", "better"),
    [
        (1, "first"),  # three dimensions are shown first
        (2, "second"),
        (3, "second"),
        (14, "second"),
    ],
)
def test_the_model_that_the_report_prefers_is_the_one_that_has_to_be_ahead(monkeypatch, number, better):
    monkeypatch.setattr(fashion, "read_log", lambda path: [{"seconds": 40.0 if path.name.startswith("high") else 5.0}])
    figure = FIGURES[number - 1]
    for order, ahead in ((("low", "high"), "second"), (("high", "low"), "first")):
        data = figure.measure(evidence(*order, *([order[0]] if number == 14 else [])))
        assert figure.judge(**data).verdict == ("yes" if ahead == better else "no")


def test_labels_tell_by_neighbours_given_them_or_not():
    figure = FIGURES[5]
    assert "say more" in figure.judge(**figure.measure(evidence("high", "low", seeds=1))).reading
    assert "say less" in figure.judge(**figure.measure(evidence("low", "high", seeds=1))).reading


def test_all_labels_have_to_be_ahead_of_a_half(monkeypatch):
    monkeypatch.setattr(labels, "sampled", lambda model: (torch.full((N, 4), model.level) + NOISE[:, None].float(), None))
    for full, half_of_them, verdict in ((0.95, 0.45, "yes"), (0.45, 0.95, "no")):
        seen = evidence("high", "low")
        for runs in seen.seeds:
            for one, level in zip(runs, (full, half_of_them), strict=True):
                one.model.level = level
                seen.shared._results[("reconstructed", one.path)] = torch.full((N, 4), level) + NOISE[:, None].float()
        assert FIGURES[6].judge(**FIGURES[6].measure(seen)).verdict == verdict


def test_variances_are_of_each_dimension_in_order(monkeypatch):
    def encode(model, images):
        size = len(model.spread)
        return SimpleNamespace(stddev=(torch.tensor(model.spread) + NOISE[:, None] / 100).sqrt(), mean=torch.zeros(N, size))

    monkeypatch.setattr(dimensions, "encode", encode)
    for three, verdict in (((0.5, 0.3, 0.4), "yes"), ((0.5, 0.1, 0.4), "in part"), ((0.1, 0.05, 0.01), "no")):
        seen = evidence("low", "high")
        for runs in seen.seeds:
            runs[0].model.spread, runs[1].model.spread = (0.1, 0.3), three
        data = FIGURES[3].measure(seen)
        assert FIGURES[3].judge(**data).verdict == verdict
        assert [apart.second for apart in data["dimensions"]] == sorted(apart.second for apart in data["dimensions"])


def test_the_twin_with_kl_is_the_first_of_the_comparison():
    data = FIGURES[8].measure(evidence("high", "low", seeds=1))  # the divergence is shown, KL is beside it
    assert data["kl"].value > 0 and data["reconstruction"].value > 0
    assert data["drawn"].second > 0.9 > data["drawn"].first
    assert data["commonest"] == pytest.approx((1.0, 0.2))


def test_the_beta_likelihood_is_the_second_of_the_comparison():
    """And sharpness is a share of that of the images that each model is shown."""
    seen = evidence("low", "high")
    stripes = torch.tensor([1.0, 0.0]).repeat(N, 2)
    for runs in seen.seeds:
        for one, contrast, shown in zip(runs, (0.3, 0.8), (0.5, 1.0), strict=True):
            one.model.observe = lambda pixels, shown=shown: shown * stripes
            seen.shared._results[("reconstructed", one.path)] = contrast * stripes + NOISE[:, None].float()
    data = FIGURES[11].measure(seen)
    assert data["sharp"].second == pytest.approx((0.3 / 0.5) ** 2)
    assert data["sharp"].first == pytest.approx((0.8 / 1.0) ** 2)
    assert data["seen"].second < data["seen"].first


def test_log_likelihoods_are_those_over_the_posterior():
    """Of the numbers of figures 9 and 11; those over q, the ELBO's, are 5 nats less here. Figure 14's are below."""
    for number, name in ((9, "reconstruction"), (11, "closeness")):
        data = FIGURES[number - 1].measure(evidence("high", "high"))
        assert data[name].second == pytest.approx(0.905, abs=0.006)


def test_clothes_are_easy_where_they_are_taken_for_their_own_type_more_often_than_not():
    for level, share in ((0.9, 1.0), (0.1, 0.0)):
        seen = evidence("low", "high")
        for runs in seen.seeds:
            runs[0].model.observe = lambda pixels, noise=None: torch.ones(N, 4)
            seen.shared._results[("reconstructed", runs[0].path)] = torch.full((N, 4), level)
        data = FIGURES[7].measure(seen)
        assert (data["missed"].first, data["missed"].second) == (1 - share, share)
        assert (data["seen"].first, data["seen"].second, data["seen"].seeds) == (1, share, 3)


def test_convolutions_are_set_against_a_model_that_trained_as_long(monkeypatch):
    monkeypatch.setattr(fashion, "read_log", lambda path: [{"seconds": 1.0}] * {"0": 3, "1": 2, "2": 21}[path.name.split("-")[1]])
    data = FIGURES[13].measure(evidence("low", "high", "high"))
    assert data["epochs"] == [3, 2, 21] and data["seconds"] == [3, 2, 21]
    assert data["kept"].value == pytest.approx(0.88)
    assert data["kept"].second == pytest.approx(0.905, abs=0.006)
    assert data["as_long"].value == pytest.approx(0)
    data = FIGURES[13].measure(evidence("low", "high", "low"))
    assert data["as_long"].value == pytest.approx(0.88)


def test_each_bound_is_of_its_own_k_and_the_warm_start_of_ten(monkeypatch):
    def bound(model, images, k, repeat=0):
        return SimpleNamespace(value=-150 + model.level + k / 1000 + NOISE[: len(images)])

    monkeypatch.setattr(iwae, "importance_bound", bound)
    monkeypatch.setattr(iwae, "trained_on", lambda evidence, first, second: SimpleNamespace(level=7.0 + first.model.level))
    seen = evidence("low", "high")
    for runs in seen.seeds:
        runs.append(run("longer"))
        for one, level in zip(runs, (0.0, 2.0, 3.0), strict=True):
            one.model.level = level
    data = FIGURES[9].measure(seen)
    assert list(data["bounds"]) == [1, 5, 10, 500]
    assert data["losses"].value == pytest.approx(-(2 + 0.005))
    assert data["tighter"].value == pytest.approx(0.005)
    assert data["continued"].value == pytest.approx(-(7 + 0.005))
    assert data["longer"].value == pytest.approx(-3)
    assert data["share"].value == pytest.approx(3 - 7.005 / 2)
    assert data["bounds"][500].value == pytest.approx(2)


def test_a_bottom_given_another_tops_pixels_is_by_the_same_quadrature():
    """An image that is called another digit but is the same zero: its top gives what the zero's own top gives."""
    baseline = read_run(BASELINE)
    digits = load_images("mnist", "test", limit=50)
    zero = digits[digits.labels == 0][:1]
    one = digits[digits.labels == 1][:1]
    seen = half("top", baseline.model.image_shape)

    def given(top):
        test = Images(torch.cat((zero.pixels, top.pixels)), torch.tensor([0, 1]), zero.class_names)
        shown = Evidence([[baseline]], test, lambda: test, quick=True)
        with torch.inference_mode():
            return float(inpainting._given_other_tops(shown, zero)[0])

    def expected(top):
        with torch.inference_mode():
            x = baseline.model.observe(torch.where(seen, top.pixels, zero.pixels), generator("cpu", "unused"))
            q = baseline.model.posterior(x)
            of_top, _, of_both = exact_log_prob_of_parts(baseline.model, x, zero.labels, seen, q, inpainting.QUICK_SIDES).log_prob
        return float(of_both - of_top)

    assert given(zero) == pytest.approx(expected(zero), abs=1e-4)
    assert given(one) == pytest.approx(expected(one), abs=1e-4)
    assert given(one) < given(zero) - 1


def test_bottoms_given_their_own_tops_are_the_second_of_each_comparison():
    baseline = read_run(BASELINE)
    test = load_images("mnist", "test", limit=200)
    shown = Evidence([[baseline]], test, lambda: test, quick=True)
    with torch.inference_mode():
        data = FIGURES[12].measure(shown)
    assert data["count"] == min(inpainting.QUICK_ZEROS, int((test.labels == 0).sum()))
    assert data["without"].second == data["others"].second == data["of_digit"].second
    assert data["others"].value > 10
    assert data["of_all"] < data["of_digit"].first


def test_a_model_is_trained_on_from_the_weights_of_another(trained, monkeypatch):
    first = read_run(trained)
    before = {name: weights.clone() for name, weights in first.model.state_dict().items()}
    images = load_images("mnist", "train", limit=400)
    seen = Evidence([[first, first]], images, lambda: images)
    with torch.inference_mode():
        model = iwae.trained_on(seen, first, first)
    assert all(torch.equal(weights, before[name]) for name, weights in first.model.state_dict().items())
    moved = [float((weights - before[name]).abs().max()) for name, weights in model.state_dict().items()]
    assert 0 < max(moved) < 0.5


def test_the_classifier_is_one_for_a_data_set():
    images = load_images("mnist", "test", limit=300)
    shared = Shared()
    first, second = (Evidence([[run("a")]], images, lambda: images, True, shared).classifier() for _ in range(2))
    assert first is second and isinstance(first, Classifier)
