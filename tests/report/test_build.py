"""The report from what is there: what is drawn, what is not drawn again, and what is said where something is missing."""

import json
import shutil

from tests.helpers import REPORTED, one_line
from vaecli.config import Config
from vaecli.data import fashion_mnist
from vaecli.data.idx import read_folder
from vaecli.evaluation.importance import evaluate
from vaecli.report.definitions import Z2
from vaecli.report.evidence import closeness
from vaecli.report.verdicts import Finding
from vaecli.runs.run import read_run


def test_each_checkpoint_is_loaded_once(drawn, monkeypatch):
    loaded = []
    monkeypatch.setattr("vaecli.report.build.read_run", lambda folder: loaded.append(folder) or read_run(folder))
    shutil.rmtree("report-quick")
    assert drawn("report", "--quick", "--only", "2,3,4,11", "-q").code == 0
    assert len(loaded) == len(set(loaded)) == 4


def test_images_are_read_and_runs_measured_once(drawn, monkeypatch):
    read, measured = [], []
    for module in ("fashion_mnist", "dataset"):
        monkeypatch.setattr(f"vaecli.data.{module}.read_folder", lambda *where: read.append(where) or read_folder(*where))
    for name, measure in (("evaluate", evaluate), ("closeness", closeness)):
        monkeypatch.setattr(
            f"vaecli.report.evidence.{name}", lambda model, *a, of=measure: measured.append((of, model)) or of(model, *a)
        )
    shutil.rmtree("report-quick")
    shutil.rmtree("checkpoints")
    assert drawn("report", "--quick", "--only", "3,8,11", "-q").code == 0
    assert len(read) == len(set(read)) == 4  # both splits of two data sets
    assert (
        len(measured) == len({(of, id(model)) for of, model in measured}) == 4
    )  # the ELBO of figure 3's, log p(x|z) of figure 11's


def test_a_second_call_draws_and_trains_nothing(drawn, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    outcome = drawn("report", *REPORTED)
    assert outcome.code == 0
    assert outcome.err == "All is up to date\n"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_runs_are_known_by_their_settings_not_their_name(drawn, tmp_path):
    (tmp_path / "checkpoints/mnist-z2-elbo-n2000-random-e1").rename(tmp_path / "checkpoints/mine")
    assert json.loads(drawn("report", *REPORTED, "--json").out)["drawn"] == []
    assert not (tmp_path / "checkpoints/mnist-z2-elbo-n2000-random-e1").exists()


def test_a_run_of_another_kind_under_the_name_is_left_alone(drawn, tmp_path):
    run = tmp_path / "checkpoints/mnist-z2-elbo-n2000-random-e1"
    shutil.copytree(tmp_path / "checkpoints/mnist-z3-elbo-n2000-random-e1", run, dirs_exist_ok=True)
    before = (run / "model.safetensors").read_bytes()
    assert json.loads(drawn("report", "--quick", "--only", "3", "--json").out)["drawn"] == []  # the same weights, trained again
    assert (run / "model.safetensors").read_bytes() == before
    again = read_run(tmp_path / "checkpoints/mnist-z2-elbo-n2000-random-e1-2")
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

    def interrupted(figure, seen):
        measured.append(figure.number)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return Finding("so", "yes")

    monkeypatch.setattr("vaecli.report.build.find", interrupted)
    assert drawn("report", *REPORTED, "-q").code == 130
    assert measured == [3, 5]
    assert json.loads(drawn("report", *REPORTED, "--json").out)["drawn"] == [5, 8, 11]


def test_a_state_that_is_not_ours_is_drawn_anew(drawn, tmp_path):
    state = tmp_path / "report-quick/report.json"
    for damaged in (b"{", b"[]", state.read_bytes().replace(b'"verdict"', b'"other"')):
        state.write_bytes(damaged)
        assert json.loads(drawn("report", "--quick", "--only", "5", "--json").out)["drawn"] == [5]


def test_ctrl_c_within_a_drawing_is_one_line(drawn, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    shutil.rmtree(tmp_path / "report-quick")
    monkeypatch.setattr("vaecli.report.draw.plots.save_curves", interrupted)
    assert one_line(drawn("report", *REPORTED, "-q"), 130) == "vaecli: interrupted"


def test_without_fashion_mnist_the_others_are_drawn(vaecli, monkeypatch, tmp_path):
    for place in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(place, str(tmp_path / "empty"))
    monkeypatch.delenv("VAECLI_DATA_DIR", raising=False)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "empty")
    monkeypatch.setattr("torchvision.datasets.FashionMNIST.mirrors", ["http://127.0.0.1:9/"])  # the port "discard"
    outcome = vaecli("report", "--quick", "--only", "5,8", "-q")
    assert outcome.code == 1
    assert "a part of the report is missing: figures 8 are not drawn: fashion-mnist: found no whole copy" in outcome.err
    text = (tmp_path / "report-quick/index.html").read_text()
    assert "figures 8 are not drawn: fashion-mnist: found no whole copy" in text
    assert 'id="figure5"' in text
