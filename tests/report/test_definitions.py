"""The command line of each figure: the page shows it, the documents have it, and it draws the same picture."""

import json
import re
import shlex

import pytest

from tests.helpers import ROOT
from vaecli.command_line import train_line
from vaecli.config import Config
from vaecli.report.build import EXPLORED
from vaecli.report.figures import FIGURES


def test_the_line_shown_is_the_one_that_ran(drawn, tmp_path):
    """With all that was given: --epochs, --device, another folder; run again it makes the same picture."""
    given = ["--quick", "--only", "3", "--epochs", "2", "--device", "cpu", "--out", "elsewhere"]
    assert drawn("report", *given, "-q").code == 0
    (line,) = re.findall(r"<code[^>]*>(vaecli compare [^<]*)</code>", (tmp_path / "elsewhere/index.html").read_text())
    runs = "checkpoints/mnist-z2-elbo-n2000-random-e2 checkpoints/mnist-z3-elbo-n2000-random-e2"
    assert line == f"vaecli compare {runs} --k 0 --limit 500 --out elsewhere/figure3 --device cpu"
    picture = tmp_path / "elsewhere/figure3/compare-losses.png"
    before = picture.read_bytes()
    picture.unlink()
    assert drawn(*shlex.split(line)[1:]).code == 0
    assert picture.read_bytes() == before


@pytest.mark.parametrize("number", [1, 4, 13])
def test_the_line_of_a_figure_draws_the_same_picture(drawn, tmp_path, monkeypatch, number):
    """Those of `compare` are tested above; that of figure 5 prints what the page has as text."""
    if number == 13:
        monkeypatch.setitem(FIGURES[12].quick, "n", 2)
    assert drawn("report", "--quick", "--only", str(number), "-q").code == 0
    line = re.search(
        rf'id="figure{number}".*?<code[^>]*>(vaecli [^<]*)</code>', (tmp_path / "report-quick/index.html").read_text(), re.S
    )[1]
    files = sorted((tmp_path / f"report-quick/figure{number}").iterdir())
    assert [file.suffix for file in files] == ([".png"] if number == 13 else [".csv", ".png"])
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    assert drawn(*shlex.split(line)[1:], "-q").code == 0
    assert [file.read_bytes() for file in files] == before


def test_the_architecture_is_what_its_line_prints(reported, drawn):
    kept = json.loads((reported / "report-quick/report.json").read_text())["figures"]["5"]
    assert drawn(*FIGURES[4].words([], FIGURES[4].options)).out == kept["text"]


def test_every_run_starts_as_the_reports_did():
    runs = [settings for figure in FIGURES for of_seed in figure.runs(quick=False) for settings in of_seed]
    assert len({Config(**settings) for settings in runs}) == 39
    assert {Config(**settings).init_bias for settings in (*runs, *EXPLORED)} == {"random"}


def test_the_readme_has_the_same_lines():
    rows = {}
    for line in (ROOT / "docs" / "report.md").read_text().splitlines():
        if (match := re.match(r"^\| (\d+) \|(.*)\|$", line)) and match[2].count("|") == 3:
            rows[int(match[1])] = match[2]
    assert list(rows) == [figure.number for figure in FIGURES]
    for figure in FIGURES:
        runs = [Config(**settings).run_name for settings in figure.trains]
        words = figure.words(runs, figure.options | ({"out": figure.folder} if figure.draws else {}))
        assert f"`{shlex.join(['vaecli', *words])}`" in rows[figure.number]
        trains = re.findall(r"`(vaecli train [^`]*|vaecli train)`", rows[figure.number].split("|")[1])
        assert trains in ([train_line(settings) for settings in figure.trains], []), figure.number
