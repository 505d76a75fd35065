import json
import math
import re

import pytest
import torch
from PIL import Image

from tests.helpers import one_line, opened
from vaecli.analysis.inpainting import half
from vaecli.evaluation.quadrature import MOST, START
from vaecli.image_shape import GREY_28


@pytest.fixture
def inpaint(vaecli, run_copy, small_mnist, monkeypatch):
    monkeypatch.setitem(START, 2, 75)
    monkeypatch.setitem(MOST, 2, 300)  # enough for a decoder that has seen so little

    def run(*arguments):
        count = [] if "--image" in arguments else ["--n", "2"]
        return vaecli("inpaint", "small", "--data-dir", small_mnist, *count, *arguments)

    return run


EXACT = ["log_p_missing_given_seen", "log_p_missing", "log_p_seen"]
ESTIMATES = ["predictive_score", "bound_log_p_seen"]
GUESSES = ["mean_image", "mean_image_of_label"]


def test_numbers_are_printed_and_the_picture_is_written(inpaint):
    lines = inpaint("--digit", "7").out.splitlines()
    assert len(lines) == 5
    headings = re.split("  +", lines[0])
    assert headings == ["nats", "log p(missing | seen)", "log p(missing)", "mean image", "mean image of label", "log p(seen)"]
    assert [re.split("  +", line)[0] for line in lines[1:4]] == ["image 1", "image 2", "mean of 2"]
    assert lines[4] == "checkpoints/small/inpaint.png"
    printed = json.loads(inpaint("--digit", "7", "--json", "-q").out)
    assert "monte_carlo_error" not in printed and "monte_carlo_error" not in printed["images"][0]
    assert [image["label"] for image in printed["images"]] == [7, 7]
    assert printed["unconverged"] == 0
    assert sorted(printed["mean"]) == sorted(EXACT + GUESSES)
    for name, mean in printed["mean"].items():
        assert mean == pytest.approx(sum(image[name] for image in printed["images"]) / 2)
    shown = dict(zip(headings[1:], re.split("  +", lines[1])[1:], strict=True))
    first = printed["images"][0]
    assert shown["log p(missing | seen)"] == f"{first['log_p_missing_given_seen']:.2f}"
    assert shown["log p(seen)"] == f"{first['log_p_seen']:.2f}"


def test_above_two_latents_nothing_is_called_exact(vaecli, small_mnist, trained):
    at = ("--data-dir", small_mnist)
    run = vaecli("train", "--latent-dim", "3", "--epochs", "1", *at, "-q").path
    outcome = vaecli("inpaint", run, *at, "--n", "2", "--steps", "5")
    assert "log p(missing | seen)" not in outcome.out
    assert "predictive score" in outcome.out
    assert "bound on log p(seen)" in outcome.out
    assert "is no bound on log p(missing | seen), either way" in outcome.err
    printed = json.loads(vaecli("inpaint", run, *at, "--n", "2", "--steps", "5", "--json", "-q").out)
    assert sorted(printed["mean"]) == sorted(ESTIMATES + GUESSES)
    assert sorted(printed["monte_carlo_error"]) == sorted(printed["images"][0]["monte_carlo_error"]) == sorted(ESTIMATES)
    assert "unconverged" not in printed and "annealing" not in printed
    errors = [image["monte_carlo_error"]["predictive_score"] for image in printed["images"]]
    assert printed["monte_carlo_error"]["predictive_score"] == pytest.approx(math.hypot(*errors) / len(errors))
    first = printed["images"][0]
    assert f"{first['predictive_score']:.2f} ±{first['monte_carlo_error']['predictive_score']:.2f}" in outcome.out


def test_above_two_latents_log_p_is_had_by_annealing(vaecli, small_mnist, trained):
    at = ("--data-dir", small_mnist)
    run = vaecli("train", "--latent-dim", "3", "--epochs", "1", *at, "-q").path
    outcome = vaecli("inpaint", run, *at, "--n", "1", "--steps", "5", "--ais")
    assert "log p(missing | seen) by AIS" in outcome.out
    assert "AIS (temperatures 250, chains 4, leapfrog 4): " in outcome.err and "of moves accepted" in outcome.err
    printed = json.loads(vaecli("inpaint", run, *at, "--n", "1", "--steps", "5", "--ais", "--json", "-q").out)
    first = printed["images"][0]
    value, error = (part["ais_log_p_missing_given_seen"] for part in (first, first["monte_carlo_error"]))
    assert f"{value:.2f} ±{error:.2f}" in outcome.out
    assert printed["annealing"] == {"temperatures": 250, "chains": 4, "leapfrog": 4, "acceptance": first["acceptance_ais"]}


