"""Weights & Biases and MLflow, offline: what they keep, read back, where they are installed (vaecli[wandb,mlflow])."""

import os
import struct
import sys
from dataclasses import replace
from importlib import import_module

import pytest

from tests.loggers.test_tensorboard import CURVES, SMALL, stop_after
from vaecli.errors import VaecliError
from vaecli.loggers.base import Points, default_of
from vaecli.runs.find import MODEL
from vaecli.runs.train import train
from vaecli.training import loop

pytestmark = pytest.mark.filterwarnings("default")  # these packages warn of their own insides


def records(file):
    """The records of a file of wandb: in blocks of 32 KiB, each part with a checksum, its size, and whether more follow."""
    messages = import_module("wandb.proto.wandb_internal_pb2")
    data, place, whole = file.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, size, kind = struct.unpack("<IHB", data[place : place + 7])
        whole += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):
            record, whole = messages.Record.FromString(whole), b""
            yield record


def of_wandb(folder):
    """The id, the settings and the points of each curve of a run, over all files of it."""
    ids, settings, curves = set(), {}, {}
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for record in records(file):
            if record.WhichOneof("record_type") == "run":
                ids.add(record.run.run_id)
                settings |= {item.key: item.value_json for item in record.run.config.update}
            if record.WhichOneof("record_type") == "history":
                values = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
                for name, value in values.items():
                    if name in ALL:
                        curves.setdefault(name, []).append((int(values["_step"]), float(value)))
    return ids, settings, curves


def of_mlflow(folder):
    """Likewise."""
    client = import_module("mlflow").MlflowClient()
    experiment = client.get_experiment_by_name("vaecli").experiment_id
    runs = [run for run in client.search_runs([experiment]) if run.info.run_name == folder.name]
    (run,) = runs
    curves = {name: [(it.step, it.value) for it in client.get_metric_history(run.info.run_id, name)] for name in run.data.metrics}
    return {run.info.run_id}, run.data.params, curves


ALL = CURVES | {f"test/{name}" for name in ("elbo", "reconstruction", "kl")}
READ = {"wandb": of_wandb, "mlflow": of_mlflow}


@pytest.fixture(params=READ)
def logger(request, monkeypatch, tmp_path):
    for variable in ("WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    pytest.importorskip(request.param)
    monkeypatch.chdir(tmp_path)
    return request.param


@pytest.fixture
def fit(tmp_path, small_mnist):
    def run(name="run", config=SMALL, **options):
        return train(config, tmp_path / name, data_dir=small_mnist, **options)

    return run


def test_curves_bounds_and_settings_are_those_of_the_run_and_no_bits_change(fit, logger):
    before = dict(os.environ)
    run = fit(log=logger)
    assert dict(os.environ) == before
    ids, settings, curves = READ[logger](run.path)
    assert len(ids) == 1
    assert set(run.config.to_json()) <= set(settings)
    assert set(curves) == ALL
    for name, column in (("train/loss", "loss"), ("test/elbo", "test_elbo")):
        assert [step for step, _ in curves[name]] == [12, 24, 36]
        assert [value for _, value in curves[name]] == pytest.approx([row[column] for row in run.log], rel=1e-6)
    assert list(run.path.parent.rglob("*reconstructions*.png"))
    assert (run.path / MODEL).read_bytes() == (fit("plain").path / MODEL).read_bytes()


def test_a_resumed_run_goes_on_with_its_curves_and_repeats_no_step(fit, logger, monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "CHECK_EVERY", 5)
    with pytest.raises(KeyboardInterrupt):
        fit(log=logger, on_batch=stop_after(22))
    assert [step for step, _ in READ[logger](tmp_path / "run")[2]["batches/loss"]] == [5, 10, 12]
    run = fit(log=logger, resume=True)
    ids, _, curves = READ[logger](run.path)
    assert len(ids) == 1
    assert [step for step, _ in curves["batches/loss"]] == [5, 10, 12, 17, 22, 24, 29, 34, 36]
    assert [step for step, _ in curves["test/elbo"]] == [12, 24, 36]


def test_a_run_that_replaces_another_begins_a_new_log(fit, logger):
    fit(log=logger, config=replace(SMALL, epochs=1))
    run = fit(log=logger, config=replace(SMALL, epochs=1), overwrite=True)
    if logger == "wandb":
        assert len(READ[logger](run.path)[0]) == 2
    else:
        with pytest.raises(ValueError, match="too many values"):
            READ[logger](run.path)


@pytest.mark.parametrize("name", READ)
def test_the_package_is_asked_for_where_it_is_missing(fit, monkeypatch, tmp_path, name):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"vaecli.loggers.{name}", raising=False)
    with pytest.raises(VaecliError, match=rf"found no {name}, which log={name} needs; .* pip install 'vaecli\[{name}\]'"):
        fit(log=name)
    assert not (tmp_path / "run").exists()


def test_points_wait_for_the_measurement_that_they_lead_to():
    points = Points()
    assert points.saved({"batches/loss": 3.0}, 5) == []
    assert points.saved({"epoch": 1}, 7) == [({"batches/loss": 3.0}, 5), ({"epoch": 1}, 7)]
    assert points.saved({"batches/loss": 2.0}, 9) == []


def test_a_variable_that_a_person_set_stays(monkeypatch):
    monkeypatch.delenv("VAECLI_TRIED", raising=False)
    with default_of("VAECLI_TRIED", "false"):
        assert os.environ["VAECLI_TRIED"] == "false"
    assert "VAECLI_TRIED" not in os.environ
    monkeypatch.setenv("VAECLI_TRIED", "true")
    with default_of("VAECLI_TRIED", "false"):
        assert os.environ["VAECLI_TRIED"] == "true"
    assert os.environ["VAECLI_TRIED"] == "true"
