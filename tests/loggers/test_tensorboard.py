"""What a run's log says, read by TensorBoard's own reader; what is the same for every logger is tried here."""

import io
import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

import vaecli as library
from tests.helpers import ROOT, one_line, stopped_when_saved_within_an_epoch
from tests.parallel.torchrun import SMALL as PROCESSES
from tests.parallel.torchrun import ran
from tests.test_extending import FILES
from vaecli import registry
from vaecli.command_line import torchrun_line
from vaecli.config import Config
from vaecli.errors import UsageError, VaecliError
from vaecli.runs.find import MODEL
from vaecli.runs.logs import PICTURED
from vaecli.runs.train import train
from vaecli.training import loop

SMALL = Config(hidden=(10,), batch_size=50, epochs=3, precision="fp32")
"""12 steps an epoch of 600 images."""

CURVES = {"batches/loss", "epoch", "images_per_second", "train/lr"} | {
    f"train/{name}" for name in ("loss", "elbo", "reconstruction", "kl")
}


def read(folder):
    """The events of a run, as TensorBoard shows them."""
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    found.Reload()
    return found


def curve(folder, name):
    return [(event.step, event.value) for event in read(folder).Scalars(name)]


@pytest.fixture
def fit(tmp_path, small_mnist):
    def run(name="run", config=SMALL, **options):
        return train(config, tmp_path / name, data_dir=small_mnist, **options)

    return run


def test_curves_and_bounds_are_those_of_the_run(fit):
    run = fit(log="tensorboard")
    events = read(run.path)
    assert set(events.Tags()["scalars"]) == CURVES | {f"test/{name}" for name in ("elbo", "reconstruction", "kl")}
    for curve_name, column in (("train/loss", "loss"), ("train/kl", "kl"), ("test/elbo", "test_elbo"), ("epoch", "epoch")):
        points = [(event.step, event.value) for event in events.Scalars(curve_name)]
        assert [step for step, _ in points] == [12, 24, 36]
        assert [value for _, value in points] == pytest.approx([row[column] for row in run.log], rel=1e-6)
    assert events.Scalars("test/kl")[-1].value == pytest.approx(run.results["test_kl"], rel=1e-6)
    assert events.Scalars("test/reconstruction")[-1].value == pytest.approx(run.results["test_reconstruction"], rel=1e-6)
    assert [event.value for event in events.Scalars("train/lr")] == pytest.approx(3 * [1e-3])


def test_a_run_with_validation_logs_the_bound_of_its_validation_images(fit):
    run = fit(log="tensorboard", config=replace(SMALL, validation=100, epochs=1))
    assert curve(run.path, "validation/elbo")[0][1] == pytest.approx(run.results["validation_elbo"], rel=1e-6)
    assert "test/elbo" not in read(run.path).Tags()["scalars"]


def test_losses_within_an_epoch_stand_at_their_steps(fit, monkeypatch):
    monkeypatch.setattr(loop, "CHECK_EVERY", 5)
    calls = []
    run = fit(log="tensorboard", on_batch=lambda step, steps, loss: calls.append((step, pytest.approx(loss, rel=1e-6))))
    assert curve(run.path, "batches/loss") == calls
    assert [step for step, _ in calls] == [5, 10, 12, 17, 22, 24, 29, 34, 36]


def test_the_settings_are_hyperparameters(fit):
    run = fit(log="tensorboard")
    (data,) = read(run.path).PluginTagToContent("hparams").keys() & {"_hparams_/session_start_info"}
    content = HParamsPluginData.FromString(read(run.path).PluginTagToContent("hparams")[data])
    logged = content.session_start_info.hparams
    assert set(logged) == set(run.config.to_json())
    assert (logged["lr"].number_value, logged["objective"].string_value) == (1e-3, "elbo")
    assert logged["hidden"].string_value == "[10]"


@pytest.mark.parametrize("labels", ["none", "full"])
def test_reconstructions_stand_below_their_images_after_1_2_4_measurements_and_the_last(fit, labels, small_mnist):
    run = fit(log="tensorboard", config=replace(SMALL, epochs=6, labels=labels))
    pictures = read(run.path).Images("test/reconstructions")
    assert [event.step for event in pictures] == [12, 24, 48, 72]
    images = run.images("test")[:PICTURED]
    x = run.model.observe(images.pixels)
    with torch.inference_mode():
        means = run.model(x, run.model.condition(images.labels))
    picture = Image.open(io.BytesIO(pictures[-1].encoded_image_string)).convert("L")
    shown = torch.tensor(list(picture.get_flattened_data())).view(picture.height, picture.width)
    for number in range(PICTURED):
        for row, values in ((0, x), (1, means)):
            part = shown[3 + 31 * row : 31 + 31 * row, 3 + 31 * number : 31 + 31 * number]
            assert (part - 255 * values[number].view(28, 28)).abs().max() <= 0.51


