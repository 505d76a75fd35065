"""The report as one page: what is drawn, what is not drawn again, and what is said where something is missing."""

import json
import re
import shlex
import shutil
import subprocess
from contextlib import suppress
from html.parser import HTMLParser

import pytest
import torch

from tests.helpers import DATA, REPORTED, ROOT, one_line
from vaecli.command_line import train_line
from vaecli.config import Config
from vaecli.data import fashion_mnist, load_images
from vaecli.report import evidence, findings
from vaecli.report.build import build
from vaecli.report.definitions import FIGURES, IWAE10, Z2
from vaecli.report.explorer import payload
from vaecli.report.page import assets
from vaecli.runs.run import read_run
from vaecli.seeding import generator


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def all(self, name):
        return [attributes for tag, attributes in self.found if tag == name]


@pytest.fixture
def drawn(reported, tmp_path, vaecli, monkeypatch):
    """A copy of it to go on from."""
    monkeypatch.setenv("VAECLI_DATA_DIR", str(DATA))
    shutil.copytree(reported, tmp_path, dirs_exist_ok=True)
    return vaecli


def test_the_page_has_each_figure_with_its_picture_finding_and_command(reported):
    text = (reported / "report-quick/index.html").read_text()
    tags = Tags(text)
    assert [each["id"] for each in tags.all("article")] == ["explorer", "figure3", "figure5", "figure8", "figure11", "settings"]
    pictures = tags.all("img")
    assert [each["src"].split("/")[0] for each in pictures] == ["figure3", "figure8", "figure8", "figure11"]
    told = json.loads((reported / "report-quick/report.json").read_text())["figures"]
    for each in pictures:
        assert (reported / "report-quick" / each["src"]).is_file()
        number = re.match(r"figure(\d+)/", each["src"])[1]
        assert told[number]["finding"]["text"] in each["alt"]
    runs = "checkpoints/mnist-z2-elbo-n2000-e1 checkpoints/mnist-z3-elbo-n2000-e1"
    assert f"vaecli compare {runs} --k 0 --limit 500 --out report-quick/figure3<" in text
    assert "decoder.input" in text  # figure 5, as text
    assert len(text) < 8e6


def test_a_quick_pass_gives_no_verdict(reported):
    text = (reported / "report-quick/index.html").read_text()
    assert "Does it hold?" not in text
    told = json.loads((reported / "report-quick/report.json").read_text())["figures"]
    assert {(each["finding"]["holds"], each["finding"]["words"], each["finding"]["reading"]) for each in told.values()} == {
        (None, "", "")
    }


def test_the_line_shown_is_the_one_that_ran(drawn, tmp_path):
    """With all that was given: --epochs, --device, another folder; run again it makes the same picture."""
    given = ["--quick", "--only", "3", "--epochs", "2", "--device", "cpu", "--out", "elsewhere"]
    assert drawn("report", *given, "-q").code == 0
    (line,) = re.findall(r"<code[^>]*>(vaecli compare [^<]*)</code>", (tmp_path / "elsewhere/index.html").read_text())
    runs = "checkpoints/mnist-z2-elbo-n2000-e2 checkpoints/mnist-z3-elbo-n2000-e2"
    assert line == f"vaecli compare {runs} --k 0 --limit 500 --out elsewhere/figure3 --device cpu"
    picture = tmp_path / "elsewhere/figure3/compare-losses.png"
    before = picture.read_bytes()
    picture.unlink()
    assert drawn(*shlex.split(line)[1:]).code == 0
    assert picture.read_bytes() == before


def test_with_all_the_data_verdicts_are_given(drawn, tmp_path, capsys):
    made = build("report", [FIGURES[2]], change={"limit": 2000, "epochs": 1}, explorer=False)
    assert made.figures[3]["finding"]["holds"] in (True, False)
    assert capsys.readouterr() == ("", "")
    text = (tmp_path / "report/index.html").read_text()
    assert "Does it hold?" in text
    assert "more than two of its standard errors over images; each side is one run" in text


def test_only_pictures_that_the_page_shows_are_written(reported):
    folder = reported / "report-quick"
    shown = {picture["src"] for picture in Tags((folder / "index.html").read_text()).all("img")}
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.png")} == shown


