import csv
import json
from pathlib import Path

import pytest

from tests.helpers import DATA, one_line, opened
from vaecli.data import load_images
from vaecli.evaluation.importance import evaluate, importance_bound
from vaecli.runs.run import read_run

FASHION = DATA / "fashion-mnist"


@pytest.fixture
def two(vaecli, small_mnist, run_copy):
    assert vaecli("train", "--data-dir", small_mnist, "--epochs", "4", "--latent-dim", "3", "--name", "better", "-q").code == 0
    return ["small", "better"]


@pytest.fixture
def compare(vaecli, small_mnist, two):
    return lambda *arguments: vaecli("compare", *two, "--data-dir", small_mnist, "--k", "5", *arguments)


def test_pictures_and_table(compare):
    outcome = compare("--csv")
    lines = outcome.out.splitlines()
    heading = "run latent dim epochs test -ELBO reconstruction KL -L_5 active units parameters seconds"
    assert " ".join(lines[0].split()) == heading
    assert lines[1].split()[:3] == ["small", "2", "2"]
    assert lines[3:] == [
        f"checkpoints/small/compare{ending}" for ending in ("-reconstructions.png", "-samples.png", "-losses.png", ".csv")
    ]
    sizes = [opened(path).size for path in lines[3:6]]
    assert all(width > 300 and height > 300 for width, height in sizes)
    with Path(lines[6]).open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["split"]) for row in rows] == [("small", "test"), ("better", "test")]
    assert float(rows[0]["elbo"]) < float(rows[1]["elbo"])


def test_the_numbers_are_those_of_evaluation(compare, run_copy):
    printed = json.loads(compare("--json", "--table-only", "-q").out)
    assert printed["files"] == []
    assert printed["split"] == "test"
    assert [run["name"] for run in printed["runs"]] == ["small", "better"]
    first = printed["table"][0]
    checkpoint, images = read_run(run_copy), load_images("mnist", "test", limit=200)
    value = evaluate(checkpoint.model, images)
    assert first["elbo"] == pytest.approx(float(value.elbo.mean()))
    assert first["elbo"] == pytest.approx(checkpoint.results["test_elbo"])
    assert first["standard_error"]["elbo"] == pytest.approx(float(value.elbo.std()) / 200**0.5)
    bound = importance_bound(checkpoint.model, images, 5)
    assert first["L"]["5"] == pytest.approx(float(bound.value.mean()))
    assert first["monte_carlo_error"]["L"]["5"] == pytest.approx(
        float(bound.variance.sum() + bound.variance.square().sum() ** 0.5) ** 0.5 / 200
    )
    assert first["L"]["5"] > first["elbo"]
    assert first["settings"] == checkpoint.config.to_json()


def test_sorting_puts_the_best_first(compare):
    for column, first in (
        ("test_elbo", "better"),
        ("L", "better"),
        ("parameters", "small"),
        ("epochs", "small"),
        ("run", "better"),
    ):
        printed = json.loads(compare("--json", "--table-only", "-q", "--sort", column).out)
        assert printed["table"][0]["run"] == first, column
    assert "did you mean test_elbo?" in one_line(compare("--sort", "test-elbo"), 2)


@pytest.mark.parametrize("option", ["--exact", "--marginal-labels"])
def test_what_one_run_cannot_do_is_refused_before_any_work(compare, run_copy, monkeypatch, option):
    monkeypatch.setattr("vaecli.evaluation.measure.evaluate", lambda *_: pytest.fail("measured before it was checked"))
    reason = "3 dimensions, expected 1 or 2" if option == "--exact" else "trained without labels"
    assert reason in one_line(compare(option), 2)
    assert not list(run_copy.glob("compare-*.png"))


def test_one_run_is_fine_and_zero_particles_leave_the_bound_out(vaecli, run_copy, small_mnist):
    outcome = vaecli("compare", "small", "--table-only", "--k", "0", "--limit", "50", "--data-dir", small_mnist)
    assert outcome.code == 0
    assert "-L_" not in outcome.out


def test_different_images_or_likelihoods_are_not_compared_in_nats(vaecli, small_mnist, run_copy):
    for name, more in (
        ("grey", ["--likelihood", "beta", "--data-dir", small_mnist]),
        ("clothes", ["--dataset", "fashion-mnist", "--data-dir", FASHION]),
    ):
        assert vaecli("train", "--epochs", "1", "--name", name, "-q", *more).code == 0
    outcome = vaecli("compare", "small", "grey", "clothes", "--k", "0")
    assert outcome.code == 0
    assert "they are of different images" in outcome.err
    assert "densities of grey ones" in outcome.err


def test_a_run_without_its_log_is_compared_all_the_same(vaecli, run_copy, small_mnist):
    (run_copy / "loss.csv").write_text("not,a\nlog,file\n")
    outcome = vaecli("compare", "small", "--data-dir", small_mnist, "--k", "0")
    assert outcome.code == 0
    assert "its loss curve is left out" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--k", "five"], "expected whole numbers"),
        (["--out", "x.png"], "expected a folder"),
        (["--split", "dev"], "'dev' is not one of 'test', 'train'"),
        (["--sort", "L", "--k", "0"], "expected a bound in the table"),
    ],
)
def test_wrong_usage(compare, arguments, words):
    assert words in one_line(compare("--table-only", *arguments), 2)
