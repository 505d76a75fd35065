"""Verdicts of the report's page, with made-up numbers on both sides of each: no verdict stands whatever the numbers are."""

import math
import re
from types import SimpleNamespace

import pytest
import torch

from vaecli.evaluation.importance import Evaluation
from vaecli.report import findings
from vaecli.report.definitions import FIGURES
from vaecli.report.differences import paired, unpaired
from vaecli.report.evidence import Evidence
from vaecli.report.finding import UNCLAIMED, UNDECIDED
from vaecli.report.findings import finding
from vaecli.seeding import generator

N = 400
NOISE = torch.randn(3, N, generator=generator("cpu", "findings"))


def judge(number, numbers=None, trained=("a", "b"), also=(), test=None, judged=True):
    figure = FIGURES[number - 1]
    seen = Evidence(
        [SimpleNamespace(model=model) for model in trained],
        [SimpleNamespace(model=model) for model in also],
        numbers or {},
        test,
        None,
    )
    found = finding(figure, seen, judged)
    assert found.ours
    return found


def table(values, error=0.5, epochs=(3, 3), **more):
    return {
        "table": [
            {"elbo": value, "reconstruction": value, "epochs": epoch, "L": {"50": value}, "images": N,
             "standard_error": {"elbo": error, "reconstruction": error, "L": {"50": error}}, **more}
            for value, epoch in zip(values, epochs, strict=True)
        ]
    }  # fmt: skip


def around(mean, which, spread=1.0):
    """N values that vary by `spread`, of which every difference of two has a standard error of about spread * 0.07."""
    noise = NOISE[which]
    return mean + spread * (noise - noise.mean()) / noise.std()


SIDES = [("better", True), ("worse", False), ("within its error", None)]


@pytest.mark.parametrize(("number", "second"), [(3, (-150, -170, -160.5)), (7, (-170, -150, -160.5)), (14, (-150, -170, -160.5))])
def test_bounds_of_two_runs_are_compared_by_their_error(number, second):
    """Errors of 0.5 nats each: 0.7 of a difference, so that 0.5 nats decide nothing and 10 do."""
    for value, expected in zip(second, (True, False, None), strict=True):
        verdict = judge(number, table((-160, value)))
        assert verdict.holds is expected
        assert verdict.words == (UNDECIDED if expected is None else "")


@pytest.mark.parametrize(("number", "second", "expected"), [(3, -155, None), (3, -150, True)])
def test_two_standard_errors_decide(number, second, expected):
    """5 nats with an error of 3 each, 4.2 of the difference, are within two; 10 are outside."""
    assert judge(number, table((-160, second), error=3)).holds is expected


def test_without_errors_nothing_is_decided():
    numbers = table((-160, -150))
    for row in numbers["table"]:
        row["standard_error"] = {"L": {}}
    assert judge(3, numbers).words == UNDECIDED


@pytest.mark.parametrize(
    ("ten", "error", "expected"),
    [(-149, 0.5, True), (-159.6, 0.5, False), (-170, 0.5, False), (-150, 6, None), (-130, 0.5, True), (-130, 12, None)],
)
def test_the_gap_of_iwae_is_compared_with_the_11_nats_claimed(ten, error, expected):
    verdict = judge(10, table((-160, ten), error=error))
    assert verdict.holds is expected
    assert ("trained k = 10 on" in verdict.reading) == (expected is False)


@pytest.mark.parametrize(
    ("epochs", "words"), [((1, 1), "after one epoch each."), ((3, 3), "after 3 epochs each."), ((3, 2), "after 2 and 3 epochs.")]
)
def test_the_epochs_are_those_of_the_runs(epochs, words):
    assert judge(14, table((-160, -150), epochs=epochs)).text.endswith(words)


@pytest.mark.parametrize(("number", "more"), [(1, True), (8, True)])
def test_neighbours_decide(monkeypatch, number, more):
    labels = torch.arange(N)
    for share, expected in ((0.9, more), (0.1, not more), (0.51, None)):
        ours, others = labels < share * N, labels % 2 == 0
        monkeypatch.setattr(findings, "agreements", lambda seen, *runs, ours=ours, others=others: [ours, others][: len(runs)])
        if number == 8:
            run = SimpleNamespace(pixel_likelihood=Flat(), mean_image=lambda _: None, observe=lambda *_: torch.zeros(5))
            seen = Evidence([SimpleNamespace(model=run)], [], {"table": table((-200,), epochs=(3,))["table"]},
                            SimpleNamespace(pixels=None), lambda: None)  # fmt: skip
            verdict = finding(FIGURES[7], seen)
        else:
            verdict = judge(number)
        assert verdict.holds is expected


class Flat:
    """A pixel likelihood that gives every image -400 nats."""

    def __call__(self, _):
        return self

    def output_for(self, _):
        return None

    def log_prob(self, x):
        return torch.full_like(x, -400)


def test_the_sentence_on_labels_is_chosen_by_the_numbers(monkeypatch):
    labels = torch.arange(N)
    for share, words in ((0.1, "say less"), (0.9, "say more"), (0.51, "do not differ")):
        pair = [labels < share * N, labels % 2 == 0]
        monkeypatch.setattr(findings, "agreements", lambda seen, *runs, pair=pair: pair)
        verdict = judge(6, trained=("a",), also=("b",))
        assert (verdict.holds, verdict.words) == (None, UNCLAIMED)
        assert words in verdict.reading