@pytest.mark.parametrize("number", [1, 4, 13])
def test_the_line_of_a_figure_draws_the_same_picture(drawn, tmp_path, number):
    """Those of `compare` are tested above; that of figure 5 prints what the page has as text."""
    assert drawn("report", "--quick", "--only", str(number), "-q").code == 0
    line = re.search(
        rf'id="figure{number}".*?<code[^>]*>(vaecli [^<]*)</code>', (tmp_path / "report-quick/index.html").read_text(), re.S
    )[1]
    (picture,) = (tmp_path / f"report-quick/figure{number}").iterdir()
    before = picture.read_bytes()
    picture.unlink()
    assert drawn(*shlex.split(line)[1:], "-q").code == 0
    assert picture.read_bytes() == before


def test_the_architecture_is_what_its_line_prints(reported, drawn):
    kept = json.loads((reported / "report-quick/report.json").read_text())["figures"]["5"]
    assert drawn(*FIGURES[4].words([], FIGURES[4].options)).out == kept["text"]


def test_each_checkpoint_is_loaded_once(drawn, monkeypatch):
    loaded = []
    monkeypatch.setattr("vaecli.report.build.read_run", lambda folder: loaded.append(folder) or read_run(folder))
    shutil.rmtree("report-quick")
    assert drawn("report", "--quick", "--only", "2,3,4,11", "-q").code == 0
    assert len(loaded) == len(set(loaded)) == 4


def test_numbers_are_measured_where_a_verdict_reads_them():
    class Reads(dict):
        def __missing__(self, name):
            read.add(name)
            raise KeyError(name)

    for figure in FIGURES:
        if figure.command == "compare":
            read = set()
            with suppress(Exception):
                findings.finding(figure, evidence.Evidence((), (), Reads(), None, None))
            assert read == ({"table"} if figure.measures else set()), figure.number


def test_the_page_asks_nobody_for_anything(reported):
    text = (reported / "report-quick/index.html").read_text()
    assert not re.search(r"https?://", text)
    assert "default-src 'none'" in text


