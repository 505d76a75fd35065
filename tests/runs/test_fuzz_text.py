"""Rubbish in a run's files of text: its log and its settings."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import JSON, MANY, attempt, cases
from vaecli.config import Config
from vaecli.errors import CheckpointError, UsageError
from vaecli.runs.find import LOSS, read_config, read_log

NUMBERS = [
    "1",
    "2",
    "0",
    "-1",
    "1.5",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1e300",
    MANY,
    "1" * 5000,
    "",
    " 1",
    "x",
    "1_0",
    "\u0661",
    '"1',
    "1,2",
]
ROW = ["1", "193.0", "-193.0", "-188.0", "4.9", "-177.1", "4.7", "12671"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def log(path):
    rows = read_log(path.parent)
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(abs(value) < 1e16 for row in rows for value in row.values())


@cases(300)
@given(column=st.integers(0, 7), value=st.sampled_from(NUMBERS) | st.text(max_size=5), second=st.booleans())
def test_rows_of_a_log(folder, column, value, second):
    rows = [ROW, ["2", *ROW[1:]]]
    rows[second] = [*rows[second][:column], value, *rows[second][column + 1 :]]
    text = "\n".join(
        map(",".join, [["epoch", "loss", "elbo", "reconstruction", "kl", "test_elbo", "seconds", "images_per_second"], *rows, []])
    )
    attempt(log, folder / LOSS, text.encode("utf-8", "surrogatepass"), CheckpointError)


@cases(200)
@given(data=st.binary(max_size=300))
def test_logs_of_random_bytes(folder, data):
    attempt(log, folder / LOSS, data, CheckpointError)


@pytest.mark.parametrize("setting", ["dataset", "objective", "k", "hidden"])
def test_the_error_on_a_setting_with_a_line_break_has_one_line(folder, setting):
    config = json.dumps(Config().to_json() | {setting: "a\nb\x1b[2J"})
    attempt(read_config, folder / "config.json", config.encode(), UsageError)


@cases(200)
@given(data=st.binary(max_size=100) | JSON.map(lambda value: json.dumps(value).encode()))
def test_config_files(folder, data):
    attempt(read_config, folder / "config.json", data, UsageError)


@cases(200)
@given(setting=st.sampled_from(list(Config().to_json())), value=JSON)
def test_config_files_with_any_value(folder, setting, value):
    attempt(read_config, folder / "config.json", json.dumps(Config().to_json() | {setting: value}).encode(), UsageError)


@pytest.mark.parametrize("number", [int(MANY), -int(MANY), [int(MANY)], float("nan"), float("inf"), "\ud800"])
@pytest.mark.parametrize("setting", list(Config().to_json()))
def test_settings_of_400_digits(folder, setting, number):
    with pytest.raises(UsageError):
        Config.from_json(Config().to_json() | {setting: number})
    attempt(read_config, folder / "config.json", json.dumps(Config().to_json() | {setting: number}).encode(), UsageError)
