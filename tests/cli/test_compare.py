import csv
import json
import math
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.helpers import DATA, one_line, opened
from vaecli.cli.compare_table import _bits
from vaecli.data import load_images
from vaecli.data.images import sampled
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
    heading = "run latent dim epochs test -ELBO reconstruction KL -L_5 bits/dim active units parameters seconds"
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
    for row, line in zip(rows, lines[1:3], strict=True):
        bits = -float(row["L_5"]) / 784 / math.log(2)
        assert float(row["bits_per_dim_L_5"]) == pytest.approx(bits)
        assert f"{bits:.3f}" in line.split()


def test_samples_are_as_many_as_asked_for(compare):
    pairs = opened(compare("--n", "2", "--k", "0").out.split()[-2])
    square = opened(compare("--n", "2", "--k", "0", "--samples", "25").out.split()[-2])
    assert pairs.height < 300 < 2 * 5 * 84 < square.height  # two rows of pairs; five of means, and five of draws
    assert square.width > 2 * 5 * 84  # side by side for both runs


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
    assert "black and white pixels, --binarize threshold (small, clothes); densities of grey pixels" in outcome.err


def test_the_caution_says_which_runs_can_be_compared(vaecli, small_mnist, run_copy):
    kinds = {"drawn": ["--binarize", "stochastic"]}
    kinds |= {f"levels{seed}": ["--likelihood", "discretized-logistic", "--seed", seed] for seed in "12"}
    kinds |= {"beta": ["--likelihood", "beta"], "continuous": ["--likelihood", "continuous-bernoulli"]}
    for name, more in kinds.items():
        assert vaecli("train", "--data-dir", small_mnist, "--epochs", "1", "--name", name, "-q", *more).code == 0

    def cautioned(*runs):
        outcome = vaecli("compare", *runs, "--data-dir", small_mnist, "--k", "0", "--table-only")
        assert outcome.code == 0
        return outcome.out.splitlines(), "\n".join(line for line in outcome.err.splitlines() if "Monte Carlo" not in line)

    table, caution = cautioned("small", *kinds)
    assert caution.splitlines() == [
        "Nats and bits/dim are comparable only between runs of the same pixels. There are "
        "probabilities of black and white pixels, --binarize threshold (small); "
        "probabilities of black and white pixels, --binarize stochastic (drawn); "
        "probabilities of 256 levels (levels1, levels2); "
        "densities of grey pixels, on the scale of beta (beta); "
        "densities of grey pixels, on the scale of continuous-bernoulli (continuous).",
        "The log of a density may be positive, and so -ELBO negative; a density has no bits/dim.",
    ]
    assert "bits/dim" in table[0]
    assert cautioned("levels1", "levels2")[1] == ""
    table, caution = cautioned("beta")
    assert "bits/dim" not in table[0] and "a density has no bits/dim" in caution


def test_bits_are_those_of_the_tightest_bound():
    assert _bits({"elbo": 3.0, "L": {"50": 2.0, "5": 2.5}}) == "2.000"
    assert _bits({"elbo": 3.0, "L": {}}) == "3.000"
    assert _bits({"elbo": 3.0, "exact": 1.0, "L": {"5": 2.5}}) == "1.000"
    assert _bits({"elbo": 3.0, "ais": 1.5, "L": {"50": 2.0}}) == _bits({"elbo": 3.0, "ais": 2.0, "L": {"50": 1.5}}) == "1.500"
    assert _bits(None) == ""


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
        (["--split", "dev"], "'dev' is not one of 'test', 'train', 'validation'"),
        (["--sort", "L", "--k", "0"], "expected a bound in the table"),
    ],
)
def test_wrong_usage(compare, arguments, words):
    assert words in one_line(compare("--table-only", *arguments), 2)


@pytest.fixture
def runs(vaecli, run_copy, small_mnist):
    """Runs of two sizes with two seeds each, one with other pixels, and a command that compares some."""
    kinds = {"a1": [2, 1], "a2": [2, 2], "b1": [3, 1], "b2": [3, 2], "drawn": [3, 1, "--binarize", "stochastic"]}
    for name, (size, seed, *more) in kinds.items():
        words = ["--latent-dim", size, "--seed", seed, "--hidden", "20", "--epochs", "1", "--name", name, *more]
        assert vaecli("train", "--data-dir", small_mnist, "-q", *words).code == 0
    return lambda *arguments: vaecli("compare", *arguments, "--data-dir", small_mnist, "--table-only", "--k", "5,30")