def test_a_log_changes_no_bits(fit):
    logged, plain = fit("logged", log="tensorboard"), fit("plain")
    assert (logged.path / MODEL).read_bytes() == (plain.path / MODEL).read_bytes()
    assert "tensorboard" not in (logged.path / "config.json").read_text()


def stop_after(step):
    def on_batch(done, steps, loss):
        if done == step:
            raise KeyboardInterrupt

    return on_batch


def test_a_resumed_run_goes_on_with_its_curves_and_repeats_no_step(fit, monkeypatch, tmp_path):
    """It stops within the second epoch, of which nothing was saved, and of which a loss is logged already."""
    monkeypatch.setattr(loop, "CHECK_EVERY", 5)
    with pytest.raises(KeyboardInterrupt):
        fit(log="tensorboard", on_batch=stop_after(22))
    assert [step for step, _ in curve(tmp_path / "run", "batches/loss")] == [5, 10, 12, 17]
    whole = fit("whole", log="tensorboard")
    run = fit(log="tensorboard", resume=True)
    assert len(list(run.path.glob("events.out.tfevents.*"))) == 2
    for name in read(whole.path).Tags()["scalars"]:
        if name != "images_per_second":
            assert curve(run.path, name) == curve(whole.path, name), name
    steps = [[event.step for event in read(folder).Images("test/reconstructions")] for folder in (run.path, whole.path)]
    assert steps[0] == steps[1] == [12, 24, 36]


def test_a_run_saved_within_an_epoch_goes_on_there(fit, monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "CHECK_EVERY", 5)
    with stopped_when_saved_within_an_epoch(monkeypatch), pytest.raises(KeyboardInterrupt):
        fit(log="tensorboard", save_every=7)
    assert [step for step, _ in curve(tmp_path / "run", "batches/loss")] == [5]
    whole, run = fit("whole", log="tensorboard"), fit(log="tensorboard", resume=True)
    assert curve(run.path, "batches/loss") == curve(whole.path, "batches/loss")


def test_a_log_may_begin_later_and_end_sooner(fit):
    fit(config=replace(SMALL, epochs=1))
    run = fit(log="tensorboard", config=replace(SMALL, epochs=2), resume=True)
    assert [step for step, _ in curve(run.path, "test/elbo")] == [24]
    run = fit(resume=True)
    assert [step for step, _ in curve(run.path, "test/elbo")] == [24]


def test_a_run_that_replaces_another_has_its_own_curves_alone(fit):
    fit(log="tensorboard")
    run = fit(log="tensorboard", config=replace(SMALL, epochs=1), overwrite=True)
    assert [step for step, _ in curve(run.path, "test/elbo")] == [12]


def test_a_command_says_where_its_log_is_and_how_to_go_on(vaecli, small_mnist, monkeypatch):
    short = ["--data-dir", small_mnist, "--epochs", 1, "--hidden", 10, "--name", "run", "--log", "tensorboard"]
    outcome = vaecli("train", *short)
    assert outcome.code == 0, outcome.err
    assert outcome.err.splitlines()[1] == "Logging to checkpoints/run, for TensorBoard"
    assert len(curve("checkpoints/run", "test/elbo")) == 1
    with stopped_when_saved_within_an_epoch(monkeypatch):
        stopped = vaecli("train", *short, "--overwrite", "--save-every", 2)
    assert stopped.err.splitlines()[-1].endswith("--resume --data-dir " + f"{small_mnist} --save-every 2 --log tensorboard")


def test_words_that_name_no_logger(vaecli, fit):
    line = one_line(vaecli("train", "--log", "tensorbord"), 2)
    assert line == "vaecli: --log tensorbord: expected one of tensorboard, wandb, mlflow; did you mean tensorboard?"
    refused = one_line(vaecli("train", "--dry-run", "--log", "tensorboard"), 2)
    assert refused == "vaecli: --log with --dry-run: it has no effect there; leave it out"
    with pytest.raises(UsageError, match="log=5: expected the name of a logger"):
        fit(log=5)


