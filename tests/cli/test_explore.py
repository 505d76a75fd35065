"""``vaecli explore``."""

import json
import re

import pytest

from tests.helpers import BASELINE, one_line


def data_of(page):
    return json.loads(re.search(r'id="latents">(.*?)</script>', page, re.S)[1])


def test_one_file_holds_all_runs_and_names_no_other(vaecli, run_copy, trained, tmp_path):
    outcome = vaecli("explore", "small", trained, "--n", "50")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.path == run_copy.relative_to(tmp_path) / "explore.html"
    page = outcome.path.read_text()
    assert not re.search(r"https?://|src=\"(?!data:)|@import|url\(", page)
    data = data_of(page)
    assert [space["run"] for space in data["spaces"]] == ["checkpoints/small", str(trained)]
    assert len(data["images"]) == 1  # which both share
    assert "default-src 'none'" in page


def test_the_baseline_takes_about_a_megabyte(vaecli):
    outcome = vaecli("explore", BASELINE, "--out", "page.html")
    assert str(outcome.path) == "page.html"
    assert outcome.path.stat().st_size < 1.4e6


def test_fewer_images_than_asked_for_are_said(vaecli, trained):
    outcome = vaecli("explore", trained, "--n", "20000", "--out", "page.html", "--json")
    (count,) = json.loads(outcome.out)["images"]
    assert count < 20000
    assert outcome.err.endswith(f": {count:,} images, all that the test split has\n")


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["--out", "x.png"], 2, "--out x.png: expected a folder, or a file that ends in .html"),
        (["--out", "-"], 2, "--out -: pages are not written to stdout; expected a folder, or a file that ends in .html"),
        (["--n", "90000"], 2, "--n 90000: expected at most 85598 images of 28 x 28, which a browser can hold"),
    ],
)
def test_what_cannot_be_written_is_refused(vaecli, run_copy, words, code, line):
    assert line in one_line(vaecli("explore", "small", *words), code)
    assert not (run_copy / "explore.html").exists()


def test_a_page_is_replaced_with_a_note(vaecli, run_copy):
    assert vaecli("explore", "small", "--n", "5").code == 0
    outcome = vaecli("explore", "small", "--n", "5")
    assert outcome.err == f"Replacing {outcome.path}\n"
    assert vaecli("explore", "small", "--n", "5", "-q").err == ""
