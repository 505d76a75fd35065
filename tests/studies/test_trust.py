"""What lies in a study's storage is read as what anybody may have written there; what is not vaecli's is left alone."""

import json
import shutil
import sqlite3
from pathlib import Path

import optuna
import pytest

from tests.helpers import one_line
from vaecli.studies import storage

LINE = ["search", "--latent-dim", "2,3", "--lr", "0.001:0.01", "--epochs", "1", "--hidden", "4", "--name", "mine", "-q"]
LINE += ["--trials", "2", "--limit", "60"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, small_mnist):
    """A folder of runs in which a search is done."""
    from vaecli.cli.app import main

    folder = tmp_path_factory.mktemp("studies")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*LINE, "--data-dir", str(small_mnist)]) == 0
    return folder


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """Looks again sooner, and takes a worker for lost after 3 seconds, not 10."""
    monkeypatch.setattr("vaecli.studies.trainer.POLL", 0.02)
    monkeypatch.setattr("vaecli.studies.trial_queue._PAUSE", 0.02)
    monkeypatch.setitem(storage.HEARTBEAT, "file", 1)
    monkeypatch.setitem(storage.GRACE, "file", 3)


@pytest.fixture
def again(finished, vaecli, tmp_path, small_mnist):
    """Types the line again, after something was done to the study's file."""

    def run(change):
        shutil.copytree(finished / "checkpoints", tmp_path / "checkpoints")
        file = tmp_path / "checkpoints" / "mine" / "study.db"
        change(file)
        return vaecli(*LINE, "--data-dir", small_mnist)

    return run


def sql(*statements):
    def change(file):
        with sqlite3.connect(file) as connection:
            for statement in statements:
                connection.execute(*((statement,) if isinstance(statement, str) else statement))
        connection.close()

    return change


VALUES = [None, True, -1, 10**30, 1e308, "x", "", [], [1], {}, {"group": 0}, {"images": 1, "bounds": {"elbo": 3}}]
TEXTS = ["", "{", "NaN", "\x00", *map(json.dumps, VALUES)]


def attributes():
    for text in TEXTS:
        for table, key in [("trial", "group"), ("trial", "seed"), ("trial", "run"), ("study", "vaecli"), ("study", "test%")]:
            yield f"{table} {key} {text}", sql((f"UPDATE {table}_user_attributes SET value_json=? WHERE key LIKE ?", (text, key)))
    for name in ("host", "path", "seconds", "error", "other"):
        for value in (None, -1, "x", "\x00", 1e999, [], {"lr": 0.005}):
            new = "1e999" if value == 1e999 else json.dumps(value)
            bad = ("{", f'{{"{name}": {new}, ', "run") if name == "other" else (f'"{name}": ', f'"{name}": {new}, "other": ', "run")
            yield (
                f"{name} beside {new}",
                sql(("UPDATE trial_user_attributes SET value_json=replace(value_json, ?, ?) WHERE key=?", bad)),
            )
            if new != "1e999":
                set_value = f"UPDATE trial_user_attributes SET value_json=json_set(value_json, '$.{name}', json(?)) WHERE key='run'"
                yield f"{name} {new}", sql((set_value, (new,)))


def a_byte_off(file):
    data = file.read_bytes()
    file.write_bytes(data[:40] + b"\xff" + data[41:])


