"""What is said of the progress of work: a bar on a terminal, a line now and then in a pipe."""

import io
import re
import threading
import time

import pytest
from rich.console import Console

from vaecli.cli import console


@pytest.fixture
def said(monkeypatch):
    """stderr of a terminal or a pipe; in a pipe lines come without rest."""

    def make(terminal):
        text = io.StringIO()
        text.isatty = lambda: terminal
        made = Console(file=text, force_terminal=terminal, width=100, color_system=None, markup=False, highlight=False)
        monkeypatch.setattr(console, "stderr", made)
        monkeypatch.setattr(console, "SELDOM", 0.01)
        return text

    return make


def waited_for(text, words):
    """What was said, once these words are in it."""
    for _ in range(2000):
        if re.search(words, text.getvalue()):
            break
        time.sleep(0.005)
    return text.getvalue()


def test_a_pipe_hears_how_far_the_work_is_while_nothing_is_called(said):
    text = said(terminal=False)
    with console.bar("images", 1000, "baseline") as bar:
        bar(0)
        bar(250, "baseline ELBO")
        heard = waited_for(text, "about")
    assert re.search(r"^baseline ELBO: 250 of 1,000 images, about (\d+ s|1 s) left$", heard, re.M)


def test_a_pipe_hears_of_work_of_unknown_length(said):
    text = said(terminal=False)
    with console.bar("steps", description="Preparing"):
        heard = waited_for(text, "so far")
    assert re.search(r"^Preparing: 1 s so far$", heard, re.M)
    assert "?" not in heard


class Ticks:
    """An event that is waited for three times before it comes."""

    def __init__(self):
        self.left = 3

    def wait(self, seconds):
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize(("last", "lines"), [(float("inf"), 0), (-float("inf"), 1)])
def test_a_pipe_hears_nothing_where_another_line_just_came(said, monkeypatch, last, lines):
    text = said(terminal=False)
    monkeypatch.setattr(console, "SELDOM", 1e6)
    with console.bar("images", 10) as bar:
        bar(5)
        monkeypatch.setattr(console, "_said", [last])
        bar.speak(Ticks())
    assert len(text.getvalue().splitlines()) == lines


@pytest.mark.parametrize("quiet", [True, False])
def test_the_speaker_ends_with_the_work(said, quiet):
    text = said(terminal=False)
    console.stderr.quiet = quiet
    before = threading.active_count()
    with console.bar("images", 10), pytest.raises(ValueError, match="x"), console.bar("images", 10) as bar:
        bar(5)
        raise ValueError("x")
    assert threading.active_count() == before
    assert bool(text.getvalue()) is False or not quiet


def test_a_terminal_sees_counts_and_shares_once(said):
    text = said(terminal=True)
    with console.bar("%", 1000, "Run 5 of 36: mnist-z2-elbo") as bar:
        bar(333)
        console.stderr.print("")  # draws the bar
    shown = text.getvalue()
    assert "Run 5 of 36: mnist-z2-elbo" in shown and "33 %" in shown
    assert "333" not in shown and "1000" not in shown
    text = said(terminal=True)
    with console.bar("steps", description="Preparing") as bar:
        console.stderr.print("")
        assert "0/?" not in text.getvalue() and "0 of" not in text.getvalue()
        bar(20, "Epoch 1", 1500)
        console.stderr.print("")
    assert "Epoch 1" in text.getvalue() and "20 of 1,500 steps" in text.getvalue()


@pytest.fixture
def shown(monkeypatch):
    """Each line that a bar could say, as it is called."""
    lines, call = [], console.Bar.__call__

    def recorded(self, *words, **more):
        call(self, *words, **more)
        lines.append(self.line())

    monkeypatch.setattr(console.Bar, "__call__", recorded)
    return lines


def test_a_search_says_which_run_it_is_at(search, shown):
    assert search("--lr", "1e-3,1e-2", "--hidden", "10").code == 0
    for number in (1, 2):
        assert any(re.match(rf"Run {number} of 2: own-\S+ epoch 1: \d+ %, ", line) for line in shown)
    assert all(re.match(r"Run [12] of 2: ", line) for line in shown)


def test_a_report_says_which_run_it_is_at(vaecli, shown, monkeypatch):
    from tests.helpers import DATA

    monkeypatch.setenv("VAECLI_DATA_DIR", str(DATA))
    outcome = vaecli("report", "--quick", "--only", "4")
    assert outcome.code == 0, outcome.err
    runs = [found[1] for line in shown if (found := re.match(r"Run (\d of \d): mnist-\S+ epoch 1: \d+ %, ", line))]
    assert list(dict.fromkeys(runs)) == ["1 of 2", "2 of 2"]
    assert shown[-1].startswith("Figure 4, 1 of 1: ")
    assert not any(re.search(r"parts|\d/\d|/\?", line) for line in shown)