def test_differences_are_of_groups_by_seed_with_their_errors(runs, tmp_path):
    outcome = runs("a1", "b1", "b2", "a2", "--by", "L_30")
    heads, *lines = outcome.out.splitlines()[5:8]
    assert heads.split() == ["run", "seeds", "-L_30", "less", "that", "of", "a*", "±", "over", "images", "±", "over", "seeds"]
    assert lines[0].split()[:2] == ["a*", "2"] and lines[1].split()[:2] == ["b*", "2"]
    assert len(lines[0].split()) == 3 and len(lines[1].split()) == 6
    assert "-L_30 is a bound; its distance from -log p(x), which may differ between runs, is in no error" in outcome.err
    assert "no error over seeds" not in outcome.err
    first_time = runs("a1", "b1", "b2", "a2", "--by", "L_30", "--csv")
    assert "Replacing" not in first_time.err
    printed = json.loads(runs("a1", "b1", "b2", "a2", "--by", "L_30", "--json", "--csv", "--per-image", "-q").out)
    first, second = printed["differences"]
    by_name = {row["run"]: torch.tensor(row["per_image"]["L_30"], dtype=torch.float64) for row in printed["table"]}
    apart = (by_name["b1"] + by_name["b2"] - by_name["a1"] - by_name["a2"]) / 2
    assert second["value"] == pytest.approx(float(apart.mean()), abs=1e-6)
    assert second["standard_error"] == pytest.approx(float(apart.std()) / 200**0.5, rel=1e-6)
    assert (first["value"], first["runs"], second["runs"]) == (0.0, ["a1", "a2"], ["b1", "b2"])
    rows = list(csv.DictReader((tmp_path / "checkpoints" / "a1" / "compare-differences.csv").read_text().splitlines()))
    assert [row["run"] for row in rows] == ["a*", "b*"]
    assert float(rows[1]["value"]) == second["value"]
    again = runs("a1", "b1", "b2", "a2", "--by", "L_30", "--csv")
    assert [line.split("/")[-1] for line in again.err.splitlines() if line.startswith("Replacing")] == [
        "compare.csv", "compare-differences.csv"
    ]  # fmt: skip
    # with --sort the best comes first, and the others are compared with it
    best = runs("a1", "b1", "--by", "elbo", "--sort", "test_elbo")
    assert best.out.splitlines()[3].split()[6] in ("a1", "b1")
    assert float(best.out.splitlines()[5].split()[3]) > 0
    assert "no error over seeds" in best.err


def test_differences_are_drawn(vaecli, runs, small_mnist, tmp_path):
    outcome = vaecli("compare", "a1", "b1", "--by", "elbo", "--k", "0", "--data-dir", small_mnist, "--out", tmp_path, "--n", "1")
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1].endswith("compare-differences.png")
    with Image.open(tmp_path / "compare-differences.png") as picture:
        assert picture.width > 500


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a1", "drawn", "--by", "elbo"], "black and white pixels, --binarize threshold of vaecli train (a1) and"),
        (["a1", "a2", "--by", "elbo"], "--by: found runs that differ by their seed alone, expected others to compare with"),
        (["a1", "--by", "elbo"], "--by: found one run, expected others"),
        (["a1", "b1", "--by", "L_50"], "--by L_50: expected a number in the table; add --k 50"),
        (["a1", "b1", "--by", "exact"], "--by exact: expected a number in the table; add --exact"),
        (["a1", "b1", "--by", "ais"], "--by ais: expected a number in the table; add --ais"),
        (["a1", "b1", "--by", "l_30"], "did you mean L_30?"),
    ],
)
def test_differences_that_there_are_not_are_refused_before_any_work(runs, monkeypatch, arguments, words):
    monkeypatch.setattr("vaecli.evaluation.measure.evaluate", lambda *_: pytest.fail("measured before it was checked"))
    assert words in one_line(runs(*arguments), 2)