@pytest.mark.parametrize("option", [["--ais"], ["--steps", "5"], ["--starts", "2"]])
def test_nothing_is_inferred_where_the_posterior_is_exact(inpaint, option):
    assert f"{option[0]} with one or two latents, whose posterior is integrated over: it has no effect there" in one_line(
        inpaint(*option), 2
    )


def test_what_has_not_converged_is_not_called_exact(inpaint, monkeypatch):
    monkeypatch.setitem(START, 2, 4)
    monkeypatch.setitem(MOST, 2, 8)
    assert inpaint().out.splitlines()[4] == "log p is not exact: 2 of 2 images had not converged on the finest grid"
    assert json.loads(inpaint("--json").out)["unconverged"] == 2


def test_the_first_image_is_the_same_whatever_n_is(inpaint):
    one, three = (json.loads(inpaint("--n", n, "--kind", "draw", "--json", "-q").out)["images"] for n in (1, 3))
    assert one == three[:1]


def test_halves_are_those_of_the_page():
    for name, rows, columns in (("top", slice(14), slice(28)), ("bottom", slice(14, 28), slice(28)),
                                ("left", slice(28), slice(14)), ("right", slice(28), slice(14, 28))):  # fmt: skip
        expected = torch.zeros(28, 28, dtype=torch.bool)
        expected[rows, columns] = True
        assert torch.equal(half(name, GREY_28).view(28, 28), expected)


def test_what_is_seen_stays_as_it_was(inpaint):
    """The upper halves of the original and of each fill are the same pixels, whichever half they were asked for."""
    picture = opened(inpaint("--draws", "2", "--n", "1", "--out", "p.png").out.splitlines()[-1])
    page = torch.frombuffer(bytearray(picture.convert("L").tobytes()), dtype=torch.uint8).view(picture.height, picture.width)
    first, step, top = 15 + 3, 30 * 3 + 15, page.shape[0] - 15 - 29 * 3
    original, *others = (page[top : top + 14 * 3, first + i * step :][:, : 28 * 3] for i in range(5))
    assert int(original.max()) == 255
    assert all(torch.equal(original, fill) for fill in others)


def test_a_mask_says_what_is_seen(inpaint, tmp_path):
    mask = Image.new("L", (56, 56))
    mask.paste(255, (0, 0, 56, 28))
    mask.save(tmp_path / "mask.png")
    by_mask, by_name = (
        json.loads(inpaint(*words, "--json", "-q").out)["images"] for words in (["--mask", "mask.png"], ["--observed", "top"])
    )
    assert by_mask == by_name
    Image.new("L", (28, 28)).save(tmp_path / "black.png")
    assert "black all over" in one_line(inpaint("--mask", "black.png"), 2)


def test_a_persons_own_picture(inpaint, tmp_path):
    Image.new("L", (60, 60), 255).save(tmp_path / "blank.png")
    assert "blank" in one_line(inpaint("--image", "blank.png"), 1)
    drawn = Image.new("L", (60, 60), 255)
    drawn.paste(0, (25, 10, 35, 50))
    drawn.save(tmp_path / "one.png")
    printed = json.loads(inpaint("--image", "one.png", "--json", "-q").out)["images"]
    assert [image["label"] for image in printed] == [-1]
    assert printed[0]["mean_image_of_label"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--observed", "middle"], "'top', 'bottom', 'left', 'right'"), (["--kind", "both"], "'mean', 'draw'"),
     (["--starts", "0"], "--starts"), (["--steps", "0"], "--steps")],
)  # fmt: skip
def test_wrong_usage(inpaint, arguments, words):
    assert words in one_line(inpaint(*arguments), 2)