def test_a_second_call_draws_and_trains_nothing(drawn, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    outcome = drawn("report", *REPORTED)
    assert outcome.code == 0
    assert outcome.err == "All is up to date\n"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_runs_are_known_by_their_settings_not_their_name(drawn, tmp_path):
    (tmp_path / "checkpoints/mnist-z2-elbo-n2000-e1").rename(tmp_path / "checkpoints/mine")
    assert json.loads(drawn("report", *REPORTED, "--json").out)["drawn"] == []
    assert not (tmp_path / "checkpoints/mnist-z2-elbo-n2000-e1").exists()


def test_a_run_of_another_kind_under_the_name_is_left_alone(drawn, tmp_path):
    run = tmp_path / "checkpoints/mnist-z2-elbo-n2000-e1"
    shutil.copytree(tmp_path / "checkpoints/mnist-z3-elbo-n2000-e1", run, dirs_exist_ok=True)
    before = (run / "model.safetensors").read_bytes()
    assert json.loads(drawn("report", "--quick", "--only", "3", "--json").out)["drawn"] == []  # the same weights, trained again
    assert (run / "model.safetensors").read_bytes() == before
    again = read_run(tmp_path / "checkpoints/mnist-z2-elbo-n2000-e1-2")
    assert again.config == Config(**Z2, limit=2000, epochs=1)


def test_a_picture_that_is_gone_is_drawn_again(drawn, tmp_path):
    picture = tmp_path / "report-quick/figure11/compare-reconstructions.png"
    before = picture.read_bytes()
    picture.unlink()
    assert json.loads(drawn("report", *REPORTED, "--json").out)["drawn"] == [11]
    assert picture.read_bytes() == before


def test_stopped_in_the_middle_it_goes_on(drawn, tmp_path, monkeypatch):
    shutil.rmtree(tmp_path / "report-quick")
    measured = []

    def interrupted(figure, seen, judged):
        measured.append(figure.number)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return findings.Finding("so", True)

    monkeypatch.setattr(findings, "finding", interrupted)
    assert drawn("report", *REPORTED, "-q").code == 130
    assert measured == [3, 5]
    assert json.loads(drawn("report", *REPORTED, "--json").out)["drawn"] == [5, 8, 11]


def test_a_state_that_is_not_ours_is_drawn_anew(drawn, tmp_path):
    state = tmp_path / "report-quick/report.json"
    for damaged in (b"{", b"[]", state.read_bytes().replace(b'"words"', b'"other"')):
        state.write_bytes(damaged)
        assert json.loads(drawn("report", "--quick", "--only", "5", "--json").out)["drawn"] == [5]


def test_ctrl_c_within_a_drawing_is_one_line(drawn, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    shutil.rmtree(tmp_path / "report-quick")
    monkeypatch.setattr("vaecli.report.draw.measure", interrupted)
    assert one_line(drawn("report", *REPORTED, "-q"), 130) == "vaecli: interrupted"


def test_without_fashion_mnist_the_others_are_drawn(vaecli, monkeypatch, tmp_path):
    for place in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(place, str(tmp_path / "empty"))
    monkeypatch.delenv("VAECLI_DATA_DIR", raising=False)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "empty")
    monkeypatch.setattr(fashion_mnist, "MIRROR", "http://127.0.0.1:9")  # the port "discard", which nobody serves
    outcome = vaecli("report", "--quick", "--only", "5,8", "-q")
    assert outcome.code == 1
    assert "a part of the report is missing: figures 8 are not drawn: fashion-mnist: found no whole copy" in outcome.err
    text = (tmp_path / "report-quick/index.html").read_text()
    assert "figures 8 are not drawn: fashion-mnist: found no whole copy" in text
    assert 'id="figure5"' in text


def test_a_figure_that_is_none_is_told(vaecli):
    for wrong in ("15", "x", "", "1,,2"):
        assert "expected numbers of figures, 1 to 14" in one_line(vaecli("report", "--only", wrong), 2)


def test_a_device_that_is_none_is_told_before_anything_is_done(vaecli, tmp_path):
    assert "'gpu' is not one of 'auto', 'cpu'" in one_line(vaecli("report", "--only", "5", "--device", "gpu"), 2)
    assert not (tmp_path / "report").exists()


def test_the_readme_has_the_same_lines():
    rows = {}
    for line in (ROOT / "docs" / "report.md").read_text().splitlines():
        if (match := re.match(r"^\| (\d+) \|(.*)\|$", line)) and match[2].count("|") == 3:
            rows[int(match[1])] = match[2]
    assert list(rows) == [each.number for each in FIGURES]
    for figure in FIGURES:
        runs = [Config(**each).run_name for each in figure.trains]
        words = figure.words(runs, figure.options | ({"out": figure.folder} if figure.draws else {}))
        assert f"`{shlex.join(['vaecli', *words])}`" in rows[figure.number]
        trains = re.findall(r"`(vaecli train [^`]*|vaecli train)`", rows[figure.number].split("|")[1])
        assert trains in ([train_line(each) for each in figure.trains], []), figure.number


@pytest.mark.skipif(not shutil.which("node"), reason="needs node, to run the page's script outside a browser")
@pytest.mark.parametrize("settings", [Z2, IWAE10], ids=["2-D", "3-D"])
def test_the_pages_decoder_is_the_models(reported, tmp_path, settings):
    config = Config(**{**settings, "limit": 2000, "epochs": 1})
    run = read_run(reported / "checkpoints" / config.run_name)
    space = payload([run], load_images("mnist", "test", limit=10))["spaces"][0]
    z = 2 * torch.randn(100, config.latent_dim, generator=generator("cpu", "page"))
    (tmp_path / "explorer.js").write_text(assets()["explorer.js"])
    (tmp_path / "in.json").write_text(json.dumps({"layers": space["layers"], "latents": z.tolist()}))
    lines = (
        'const told = require("./in.json"); const decode = require("./explorer.js").makeDecoder(told.layers);'
        "console.log(JSON.stringify(told.latents.map((z) => Array.from(decode(z)))));"
    )
    done = subprocess.run(["node", "-e", lines], cwd=tmp_path, capture_output=True, text=True, check=True)
    with torch.inference_mode():
        torch.testing.assert_close(torch.tensor(json.loads(done.stdout)), run.model.likelihood(z).mean, atol=1e-2, rtol=0)


def test_neighbours_agree_where_labels_are_apart():
    def neighbours_agree(points, labels):
        return float(evidence.agreement(points, labels).double().mean())

    labels = torch.arange(400) % 2
    apart = torch.randn(400, 2, generator=generator("cpu", "points")) + 20 * labels.unsqueeze(1)
    assert neighbours_agree(apart, labels) == 1
    mixed = torch.randn(400, 2, generator=generator("cpu", "points"))
    assert 0.35 < neighbours_agree(mixed, labels) < 0.65