def test_a_limit_takes_a_random_sample_and_says_so(runs, small_mnist):
    outcome = runs("a1", "drawn", "--limit", "50")
    assert (
        "Measured on 50 of 200 images, drawn by a fixed seed: ± is for other images like these, and 0.87 of it for the mean of "
        "all 200." in outcome.err
    )
    rows = json.loads(runs("a1", "drawn", "--limit", "50", "--json", "--per-image", "-q").out)["table"]
    images = load_images("mnist", "test", small_mnist)
    for row in rows:
        chosen = torch.tensor(row["per_image"]["image"])
        assert (row["images"], row["split_images"], len(chosen.unique())) == (50, 200, 50)
        assert chosen.max() > 100
        of_chosen = evaluate(read_run(f"checkpoints/{row['run']}").model, images[chosen]).elbo
        torch.testing.assert_close(torch.tensor(row["per_image"]["elbo"]).double(), of_chosen, rtol=0, atol=1e-4)
    assert rows[0]["per_image"]["image"] == rows[1]["per_image"]["image"]
    assert rows[0]["observed"] != rows[1]["observed"]
    assert "Measured on" not in runs("a1", "--limit", "200").err


def test_annealing_and_what_the_weights_say(vaecli, run_copy, small_mnist):
    def compare(*arguments):
        line = ["compare", "small", "--table-only", "--data-dir", small_mnist, "--limit", "12", "--k", "5,50"]
        outcome = vaecli(*line, *arguments)
        assert outcome.code == 0, outcome.err
        return outcome

    plain = compare()
    assert " -L_5 -L_50 k-hat > 0.7 bits/dim " in " ".join(plain.out.splitlines()[0].split())
    bound = re.search(
        r"small: k-hat is above 0.7 for (\d+ %) of the images \(L_50\): there -L_k is an upper bound, .*\n", plain.err
    )
    assert bound[0].endswith("too small; --ais comes closer\n")
    assert bound[1] in plain.out

    schedule = ["--ais", "--ais-temperatures", "20", "--ais-chains", "3", "--ais-leapfrog", "2", "--bdmc", "--bdmc-images", "5"]
    outcome = compare(*schedule, "--per-image", "--csv")
    assert " -L_50 k-hat > 0.7 -AIS BDMC gap bits/dim " in " ".join(outcome.out.splitlines()[0].split())
    assert re.search(r"small: Monte Carlo error in nats: ELBO .*, AIS [\d.]+, L_5 ", outcome.err)
    assert re.search(
        r"small: AIS \(temperatures 20, chains 3, leapfrog 2\): \d+ % of moves accepted; -AIS is at least ", outcome.err
    )
    assert re.search(r"small: BDMC: -log p\(x\) of 5 images drawn from the model is between [\d.]+ and [\d.]+ in exp", outcome.err)
    assert "--ais comes closer" not in outcome.err
    assert outcome.out.splitlines()[2:] == ["checkpoints/small/compare.csv", "checkpoints/small/compare-images.csv"]
    (row,) = csv.DictReader(Path("checkpoints/small/compare.csv").read_text().splitlines())
    images = list(csv.DictReader(Path("checkpoints/small/compare-images.csv").read_text().splitlines()))
    assert [(image["run"], image["image"]) for image in images] == [("small", str(number)) for number in sampled(200, 12).tolist()]

    (printed,) = json.loads(compare(*schedule, "--per-image", "--json").out)["table"]
    assert float(row["ais"]) == printed["ais"] > printed["L"]["50"]
    assert float(row["bdmc_gap"]) == pytest.approx(printed["bdmc"]["upper"] - printed["bdmc"]["lower"])
    assert float(row["annealing_acceptance"]) == printed["annealing"]["acceptance"]
    assert "k_hat" in printed["weights"]["50"] and "k_hat" not in printed["weights"]["5"]
    for name, mean in (("ais", printed["ais"]), ("elbo", printed["elbo"]), ("L_50", printed["L"]["50"])):
        assert [float(image[name]) for image in images] == printed["per_image"][name]
        assert sum(printed["per_image"][name]) / 12 == pytest.approx(mean)
    k_hats = printed["per_image"]["k_hat_L_50"]
    assert sum(k > 0.7 for k in k_hats) / 12 == printed["weights"]["50"]["untrusted"] == float(row["weights_50_untrusted"]) > 0
    assert bound[1] == f"{100 * printed['weights']['50']['untrusted']:.0f} %"
    assert max(printed["per_image"]["effective_sample_size_L_50"]) <= 50 and min(printed["per_image"]["largest_L_50"]) >= 1 / 50
    assert "k_hat_L_5" not in printed["per_image"]
