"""Rubbish in the files of text: a run's log and what a report kept."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_fuzz import JSON, attempt, cases
from vaecli.config import Config
from vaecli.errors import CheckpointError, UsageError
from vaecli.report.page import VERDICTS, Picture
from vaecli.report.state import State
from vaecli.runs.find import LOSS, read_config, read_log

MANY = "1" * 400
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
        map(",".join, [["epoch", "loss", "elbo", "reconstruction", "kl", "test_elbo", "seconds", "images_per_second"], *rows])
    )
    attempt(log, folder / LOSS, text.encode("utf-8", "surrogatepass"), CheckpointError)


@cases(200)
@given(data=st.binary(max_size=300))
def test_logs_of_random_bytes(folder, data):
    attempt(log, folder / LOSS, data, CheckpointError)


@pytest.mark.parametrize("number", [int(MANY), -int(MANY), [int(MANY)], float("nan"), float("inf"), "\ud800"])
@pytest.mark.parametrize("setting", list(Config().to_json()))
def test_settings_of_400_digits(folder, setting, number):
    with pytest.raises(UsageError):
        Config.from_json(Config().to_json() | {setting: number})
    attempt(read_config, folder / "config.json", json.dumps(Config().to_json() | {setting: number}).encode(), UsageError)


WHOLE = {
    "figures": {
        "5": {
            "key": "k", "told": {"files": []}, "pictures": [{"path": "figure5/a.png", "width": 10, "height": 10, "what": ""}],
            "text": "t", "seconds": 1.5, "finding": {"text": "t", "holds": True, "words": "w", "reading": "r"}, "device": "auto",
        }
    },
    "page": "p",
}  # fmt: skip


def places(value, path=()):
    """The paths to all values within a JSON value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(inner, (*path, key))


def state(path):
    """Reads a state and does with it what a report does."""
    read = State.read(path)
    read.page.encode()
    for figure in read.figures.values():
        assert 0 <= abs(sum([figure["seconds"]])) < 1e9
        for picture in figure["pictures"]:
            made = Picture(**picture)
            assert (path.parent / made.path).is_file() is False
            assert made.width < 1e9 > made.height
        finding = figure["finding"]
        verdict = VERDICTS.get(finding["holds"], ("part", finding["words"]))
        " ".join((finding["text"], finding["reading"], figure["text"], figure["device"], *verdict)).encode()
    read.keep()
    return read.figures


def test_a_whole_state_is_read(folder):
    (folder / "report.json").write_text(json.dumps(WHOLE))
    assert state(folder / "report.json") == WHOLE["figures"]


@cases(600)
@given(
    where=st.sampled_from(list(places(WHOLE))),
    value=JSON | st.sampled_from([int(MANY), float("nan"), "\ud800", "../x", "/x", "\0", "a" * 300]),
)
def test_states_with_any_value(folder, where, value):
    changed = json.loads(json.dumps(WHOLE))
    inner = changed
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value
    attempt(state, folder / "report.json", json.dumps(changed).encode(), ())


@pytest.mark.parametrize(
    "text", ["", "[" * 100_000, "1" * 5000, '{"figures": {}, "page": "\ud800"}', "[[]," * 1_000_000], ids=range(5)
)
def test_states_that_are_none(folder, text):
    attempt(state, folder / "report.json", text.encode("utf-8", "surrogatepass"), ())
