"""The page: its figures, pictures and verdicts."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

from tests.cli.test_json import fields
from vaecli.report.build import QUICK_GIVES_NONE, build
from vaecli.report.figures import FIGURES
from vaecli.report.page import entry
from vaecli.report.verdicts import PairedDifference

SHORT = [replace(FIGURES[2], trains=tuple({**settings, "limit": 2000, "epochs": 1} for settings in FIGURES[2].trains))]
"""A figure that asks for little training."""


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]

    def files(self):
        """The pictures that are files beside the page."""
        return [picture for picture in self.all("img") if not picture["src"].startswith("data:")]


def test_the_page_has_each_figure_with_its_picture_finding_and_command(reported):
    text = (reported / "report-quick/index.html").read_text()
    tags = Tags(text)
    assert [article["id"] for article in tags.all("article")] == [
        "explorer",
        "figure3",
        "figure5",
        "figure8",
        "figure11",
        "settings",
    ]
    pictures = tags.files()
    assert [picture["src"].split("/")[0] for picture in pictures] == ["figure8", "figure8", "figure11"]  # figure 3 is plotted
    figures = json.loads((reported / "report-quick/report.json").read_text())["figures"]
    for picture in pictures:
        assert (reported / "report-quick" / picture["src"]).is_file()
        number = re.match(r"figure(\d+)/", picture["src"])[1]
        assert figures[number]["finding"]["text"] in picture["alt"]
    runs = "checkpoints/mnist-z2-elbo-n2000-random-e1 checkpoints/mnist-z3-elbo-n2000-random-e1"
    assert f"vaecli compare {runs} --k 0 --limit 500 --out report-quick/figure3<" in text
    assert "decoder.input" in text  # figure 5, as text
    assert len(text) < 8e6


def test_a_table_leads_to_each_figure_with_its_claim_and_both_numbers(reported):
    text = (reported / "report-quick/index.html").read_text()
    table = text[text.index('class="figures cards"') : text.index("</table>")]
    assert re.findall(r'<th scope="row"><a href="#figure(\d+)">', table) == ["3", "5", "8", "11"]
    claims = [FIGURES[number - 1].claim for number in (3, 5, 8, 11)]
    assert re.findall("<q>(.*?)</q>", table) == claims
    assert ">170.37 in 2-D, 148.76 in 3-D: loss of one batch</td>" in table
    figures = json.loads((reported / "report-quick/report.json").read_text())["figures"]
    for figure in figures.values():
        assert figure["finding"]["ours"] and f">{figure['finding']['ours']}</td>" in table
    assert "section 2.3</dt><dd><q>the loss in 3D" in text


def test_a_quick_pass_gives_no_verdict(reported):
    text = (reported / "report-quick/index.html").read_text()
    assert "does it hold?" not in text.lower()
    figures = json.loads((reported / "report-quick/report.json").read_text())["figures"]
    verdicts = [figure["finding"] for figure in figures.values()]
    assert {(verdict["verdict"], verdict["reading"]) for verdict in verdicts} == {("", "")}
    assert "What counts" not in text
    assert 'id="family"' not in text
    assert {verdict["why"] for verdict in verdicts} == {QUICK_GIVES_NONE}


def test_with_all_the_data_verdicts_are_given(drawn, tmp_path, capsys):
    report = build("report", SHORT, explorer=False)
    verdict = report.figures[3]["finding"]["verdict"]
    shown = {"yes": "yes", "no": "no"}.get(verdict, "part")
    assert verdict in ("yes", "no", "not decided by three seeds")
    assert (
        f'<td data-says="does it hold?" class="verdict {shown}">{verdict.capitalize()}</td>'
        in (tmp_path / "report/index.html").read_text()
    )
    assert {run.name for run in report.runs} == {
        f"mnist-z{size}-elbo-n2000-random-e1{seed}" for size in (2, 3) for seed in ("", "-seed1", "-seed2")
    }
    assert "over 3 seeds)" in report.figures[3]["finding"]["text"]
    assert capsys.readouterr() == ("", "")
    text = (tmp_path / "report/index.html").read_text()
    assert "Does it hold?" in text
    assert "trained with three seeds each (figures: 3)" in text
    assert "--seed 2</code>" in text
    (decision,) = report.figures[3]["finding"]["decisions"]
    assert {f"figures.*.decisions[].{name}" for name in decision} < fields("vaecli report").keys()
    assert (report.family.differences, report.family.corrected_level) == (1, 0.05)
    assert report.family.counted == (decision["p"] <= 0.05) == (verdict != "not decided by three seeds")
    assert report.to_json()["family"]["differences"] == 1
    assert "1 difference on this page is decided" in text
    assert "only where its p is at most\n0.05 (Holm" in text
    why = report.figures[3]["finding"]["why"]
    assert f"<dt>Why</dt><dd>{why}</dd>" in text
    assert re.fullmatch(
        r"a lower test -ELBO in 3-D than in 2-D: [a-z ]+ \([\d.]+ against [\d.]+, .*±.* 3 seeds\), p [=<] .*\)", why
    )


def test_verdicts_are_at_the_level_of_all_the_differences_of_the_page(drawn, tmp_path):
    """Four figures beside each other: p = 0.016 counts at 0.05 / 3, and not at 0.05 / 4. Nothing is measured again."""
    measured = []

    def number(which, by):
        def measure(evidence):
            measured.append(which)
            return {"apart": PairedDifference(0, by, 1)}

        return replace(SHORT[0], number=which, measure=measure)

    figures = [number(3, -2.4), number(2, -2.4), number(1, -2.4), number(4, -0.1)]

    def verdicts(count):
        report = build("report", figures[:count], explorer=False)
        return report.family.corrected_level, {kept["finding"]["verdict"] for kept in report.figures.values()}

    assert verdicts(3) == (0.05, {"yes"})
    assert verdicts(4) == (0.05 / 4, {"not decided"})
    assert verdicts(3) == (0.05, {"yes"})
    assert measured == [3, 2, 1, 4]
    verdicts(4)
    text = (tmp_path / "report/index.html").read_text()
    assert "4 differences on this page are decided" in text
    assert "at most\n0.013 (Holm" in text
    assert text.count(">Not decided</dd>") == 4


def test_a_training_that_is_too_short_gives_no_verdict_and_says_why(drawn, tmp_path):
    """As the figure asks for, longer, shorter, and as many epochs of fewer images."""

    def verdict(**change):
        report = build("report", [quick], change=change, explorer=False)
        return report.figures[3]["finding"]["verdict"], report.figures[3]["finding"]["why"], report.family.differences

    measure = {"measure": lambda evidence: {"apart": PairedDifference(0, -9, 1)}}
    quick = replace(SHORT[0], trains=tuple(settings | {"epochs": 2} for settings in SHORT[0].trains), compares=False, **measure)
    assert verdict()[0] == verdict(epochs=3)[0] == "yes"
    why = "no verdict: mnist-z2-elbo-n2000-random-e1 was trained for 10 updates, expected 20, those of the claim's own settings"
    assert verdict(epochs=1) == ("", why, 0)
    text = (tmp_path / "report/index.html").read_text()
    assert f"<dt>Why</dt><dd>{why.replace(chr(39), '&#39;')}</dd>" in text
    assert ">No verdict</td>" in text and ">No verdict</dd>" in text
    assert verdict(limit=1000)[0] == ""
    assert "trained for 10 updates, expected 20" in verdict(limit=1000)[1]
    assert verdict(limit=1000, epochs=4)[0] == "yes"


def test_a_picture_says_its_parts_in_words_too(tmp_path):
    """Those inside it are too small on a phone."""

    def captions(number, what, *runs):
        kept = {
            "finding": {"verdict": "yes", "ours": "", "text": "", "reading": "", "why": ""}, "plots": [], "text": "",
            "pictures": [{"path": "x.png", "width": 1, "height": 1, "what": what}],
        }  # fmt: skip
        figure = FIGURES[number - 1]
        line = figure.words([f"folder/{run}" for run in runs], figure.options)
        return entry(figure, kept, line, tmp_path)["pictures"][0]["caption"]

    assert captions(9, "reconstructions", "one", "two").startswith("Test images, and beside them of one and of two: the mean of")
    assert captions(9, "samples", "one", "two").startswith("Samples from the prior, on the left of one and on the right of two: ")
    assert captions(8, "samples", "one") == "Samples from the prior: their means on the left, draws on the right."
    assert captions(13, "", "one").startswith("From left to right: the image, what is seen")


def test_only_pictures_that_the_page_shows_are_written(reported):
    folder = reported / "report-quick"
    tags = Tags((folder / "index.html").read_text())
    shown = {picture["src"] for picture in tags.files()} | {link["href"] for link in tags.all("a") if link["href"].endswith(".png")}
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.png")} == shown


def test_the_page_asks_nobody_for_anything(reported):
    text = (reported / "report-quick/index.html").read_text()
    assert not re.search(r"https?://", text)
    assert "default-src 'none'" in text
