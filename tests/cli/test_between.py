"""``vaecli sample --between``."""

import pytest
from PIL import Image, ImageChops

from tests.helpers import one_line, opened
from vaecli.data import load_images
from vaecli.image_shape import GREY_28
from vaecli.plotting.grids import scale_of

CELL = 28 * scale_of(GREY_28) + 3


@pytest.fixture
def seven(tmp_path):
    pixels = load_images("mnist", "test", limit=1).pixels[0]
    Image.frombytes("L", (28, 28), pixels.numpy().tobytes()).save(tmp_path / "seven.png")


def frames(path):
    """The pictures of a filmstrip of one row, from left to right."""
    page = opened(path)
    top, found, left = page.height - 15 - CELL, [], 15
    while left < page.width - CELL:
        found.append(page.crop((left + 3, top, left + CELL, top + CELL - 3)))
        left += CELL + (18 if len(found) == 1 or page.width - left < 3 * CELL else 0)
    return found


def test_it_leads_from_original_to_original(vaecli, run_copy, seven):
    path = vaecli("sample", "small", "--between", "0", "1").path
    assert str(path) == "checkpoints/small/between.png"
    there = frames(path)
    assert len(there) == 12
    back = frames(vaecli("sample", "small", "--between", "1", "seven.png", "--out", "back.png").path)
    assert [picture.tobytes() for picture in (there[0], there[-1])] == [picture.tobytes() for picture in (back[-1], back[0])]
    for forth, reverse in zip(there[1:-1], back[-2:0:-1], strict=True):
        assert max(high for _, high in ImageChops.difference(forth, reverse).getextrema()) <= 1
    assert len({picture.tobytes() for picture in there}) == 12


def test_a_great_circle_is_another_way_and_a_long_one_has_rows(vaecli, run_copy):
    line, circle = (
        vaecli("sample", "small", "--between", "0", "1", "--path", way, "--out", f"{way}.png").path
        for way in ("straight", "spherical")
    )
    assert ImageChops.difference(frames(line)[6], frames(circle)[6]).getbbox()
    long = opened(vaecli("sample", "small", "--between", "0", "1", "--n", "25").path)
    assert long.height - opened(line).height == CELL
    assert opened(line).width < long.width <= 15 * 4 + 15 * CELL + 9


def test_a_conditional_model_says_what_its_label_does(vaecli, small_mnist):
    more = ["--labels", "full", "--epochs", "1", "--limit", "200", "--name", "labels", "--data-dir", small_mnist]
    assert vaecli("train", *more, "-q").code == 0
    along = vaecli("sample", "labels", "--between", "0", "1")
    assert "The label goes linearly from 7 to 2; keep one with --digit" in along.err
    kept = vaecli("sample", "labels", "--between", "0", "1", "--digit", "3", "--out", "three.png")
    assert "linearly" not in kept.err
    assert ImageChops.difference(frames(along.path)[5], frames(kept.path)[5]).getbbox()
    assert "linearly" not in vaecli("sample", "labels", "--between", "0", "0").err


@pytest.mark.parametrize(
    ("ends", "code", "words"),
    [
        (["0", "200"], 2, "--between 200: expected a number from 0 to 199, of a test image, or a picture file"),
        (["0", "."], 2, "--between .: found a folder, expected a picture file"),
        (["nothing.png", "0"], 1, "nothing.png: no such file"),
        (["0", "1", "--n", "1"], 2, "--n 1: expected a whole number from 2"),
        (["0", "1", "--digit", "3"], 2, "--digit 3: small was trained without labels and draws whatever label comes"),
    ],
)
def test_wrong_usage(vaecli, run_copy, ends, code, words):
    assert words in one_line(vaecli("sample", "small", "--between", *ends), code)


def test_images_that_were_moved_are_found_again(vaecli, run_copy, small_mnist):
    assert vaecli("sample", "small", "--between", "0", "1", "--data-dir", small_mnist).code == 0
    assert "no such folder" in one_line(vaecli("sample", "small", "--between", "0", "1", "--data-dir", "nowhere", "-q"), 1)
