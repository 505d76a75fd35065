"""Pictures as .png, .pdf and .svg, from every command that draws one."""

import base64
import io
import re

import pytest
from PIL import Image

from tests.helpers import opened

BEGINNINGS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


@pytest.mark.parametrize(
    "words",
    [["sample"], ["reconstruct"], ["latent-plot"], ["latent-plot", "--variance"], ["latent-plot", "--manifold"]],
    ids=" ".join,
)
def test_each_format_is_written_with_the_same_bytes_each_time(vaecli, run_copy, small_mnist, words):
    own = "sample" not in words and "--manifold" not in words
    for suffix, beginning in BEGINNINGS.items():
        command = [*words[:1], "small", *words[1:], *(["--data-dir", small_mnist] if own else [])]
        written = [vaecli(*command, "--out", f"{index}.{suffix}").path.read_bytes() for index in (1, 2)]
        assert written[0].startswith(beginning)
        assert written[0] == written[1]
        assert b"CreationDate" not in written[0] and b"<dc:date>" not in written[0]


def test_a_grid_in_an_svg_has_the_pixels_of_the_png(vaecli, run_copy):
    page = opened(vaecli("sample", "small", "--n", "2", "--out", "x.png").path)
    text = vaecli("sample", "small", "--n", "2", "--out", "x.svg").path.read_text()
    assert "image-rendering:pixelated" in text
    (embedded,) = re.findall(r'"data:image/png;base64,([^"]*)"', text)
    with Image.open(io.BytesIO(base64.b64decode(embedded))) as inside:
        assert inside.convert("RGB").tobytes() == page.tobytes()


def test_a_plot_in_an_svg_is_drawn_in_lines(vaecli, run_copy, small_mnist):
    text = vaecli("latent-plot", "small", "--data-dir", small_mnist, "--out", "x.svg").path.read_text()
    assert "data:image" not in text
    assert text.count("<use ") > 200


def test_the_case_of_a_suffix_does_not_matter(vaecli, run_copy):
    assert vaecli("sample", "small", "--out", "x.PDF").path.read_bytes().startswith(b"%PDF")