@pytest.mark.parametrize(("name", "expected"), SIDES)
def test_entropies_decide_of_samples_and_reconstructions(monkeypatch, name, expected):
    sharp, vague = torch.full((N, 784), 0.01), torch.full((N, 784), 0.3)
    noisy = (0.3 + 0.02 * NOISE[0]).unsqueeze(1).expand(N, 784)
    other = (0.3 + 0.02 * NOISE[1]).unsqueeze(1).expand(N, 784)
    first, second = {True: (vague, sharp), False: (sharp, vague), None: (noisy, other)}[expected]
    values = {"a": first, "b": second}
    monkeypatch.setattr(findings, "sampled", lambda model: values[model])
    monkeypatch.setattr(findings, "reconstructed", lambda model, images: values[model])
    assert judge(2).holds is expected
    assert judge(11, test=torch.zeros(N, 1)).holds is expected


@pytest.mark.parametrize(("name", "expected"), SIDES)
def test_squared_errors_decide_of_the_beta_likelihood(monkeypatch, name, expected):
    """The claim is that its reconstructions are the worse."""
    error = {True: (0.5, 0.1), False: (0.1, 0.5), None: (0.3, 0.3)}[expected]
    values = {
        name: (mean + 0.01 * NOISE[which]).unsqueeze(1).expand(N, 4)
        for which, (name, mean) in enumerate(zip("ab", error, strict=True))
    }

    class Test:
        pixels = torch.zeros(N, 4)

        def __getitem__(self, _):
            return self

    monkeypatch.setattr(findings, "reconstructed", lambda model, images: values[model])
    assert judge(12, trained=("a",), also=("b",), test=Test()).holds is expected


@pytest.mark.parametrize(("name", "expected"), SIDES)
def test_variances_decide(monkeypatch, name, expected):
    mean = {True: 0.5, False: 0.1, None: 0.3}[expected]
    values = {"a": around(0.3, 0, 0.05), "b": around(mean, 1, 0.05)}
    monkeypatch.setattr(findings, "encode", lambda model, images: SimpleNamespace(variance=values[model].unsqueeze(1)))
    numbers = {"variance": [{"images": N, "variance_of_means": [1.0, 2.0]}] * 2}
    assert judge(4, numbers, test=NOISE).holds is expected


@pytest.mark.parametrize(
    ("reconstruction", "kl", "holds", "words"),
    [(-150, 70, True, "is further"), (-150, 5, True, "is no further"), (-170, 70, False, "is further")],
)
def test_reconstructions_with_the_divergence_are_similar_where_they_are_no_worse(monkeypatch, reconstruction, kl, holds, words):
    values = {
        "a": Evaluation(around(reconstruction, 0), around(kl, 1), None, 2),
        "b": Evaluation(around(-160, 2), around(5, 2), None, 2),
    }
    monkeypatch.setattr(findings, "evaluate", lambda model, images: values[model])
    verdict = judge(9, trained=("a",), also=("b",))
    assert verdict.holds is holds
    assert f"The posterior {words}" in verdict.reading


@pytest.mark.parametrize(("given", "holds"), [(-80, True), (-100, False), (-91, None)])
@pytest.mark.parametrize(
    ("of_label", "words"), [(-120, "is ahead of the mean zero"), (-60, "The mean zero, for"), (None, "do not differ")]
)
def test_the_top_counts_where_it_makes_the_bottom_likelier(given, holds, of_label, words):
    rows = zip(around(given, 0), around(-91, 1), around(given if of_label is None else of_label, 2), strict=True)
    images = [
        {"log_p_missing_given_seen": float(a), "log_p_missing": float(b), "mean_image": -130.0, "mean_image_of_label": float(c)}
        for a, b, c in rows
    ]
    verdict = judge(13, {"images": images})
    assert verdict.holds is holds
    assert verdict.words == (UNDECIDED if holds is None else "")
    assert words in verdict.reading
    assert "The mean image of all digits has -130.00" in verdict.text


def test_an_architecture_is_described_and_not_judged():
    layers = [
        {"name": "encoder.input", "labels": 10, "label_parameters": 5},
        {"name": "decoder.input", "labels": 0, "label_parameters": 0},
    ]
    verdict = judge(5, {"layers": layers, "parameters": 20}, trained=())
    assert verdict.text == "encoder.input takes 10 inputs more: 5 of 20 parameters."
    assert (verdict.holds, verdict.words) == (None, UNCLAIMED)


def test_a_quick_pass_gives_numbers_alone():
    verdict = judge(10, table((-160, -159.6)), judged=False)
    assert (verdict.holds, verdict.words, verdict.reading) == (None, "", "")
    assert re.search(r"160\.00 nats \(k = 5\)", verdict.text)


def test_the_errors_of_differences():
    """Against formulas: of paired values the spread of the differences, of others the root of the sum of squares."""
    first, second = around(3, 0), around(1, 1, 2)
    assert paired(first, second).value == pytest.approx(2, abs=1e-5)
    assert paired(first, first + 1).error == pytest.approx(0, abs=1e-6)
    assert unpaired(first, second).error == pytest.approx(math.sqrt((1 + 4) / N), rel=1e-4)