OTHER = json.dumps({"name": "IntDistribution", "attributes": {"low": 0, "high": 1, "log": False, "step": 1}})
OTHERS = {
    "params": sql("UPDATE trial_params SET param_value=7.5"),
    "params that are no numbers": sql("UPDATE trial_params SET param_value='x'"),
    "no params": sql("DELETE FROM trial_params"),
    "names of params": sql("UPDATE trial_params SET param_name='x' || param_id"),
    "distributions": sql("UPDATE trial_params SET distribution_json='{}'"),
    "distributions that are no JSON": sql("UPDATE trial_params SET distribution_json='x'"),
    "distributions of others": sql(("UPDATE trial_params SET distribution_json=?", (OTHER,))),
    "values": sql("UPDATE trial_values SET value=9e999"),
    "values that are no numbers": sql("UPDATE trial_values SET value='x'"),
    "types of values": sql("UPDATE trial_values SET value_type='x'"),
    "no values": sql("DELETE FROM trial_values"),
    "states": sql("UPDATE trials SET state='x'"),
    "waiting": sql("UPDATE trials SET state='WAITING'"),
    "running": sql("UPDATE trials SET state='RUNNING'"),
    "numbers": sql("UPDATE trials SET number='x'"),
    "no number": sql("UPDATE trials SET number=NULL"),
    "times": sql("UPDATE trials SET datetime_start='x'"),
    "intermediate values": sql("UPDATE trial_intermediate_values SET intermediate_value='x'"),
    "directions": sql("UPDATE study_directions SET direction='MINIMIZE'"),
    "directions of nothing": sql("UPDATE study_directions SET direction='x'"),
    "no directions": sql("DELETE FROM study_directions"),
    "no points": sql("DELETE FROM trial_user_attributes WHERE key IN ('group', 'seed')"),
    "lost": sql("UPDATE trials SET state='FAIL'"),
    "no identity": sql("DELETE FROM study_user_attributes"),
    "schema": sql("UPDATE version_info SET schema_version=99"),
    "version": sql("UPDATE alembic_version SET version_num='v99'"),
    "no version": sql("DELETE FROM alembic_version"),
    "a text": lambda file: file.write_text("no database\n" * 100),
    "empty": lambda file: file.write_bytes(b""),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "a byte off": a_byte_off,
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    **{f"no table {name}": sql(f"DROP TABLE {name}") for name in (
        "trials", "trial_params", "trial_values", "trial_user_attributes", "study_user_attributes", "studies", "study_directions",
        "version_info", "alembic_version", "trial_heartbeats", "trial_intermediate_values", "trial_system_attributes",
    )},
}  # fmt: skip
CHANGES = [
    *(pytest.param(change, id=ascii(name), marks=() if number % 4 == 0 else pytest.mark.slow)  # not a divisor of 5 keys
      for number, (name, change) in enumerate(attributes())),
    *(pytest.param(change, id=name) for name, change in OTHERS.items()),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_damage_is_one_line(again, change):
    outcome = again(change)
    assert outcome.code in (0, 1, 2)
    if outcome.code:
        assert len(one_line(outcome, outcome.code)) < 600
    else:
        assert "study" not in outcome.err


FOREIGN = {
    "of another program": lambda study: study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2),
    "empty": lambda study: None,
    "with attributes": lambda study: study.set_user_attr("vaecli", "mine"),
}


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("fill", FOREIGN.values(), ids=FOREIGN)
def test_a_study_of_others_is_left_alone(vaecli, tmp_path, small_mnist, fill, direction):
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    file = tmp_path / "theirs.db"
    study = optuna.create_study(storage=f"sqlite:///{file}", study_name="mine", direction=direction)
    fill(study)
    before = list(sqlite3.connect(file).iterdump())
    outcome = vaecli(*LINE, "--data-dir", small_mnist, "--storage", f"sqlite:///{file}")
    assert "has a study of that name which is not of vaecli; choose another with --name NAME" in one_line(outcome, 2)
    assert list(sqlite3.connect(file).iterdump()) == before
    assert not (tmp_path / "checkpoints").exists()


def test_few_images_hold_out_a_sixth_and_the_line_says_so(vaecli, small_mnist):
    outcome = vaecli(*[word for word in LINE if word != "-q"], "--data-dir", small_mnist)
    assert outcome.code == 0, outcome.err
    assert "the last 100 training images" in outcome.err


def test_a_search_that_cannot_begin_leaves_nothing(vaecli, tmp_path, small_mnist):
    for more in (["--validation", "600"], ["--device", "cuda"]):
        one_line(vaecli(*LINE, "--data-dir", small_mnist, *more), 2)
        assert not list(tmp_path.iterdir())


def test_one_test_image_has_no_error(finished, vaecli, monkeypatch, small_mnist, tmp_path):
    from vaecli.runs.run import Run

    images = Run.images
    monkeypatch.setattr(Run, "images", lambda run, split, *more: images(run, split, *more)[: 1 if split == "test" else None])
    words = [word for word in LINE if word != "-q"]
    outcome = vaecli(*words, "--data-dir", small_mnist)
    assert outcome.code == 0, outcome.err
    last = next(line for line in outcome.err.splitlines() if "measured once" in line)
    assert "one test image, of which no error is known" in last and "±" not in last
    told = json.loads(vaecli(*words, "--data-dir", small_mnist, "--json").out)
    assert told["test"]["bounds"]["elbo"]["standard_error"] is None
    run = Path("checkpoints") / told["runs"][0]["name"]
    compared = vaecli("compare", run, "--limit", "1", "--table-only", "--k", "0", "--data-dir", small_mnist)
    assert "of which no standard error is known" in compared.err and "±" not in compared.out
