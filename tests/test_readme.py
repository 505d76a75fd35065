"""The README's figure table, every line of it, on a small subset; so that it cannot rot."""

import re
import shlex
from pathlib import Path

import pytest

from vaecli.data import Source

README = Path(__file__).parents[1] / "README.md"
FASHION = Path(__file__).parent / "data" / "fashion-mnist"
ROW = re.compile(r"^\| (\d+) \|(.*)\|$")


def figures():
    """For each figure its train commands and the command that draws it, as argument lists."""
    for line in README.read_text().splitlines():
        if match := ROW.match(line):
            cells = match[2].split("|")
            if len(cells) != 4:  # the other table, of slips
                continue
            commands = [[shlex.split(each)[1:] for each in re.findall("`(vaecli [^`]*)`", cell)] for cell in cells[1:3]]
            yield int(match[1]), *commands


FIGURES = list(figures())


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    return tmp_path_factory.mktemp("readme")


def test_the_table_has_all_fourteen_figures_with_one_command_each():
    assert [number for number, _, _ in FIGURES] == list(range(1, 15))
    assert all(len(draw) == 1 for _, _, draw in FIGURES)


@pytest.mark.parametrize(("number", "trains", "draws"), FIGURES)
def test_every_line_runs(vaecli, monkeypatch, workplace, small_mnist, number, trains, draws):
    monkeypatch.chdir(workplace)
    monkeypatch.setattr(Source, "own", False)  # the small folders stand for the data sets
    for command in trains:
        folder = FASHION if "fashion-mnist" in command else small_mnist
        outcome = vaecli(*command, "--data-dir", folder, "--overwrite", "-q")
        assert outcome.code == 0, outcome.err
    (draw,) = draws
    if "--dry-run" not in draw:
        fashion = any(word.startswith("fashion-mnist") for word in draw)
        draw = [*draw, "--data-dir", FASHION if fashion else small_mnist]
        draw += ["--steps", "50", "--starts", "2"] if draw[0] == "inpaint" else []
    outcome = vaecli(*draw)
    assert outcome.code == 0, outcome.err
    pictures = [line for line in outcome.out.splitlines() if line.endswith(".png")]
    assert pictures or "--dry-run" in draw
    assert all(Path(picture).stat().st_size > 1000 for picture in pictures)