def test_its_package_is_asked_for_where_it_is_missing(fit, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for module in [name for name in sys.modules if name.startswith(("torch.utils.tensorboard", "vaecli.loggers.tensorboard"))]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(VaecliError) as error:
        fit(log="tensorboard")
    needs = "found no tensorboard, which log=tensorboard needs; install it with: pip install 'vaecli[tensorboard]'"
    assert str(error.value) == needs
    assert not (tmp_path / "run").exists()


class Lines:
    """A logger of a person's own, that keeps what it is told."""

    told = "Kept in memory"
    opened = []

    def __init__(self, folder, settings, step):
        self.folder, self.settings, self.step, self.said, self.closed = folder, settings, step, [], False
        Lines.opened.append(self)

    def numbers(self, values, step):
        self.said.append((step, sorted(values)))

    def picture(self, name, pixels, step):
        self.said.append((step, name, pixels.dtype, len(pixels)))

    def close(self):
        self.closed = True


@pytest.fixture
def lines(monkeypatch):
    monkeypatch.setattr(Lines, "opened", [])
    return Lines


def test_a_class_of_ones_own_is_a_logger(fit, tmp_path, lines):
    run = fit(log=lines, config=replace(SMALL, epochs=1))
    (log,) = lines.opened
    assert (log.folder, log.settings, log.step, log.closed) == (tmp_path / "run", run.config.to_json(), 0, True)
    assert log.said[0] == (12, ["batches/loss"])
    assert log.said[2] == (12, "test/reconstructions", torch.uint8, 3)
    assert "Kept in memory" in run.notes


def test_it_is_ended_where_training_fails_too(fit, lines):
    with pytest.raises(VaecliError):
        fit(log=lines, config=replace(SMALL, lr=1e6))
    assert [log.closed for log in lines.opened] == [True]


def plain(help_text):
    """The words of a help page, without the lines around them."""
    return " ".join(help_text.replace("│", "").split())


@pytest.mark.usefixtures("own_members")
def test_a_plugin_may_bring_one(vaecli, tmp_path, small_mnist):
    plugin = tmp_path / "lines.py"
    plugin.write_text(FILES["lines"])
    short = ["--data-dir", small_mnist, "--epochs", 1, "--hidden", 10, "--name", "run"]
    outcome = vaecli("train", "--plugin", plugin, "--log", "lines", *short)
    assert outcome.code == 0, outcome.err
    file = tmp_path / "checkpoints" / "run" / "curves.jsonl"
    assert "Curves go to checkpoints/run/curves.jsonl" in outcome.err.splitlines()
    first, second = map(json.loads, file.read_text().splitlines())
    assert (first.keys(), second["step"], second["epoch"]) == ({"step", "batches/loss"}, 3, 1)
    file.write_text(file.read_text() + '{"step": 4, "batches/loss": 1.0}\n')
    goes_on = vaecli("train", "--plugin", plugin, "--log", "lines", "--name", "run", "--resume", "--epochs", 2)
    assert goes_on.code == 0, goes_on.err
    assert [json.loads(line)["step"] for line in file.read_text().splitlines()] == [3, 3, 6, 6]
    words = plain(vaecli("train", "--plugin", plugin, "--help-all").out).split()
    assert "lines lines of JSON in the run's folder" in " ".join(words)
    with pytest.raises(UsageError, match="options of a logger"):
        library.register("log", "other", "one with options", options={registry.K: 1})


@pytest.mark.system
def test_of_several_processes_the_first_logs(tmp_path, small_mnist):
    line = torchrun_line(f"vaecli train --data-dir {small_mnist} --epochs 2 --name run --log tensorboard", 2).split()
    outcome = ran(tmp_path, *line[1:], *PROCESSES)
    assert outcome.returncode == 0, outcome.stderr
    folder = tmp_path / "checkpoints" / "run"
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    assert [step for step, _ in curve(folder, "test/elbo")] == [30, 60]


@pytest.mark.system
def test_help_names_the_loggers_without_their_packages():
    lines = """
import sys
from vaecli.cli.app import main
main(['train', '--help-all'])
print({'torch', 'tensorboard'} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", lines], cwd=ROOT, capture_output=True, text=True, check=True)
    words = " ".join(plain(done.stdout).split())
    assert all(f" {name} {member.summary}" in words for name, member in registry.LOGGERS.items())
    assert done.stdout.endswith("set()\n")
