"""Rubbish in what a report keeps of itself: it is read as far as it is valid, whatever is in it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import JSON, MANY, attempt, cases
from vaecli.report.page import CLASSES
from vaecli.report.state import State
from vaecli.report.verdicts import Finding, settled


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


WHOLE = {
    "figures": {
        "5": {
            "key": "k", "told": {"files": []}, "pictures": [{"path": "figure5/a.png", "width": 10, "height": 10, "what": ""}],
            "plots": [{"path": "figure5/a.csv", "kind": "curves", "sha256": "0"}],
            "text": "t", "seconds": 1.5,
            "finding": {
                "text": "t", "verdict": "yes", "ours": "o", "reading": "r", "why": "w",
                "decisions": [{"what": "a", "why": "b", "p": 0.01, "holds": True, "claimed": True, "verdict": "yes"}],
                "outcomes": [{"verdict": "not decided", "reading": ""}, {"verdict": "yes", "reading": "r"}],
            },
            "device": "auto",
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
            assert picture.keys() == {"path", "width", "height", "what"}
            assert (path.parent / picture["path"]).is_file() is False
            assert picture["width"] < 1e9 > picture["height"]
        finding = figure["finding"]
        verdict = CLASSES.get(finding["verdict"], "part"), finding["verdict"]
        (settled_finding,), _ = settled([Finding.from_json(finding)])
        " ".join((settled_finding.why, settled_finding.verdict, settled_finding.reading)).encode()
        " ".join((finding["text"], finding["reading"], figure["text"], figure["device"], *verdict)).encode()
    read.keep()
    return read.figures


def test_a_whole_state_is_read(folder):
    (folder / "report.json").write_text(json.dumps(WHOLE))
    assert state(folder / "report.json") == WHOLE["figures"]


@cases(250)
@given(
    place=st.sampled_from(list(places(WHOLE))),
    value=JSON | st.sampled_from([int(MANY), float("nan"), "\ud800", "../x", "/x", "\0", "a" * 300]),
)
def test_states_with_any_value(folder, place, value):
    changed = json.loads(json.dumps(WHOLE))
    inner = changed
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    attempt(state, folder / "report.json", json.dumps(changed).encode(), ())


@pytest.mark.parametrize(
    "text", ["", "[" * 100_000, "1" * 5000, '{"figures": {}, "page": "\ud800"}', "[[]," * 1_000_000], ids=range(5)
)
def test_states_that_are_none(folder, text):
    attempt(state, folder / "report.json", text.encode("utf-8", "surrogatepass"), ())


FORMS = [
    ("figures", []), ("figures", {"5": None}), ("page", None), ("figures.5.key", 1), ("figures.5.pictures", {}),
    ("figures.5.pictures", [{"path": "\0" * 300, "width": "1", "height": 1, "what": ""}]), ("figures.5.text", None),
    ("figures.5.seconds", int(MANY)), ("figures.5.finding", "yes"), ("figures.5.finding.verdict", []),
    ("figures.5.finding.text", "\ud800"), ("figures.5.finding.outcomes", []), ("figures.5.finding.decisions", [{}]),
    ("figures.5.finding.decisions", []), ("figures.5.finding.why", None), ("figures.5.finding.more", 1),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value"), FORMS, ids=ascii)
def test_a_state_of_wrong_types_is_as_none(folder, place, value):
    changed = json.loads(json.dumps(WHOLE))
    inner = changed
    *steps, last = place.split(".")
    for step in steps:
        inner = inner[step]
    inner[last] = value
    (folder / "report.json").write_text(json.dumps(changed))
    assert State.read(folder / "report.json").figures == {}
