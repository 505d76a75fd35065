"""``vaecli score``: its table, files and refusals."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers import DATA, one_line, opened
from vaecli.analysis.scores import auroc, score
from vaecli.data import load_images
from vaecli.data.images import sampled
from vaecli.runs.run import read_run


@pytest.fixture
def clothes(monkeypatch):
    """Sets the folder of Fashion-MNIST to the one with its first images."""
    monkeypatch.setenv("VAECLI_DATA_DIR", str(DATA))


def rows_of(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def write_digits(folder, images, names):
    folder.mkdir(parents=True, exist_ok=True)
    for pixels, name in zip(images.pixels, names, strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.frombytes("L", (28, 28), pixels.numpy().tobytes()).save(folder / name)


def test_a_split_is_scored_image_by_image(vaecli, run_copy):
    outcome = vaecli("score", "small", "--limit", "30", "--out", "x", "--json", "-q")
    printed = json.loads(outcome.out)
    assert printed["files"] == ["x/scores.csv", "x/scores.png"]
    images, positions = load_images("mnist", "test", limit=200), sampled(200, 30)
    expected = score(read_run(run_copy).model, images[positions]).rows()
    expected = [row | {"set": "mnist test", "name": str(place)} for row, place in zip(expected, positions.tolist(), strict=True)]
    assert (printed["by"], printed["images"]) == ("L_50", expected)
    rows = rows_of("x/scores.csv")
    assert list(rows[0]) == [
        "set", "by", "name", "label", "label_name", "rank", "log_p", "monte_carlo_error", "bits_per_dim", "k_hat",
    ]  # fmt: skip
    assert [float(row["log_p"]) for row in rows] == [row["log_p"] for row in expected]
    assert {row["by"] for row in rows} == {"L_50"}


def test_the_table_and_the_picture_have_the_extremes(vaecli, run_copy):
    outcome = vaecli("score", "small", "--limit", "40", "--by", "L_30")
    heading, *lines, table, picture = outcome.out.splitlines()
    assert heading.split() == ["images", "name", "label", "rank", "-L_30", "bits/dim", "k-hat"]
    rows = sorted(rows_of(table), key=lambda row: float(row["log_p"]))
    shown = [*rows[:5], *rows[-5:]]
    assert [line.split()[2:4] for line in lines] == [[row["name"], row["label"]] for row in shown]
    assert [line.split()[4:7] for line in lines] == [[row["rank"], "of", "40"] for row in shown]
    assert [line.split()[7] for line in lines] == [f"{-float(row['log_p']):.2f}" for row in shown]
    assert "k-hat is above 0.7 for" in outcome.err
    assert opened(picture).size > (10 * 84, 2 * 84)
    few = vaecli("score", "small", "--limit", "1", "--by", "L_5")
    assert len(few.out.splitlines()) == 4 and "k-hat" not in few.out


def test_own_pictures_have_the_scores_of_the_same_images_in_a_split(vaecli, run_copy, tmp_path):
    images = load_images("mnist", "test", limit=3)
    write_digits(tmp_path / "mine", images, ["a.png", "7/b.png", "c.png"])
    (tmp_path / "mine" / "bad.png").write_text("no picture")
    outcome = vaecli("score", "small", "--image", "mine", "--out", "x")
    assert "mine/bad.png: cannot be read as a picture" in outcome.err
    assert "since they cannot be read: 1" in outcome.err
    found = {row["name"]: row for row in rows_of("x/scores.csv")}
    assert {row["set"] for row in found.values()} == {"own pictures"}
    assert found["mine/7/b.png"]["label_name"] == "7" and found["mine/a.png"]["label_name"] == ""
    expected = score(read_run(run_copy).model, images).log_p.tolist()
    assert [float(found[name]["log_p"]) for name in ("mine/a.png", "mine/7/b.png", "mine/c.png")] == expected


def test_against_other_images_it_measures_the_area(vaecli, run_copy, clothes):
    outcome = vaecli("score", "small", "--limit", "50", "--against", "fashion-mnist", "--json", "-q")
    printed = json.loads(outcome.out)
    model = read_run(run_copy).model
    digits, others = load_images("mnist", "test", limit=200), load_images("fashion-mnist", "test")
    some = [images[sampled(len(images), 50)] for images in (digits, others)]
    expected = auroc(*(score(model, images) for images in some))
    assert printed["auroc"] == {"value": expected.value, "standard_error": expected.standard_error}
    assert expected.value > 0.5 + 4 * expected.standard_error
    assert {row["set"] for row in printed["images"]} == {"mnist test", "fashion-mnist test"}
    assert "Bag" in {row["label_name"] for row in printed["images"]}


def test_it_says_where_the_likelihood_finds_no_outliers(vaecli, run_copy, clothes, tmp_path):
    clothes = load_images("fashion-mnist", "test", limit=10)
    write_digits(tmp_path / "clothes", clothes, [f"{number}.png" for number in range(10)])
    right = vaecli("score", "small", "--limit", "20", "--against", "clothes").out
    assert "AUROC by L_50: " in right and "the more likely" not in right
    wrong = vaecli("score", "small", "--image", "clothes", "--against", "mnist", "--limit", "20").out
    assert "; the model finds mnist test the more likely, and its likelihood does not find them as outliers" in wrong


def test_a_conditional_run_sees_labels_or_sums_them_out(vaecli, small_mnist, clothes):
    more = ["--labels", "full", "--epochs", "1", "--limit", "200", "--name", "labels", "--data-dir", small_mnist]
    assert vaecli("train", *more, "-q").code == 0
    mixed = "10 of 20 images have no label the run knows"
    against = ["score", "labels", "--limit", "10", "--against", "fashion-mnist", "--by", "L_5"]
    outcome = vaecli(*against)
    assert mixed in outcome.err
    of_labels = {row["set"]: row["label"] for row in rows_of(outcome.out.splitlines()[-2])}
    assert of_labels["fashion-mnist test"] == "-1" and of_labels["mnist test"] != "-1"
    outcome = vaecli(*against, "--marginal-labels")
    assert outcome.code == 0 and mixed not in outcome.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--by", "L_0"], "--by L_0: expected L_K with K particles, up to 1,000,000, such as L_50, or ais"),
        (["--by", "elbo"], "--by elbo: expected L_K"),
        (["--against", "mnits"], "--against mnits: no such picture or folder: expected one of mnist, "),
        (["--against", "folder"], "--against folder: no such picture or folder"),
        (["--limit", "5", "--image", "x.png"], "--limit with --image"),
        (["--split", "train", "--image", "x.png"], "--split with --image"),
        (["--label", "3"], "--label without --image"),
        (["--ais-chains", "3"], "--ais-chains without --by ais"),
        (["--marginal-labels"], "--marginal-labels with a run without labels"),
        (["--out", "x.csv"], "--out x.csv: expected a folder"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(vaecli, run_copy, words, message):
    assert message in one_line(vaecli("score", "small", *words), 2)


def test_pictures_that_are_not_there_and_data_sets_that_do_not_fit(vaecli, run_copy):
    assert "x.png: no such file; expected a picture" in one_line(vaecli("score", "small", "--image", "x.png"), 1)
