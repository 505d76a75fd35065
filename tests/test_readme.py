"""The documents: every line of the figure table, on a small subset, and the README's Python and links."""

import re
import shlex
from pathlib import Path

import pytest

import vaecli as library
from tests.helpers import DATA, ROOT
from vaecli.cli.app import main
from vaecli.data import Source

REPORT = ROOT / "docs" / "report.md"
FASHION = DATA / "fashion-mnist"
ROW = re.compile(r"^\| (\d+) \|(.*)\|$")


def figures():
    """For each figure its train commands and the command that draws it, as argument lists."""
    for line in REPORT.read_text().splitlines():
        if match := ROW.match(line):
            cells = match[2].split("|")
            if len(cells) != 4:  # the other table, of slips
                continue
            commands = [[shlex.split(command)[1:] for command in re.findall("`(vaecli [^`]*)`", cell)] for cell in cells[1:3]]
            yield int(match[1]), *commands


FIGURES = list(figures())


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, small_mnist):
    """A folder where every line of the table that trains a run has run, once."""
    folder = tmp_path_factory.mktemp("documents")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(Source, "is_own", False)  # the small folders stand for the data sets
        for command in dict.fromkeys(tuple(command) for _, trains, _ in FIGURES for command in trains):
            data = FASHION if "fashion-mnist" in command else small_mnist
            assert main([*command, "--data-dir", str(data), "-q"]) == 0, command
    return folder


def test_the_table_has_all_fourteen_figures_with_one_command_each():
    assert [number for number, _, _ in FIGURES] == list(range(1, 15))
    assert all(len(draw) == 1 for _, _, draw in FIGURES)


@pytest.mark.system
@pytest.mark.parametrize(("number", "draw"), [(number, draw) for number, _, (draw,) in FIGURES])
def test_every_line_that_draws_runs(vaecli, monkeypatch, workplace, small_mnist, number, draw):
    monkeypatch.chdir(workplace)
    monkeypatch.setattr(Source, "is_own", False)
    if "--dry-run" not in draw:
        fashion = any(word.startswith("fashion-mnist") for word in draw)
        draw = [*draw, "--data-dir", FASHION if fashion else small_mnist]
    outcome = vaecli(*draw)
    assert outcome.code == 0, outcome.err
    pictures = [line for line in outcome.out.splitlines() if line.endswith(".png")]
    assert pictures or "--dry-run" in draw
    assert all(Path(picture).stat().st_size > 1000 for picture in pictures)


def test_the_readme_and_the_package_show_the_same_python():
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    assert [line for line in block.splitlines() if line] == re.findall("^    (.+)$", library.__doc__, re.MULTILINE)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(name):
    page = ROOT / name
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("http"):
            continue
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if heading:
            headings = re.findall("^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert heading in [re.sub(r"[^\w\- ]", "", text).lower().replace(" ", "-") for text in headings], link


@pytest.mark.parametrize("name", ["docs/architecture.md", "docs/results.md", "docs/benchmarks.md"])
def test_modules_that_a_page_names_are_there(name):
    paths = re.findall(r"\w[\w/]*\.py", (ROOT / name).read_text())
    assert paths
    for path in paths:
        assert (ROOT / path).exists() or list((ROOT / "vaecli").glob(f"**/{path}")), path
