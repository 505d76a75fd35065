"""Tables in a pipe, whole, and on terminals, where columns fit and words and numbers stay whole."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from vaecli.cli import console
from vaecli.cli.tables import MINUS, Table, aligned, print_table


@pytest.fixture
def printed(monkeypatch):
    """Prints a table on a terminal of some columns, or into a pipe for 0; gives stdout's and stderr's lines."""

    def show(table, width, encoding="utf-8", **more):
        out, err = io.TextIOWrapper(io.BytesIO(), encoding=encoding), io.StringIO()
        how = {"markup": False, "highlight": False, "soft_wrap": True, "emoji": False, "color_system": None}
        monkeypatch.setattr(console, "stdout", Console(file=out, force_terminal=width > 0, width=width or None, **how))
        monkeypatch.setattr(console, "stderr", Console(file=err, **how))
        print_table(table, **more)
        out.seek(0)
        return out.read().splitlines(), err.getvalue()

    return show


NUMBERS = (
    "epochs",
    "test -ELBO",
    "reconstruction",
    "KL",
    "-L_50",
    "k-hat > 0.7",
    "bits/dim",
    "active units",
    "parameters",
    "seconds",
)


def compared(runs):
    """A table as that of `compare`."""
    table = Table.of(["run", "latent dim"], NUMBERS)
    for z in range(2, 2 + runs):
        bounds = f"{160 - 10 * z}.45 ±0.54", f"-{150 - 10 * z}.94", "5.52", "99.5" if z > 2 else "160.52 ±0.53"
        table.add_row(f"mnist-z{z}-elbo", str(z), "5", *bounds, "21 %", "0.295", str(z), f"{785_000 + z:,}", "10.6")
    return table


WORDS = {
    word.replace("-E", f"{MINUS}E").replace("-L", f"{MINUS}L") for heading in ("latent dim", *NUMBERS) for word in heading.split()
}


@pytest.mark.parametrize("runs", [1, 3, 8])
@pytest.mark.parametrize("width", [40, 60, 80, 140, 200])
def test_columns_fit_the_terminal_and_words_stay_whole(printed, runs, width):
    lines, said = printed(compared(runs), width)
    assert max(map(cell_len, lines)) <= width
    assert said == ""
    words = [word for line in lines for word in line.split()]
    assert set(words) >= WORDS
    for z in range(2, 2 + runs):
        assert f"mnist-z{z}-elbo" in words
        assert f"{MINUS}{150 - 10 * z}.94" in words
        assert f"{785_000 + z:,}" in words
    assert not any("-1" in word or "-EL" in word for word in words)


def test_three_runs_are_rows_on_140_columns_and_columns_on_80(printed):
    rows, _ = printed(compared(3), 140)
    assert sum(line.startswith("mnist-z") for line in rows) == 3
    turned, _ = printed(compared(3), 80)
    headings = [heading.replace(" -E", f" {MINUS}E").replace("-L", f"{MINUS}L") for heading in NUMBERS]
    assert [line.split("  ")[0] for line in turned[1:]] == ["latent dim", *headings]
    assert turned[0].split() == ["run", "mnist-z2-elbo", "mnist-z3-elbo", "mnist-z4-elbo"]


@pytest.mark.parametrize("width", [60, 80])
def test_points_are_above_each_other_in_a_turned_table(printed, width):
    lines, _ = printed(compared(2), width)
    start = lines[0].index("mnist-z2")
    points = [line.index(".", start) for line in lines[1:] if "." in line[start : start + 14]]
    assert len(points) > 5
    assert len(set(points)) == 1


def test_a_pipe_gets_each_row_on_a_line_with_plain_hyphens(printed):
    lines, _ = printed(compared(8), 0)
    assert len(lines) == 9
    assert all(line == line.rstrip() for line in lines)
    numbers = "140.45 ±0.54 -130.94 5.52 160.52 ±0.53 21 % 0.295 2 785,002 10.6"
    assert lines[1].split() == ["mnist-z2-elbo", "2", "5", *numbers.split()]
    assert MINUS not in "".join(lines)


def test_a_terminal_without_the_letter_gets_hyphens(printed):
    lines, _ = printed(compared(1), 200, encoding="latin-1")
    assert " -130.94 " in lines[1]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.5", "-12.25", "100"], ["  1.5 ", "-12.25", "100   "]),
        (["160.52 ±0.53", "99.5", ""], ["160.52 ±0.53", " 99.5       ", "            "]),
        ([f"{MINUS}1.00", "10.00"], [f"{MINUS}1.00", "10.00"]),
        (["1,234", "7"], ["1,234", "    7"]),
        (["3", "2 of 3", "failed"], ["3     ", "2 of 3", "failed"]),
        ([], []),
    ],
)
def test_numbers_are_aligned_on_the_point(cells, expected):
    assert aligned(cells) == expected


def test_the_least_columns_are_left_out_and_named(printed):
    table = Table.of(["run", "settings"], ["epochs"])
    for number in range(20):
        table.add_row(f"run-{number}", " ".join(f"setting-{place}=1" for place in range(6)), str(number))
    wide, said = printed(table, 200, least=["settings"], folded="settings")
    assert (len(wide), said) == (21, "")
    folded, said = printed(table, 60, least=["settings"], folded="settings")
    assert len(folded) > 21 and said == "" and max(map(cell_len, folded)) <= 60
    narrow, said = printed(table, 30, least=["settings"], folded="settings")
    assert len(narrow) == 21 and "setting" not in "".join(narrow)
    assert said == "Left out for want of room: settings; a pipe gets all columns\n"


def test_wide_letters_count_twice(printed):
    table = Table.of(["run"], ["epochs"])
    table.add_row("数字", "1")
    table.add_row("long-name", "2")
    lines, _ = printed(table, 0)
    assert cell_len(lines[1]) == cell_len(lines[2])


@pytest.mark.parametrize("width", [80, 140])
def test_compare_and_list_fit(vaecli, run_copy, monkeypatch, capsys, width):
    for name in ("stdout", "stderr"):
        how = {"markup": False, "highlight": False, "soft_wrap": True, "emoji": False, "color_system": None}
        monkeypatch.setattr(console, name, Console(stderr=name == "stderr", force_terminal=name == "stdout", width=width, **how))
    outcome = vaecli("compare", "small", "small", "--k", "1,5", "--limit", "20", "--exact", "--table-only", "-q")
    assert outcome.code == 0, outcome.err
    assert max(map(cell_len, outcome.out.splitlines())) <= width
    assert "reconstruction" in outcome.out and f"{MINUS}log p(x)" in " ".join(outcome.out.split())
    assert max(map(cell_len, vaecli("list", "-q").out.splitlines())) <= width
