import json

import pytest
import torch
from PIL import Image

from tests.conftest import one_line, opened
from vaecli.commands.inpaint import _half


@pytest.fixture
def inpaint(vaecli, run_copy, small_mnist):
    def run(*arguments):
        count = [] if "--image" in arguments else ["--n", "2"]
        return vaecli("inpaint", "small", "--data-dir", small_mnist, "--steps", "60", "--starts", "2", *count, *arguments)

    return run


def test_scores_are_told_and_the_picture_is_written(inpaint):
    outcome = inpaint("--digit", "0")
    lines = outcome.out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("image 1: log p(missing | seen) -")
    assert lines[2].startswith("mean of 2: log p(missing | seen) -")
    assert lines[3] == "checkpoints/small/inpaint.png"
    told = json.loads(inpaint("--digit", "0", "--json", "-q").out)
    assert [each["label"] for each in told["images"]] == [0, 0]
    assert told["mean"] == pytest.approx(sum(each["log_p_missing_given_seen"] for each in told["images"]) / 2)


def test_halves_are_those_of_the_page():
    for name, rows, columns in (("top", slice(14), slice(28)), ("bottom", slice(14, 28), slice(28)),
                                ("left", slice(28), slice(14)), ("right", slice(28), slice(14, 28))):  # fmt: skip
        expected = torch.zeros(28, 28, dtype=torch.bool)
        expected[rows, columns] = True
        assert torch.equal(_half(name).view(28, 28), expected)


def test_what_is_seen_stays_as_it_was(inpaint):
    """The upper halves of the original and of each fill are the same pixels, whichever half they were asked for."""
    picture = opened(inpaint("--draws", "2", "--n", "1", "--out", "p.png").out.splitlines()[-1])
    page = torch.frombuffer(bytearray(picture.convert("L").tobytes()), dtype=torch.uint8).view(picture.height, picture.width)
    first, step, top = 15 + 3, 30 * 3 + 15, page.shape[0] - 15 - 29 * 3
    original, *others = (page[top : top + 14 * 3, first + i * step :][:, : 28 * 3] for i in range(5))
    assert int(original.max()) == 255
    assert all(torch.equal(original, each) for each in others)


def test_a_mask_says_what_is_seen(inpaint, tmp_path):
    mask = Image.new("L", (56, 56))
    mask.paste(255, (0, 0, 56, 28))
    mask.save(tmp_path / "mask.png")
    by_mask, by_name = (
        json.loads(inpaint(*each, "--json", "-q").out)["images"] for each in (["--mask", "mask.png"], ["--observed", "top"])
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
    assert inpaint("--image", "one.png").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--observed", "middle"], "expected one of top, bottom, left, right"), (["--kind", "both"], "expected one of mean, draw"),
     (["--starts", "0"], "--starts")],
)  # fmt: skip
def test_wrong_usage(inpaint, arguments, words):
    assert words in one_line(inpaint(*arguments), 2)
