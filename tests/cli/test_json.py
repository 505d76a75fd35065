"""docs/json.md is what the commands print with --json: every field of the one in the other, with its type."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import DATA, ROOT, stopped_when_saved_within_an_epoch
from vaecli import __version__
from vaecli.cli import console

PAGE = (ROOT / "docs" / "json.md").read_text()
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
SHARED = "Every command"

TYPES = {
    "text": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "whole number": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "true or false": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "list": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "any": lambda value: True,
}


def fields(title):
    """The documented fields of a section: by path, the types allowed and whether the field may be missing."""
    rows = re.findall(r"^\| `([^`]*)` \|([^|]*)\|([^|]*)\|", SECTIONS[title], re.M)
    return {path: (types.strip().split(", "), bool(when.strip())) for path, types, when in rows}


def known(title):
    return fields(SHARED) | fields(title)


def values_in(value, path, documented):
    """Every path in a value, with what stands there; keys that are no fixed names are ``*``."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            inside = f"{path}.{name}" if path else name
            yield from values_in(inner, f"{path}.*" if f"{path}.*" in documented else inside, documented)
    elif isinstance(value, list):
        for inner in value:
            if f"{path}[]" in documented or isinstance(inner, dict | list):
                yield from values_in(inner, f"{path}[]", documented)


def check(title, printed):
    """The paths in what a command printed, each of which is documented, has its type, and is there if it has to be."""
    documented = known(title)
    value = json.loads(printed, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    places = list(values_in(value, "", documented))
    for path, item in places:
        if path.endswith("[]") and path not in documented:
            continue
        assert path in documented, f"{path} is not in docs/json.md, {title}"
        assert any(TYPES[kind](item) for kind in documented[path][0]), f"{path} is {item!r}, not {documented[path][0]}"
    there = {path for path, _ in places}
    for path, (_, optional) in documented.items():
        parent = path.rpartition(".")[0] if "." in path else ""
        if not optional and not path.endswith(("[]", ".*")) and (not parent or parent in there):
            assert path in there, f"{path} is missing from what {title} printed"
    return there


PICTURES = DATA / "emoji/pictures"
SEARCHED = ["--limit", "50", "--epochs", "1", "--validation", "50", "--data-dir", "DATA"]
STOPS = ["--limit", "60", "--validation", "100", "--batch-size", "5", "--hidden", "30", "--lr", "0.05", "--patience", "1"]
COMMANDS = {
    "vaecli train": [
        ["train", "--limit", "50", "--epochs", "1", "--data-dir", "DATA"],
        ["train", "--limit", "50", "--epochs", "1", "--validation", "50", "--data-dir", "DATA"],
        ["train", "--limit", "50", "--epochs", "1", "--from", "small", "--data-dir", "DATA"],
        ["train", *STOPS, "--data-dir", "DATA"],
        ["train", "--dataset", "folder", "--data-dir", PICTURES, "--image-size", "8", "--hidden", "4", "--epochs", "1"],
        ["train", "--dataset", "array", "--data-dir", "array.npy", "--hidden", "4", "--epochs", "1"],
    ],
    "vaecli train --dry-run": [["train", "--dry-run", "--labels", "full"]],
    "vaecli search": [
        ["search", *SEARCHED, "--lr", "1e-3,1e5", "--seed", "0,1", "--by", "L_2"],
        ["search", *SEARCHED, "--lr", "1e-3:1e-2", "--trials", "2"],
        ["search", "--dataset", "folder", "--data-dir", PICTURES, "--image-size", "8", "--hidden", "4", "--epochs", "1",
         "--latent-dim", "1,2"],
        ["search", "--dataset", "array", "--data-dir", "array.npy", "--hidden", "4", "--epochs", "1", "--latent-dim", "1,2"],
    ],
    "vaecli search --dry-run": [
        ["search", *SEARCHED, "--lr", "1e-3,1e-2", "--dry-run"],
        ["search", *SEARCHED, "--lr", "1e-3:1e-2", "--dry-run"],
    ],
    "vaecli sample": [
        ["sample", "small"], ["sample", "small", "--between", "0", "1"], ["sample", "small", "--as", "png"],
        ["sample", "small", "--as", "npz"],
    ],
    "vaecli reconstruct": [["reconstruct", "small"], ["reconstruct", "small", "--as", "png"]],
    "vaecli encode": [["encode", "small"]],
    "vaecli score": [
        ["score", "small", "--limit", "3"], ["score", "small", "--limit", "2", "--by", "L_2", "--against", "fashion-mnist"],
    ],
    "vaecli explore": [["explore", "small"]],
    "vaecli export": [["export", "small", "--to", "torch"]],
    "vaecli latent-plot": [
        ["latent-plot", "small", "--csv"], ["latent-plot", "small", "--variance"], ["latent-plot", "small", "--manifold"],
        ["latent-plot", "small", "--thumbnails"],
    ],
    "vaecli inpaint": [
        ["inpaint", "small", "--n", "1"], ["inpaint", "three", "--n", "1", "--starts", "2", "--steps", "9", "--ais"],
    ],
    "vaecli compare": [
        ["compare", "small", "small", "--limit", "1", "--k", "1", "--table-only"],
        ["compare", "small", "--limit", "9", "--k", "5", "--exact", "--table-only", "--csv"],
        ["compare", "labels", "--limit", "9", "--k", "5", "--exact", "--marginal-labels", "--table-only"],
        ["compare", "small", "--limit", "9", "--split", "train"],
        ["compare", "small", "--limit", "9", "--table-only", "--ais", "--ais-temperatures", "3", "--bdmc", "--bdmc-images", "2",
         "--per-image"],
        ["compare", "small", "labels", "small1", "labels1", "--limit", "9", "--table-only", "--by", "elbo"],
        ["compare", "stopped", "best", "--limit", "9", "--table-only"],
    ],
    "vaecli list": [["list"], ["list", "--sort", "elbo", "--filter", "small"]],
    "vaecli show": [["show", "small"], ["show", "begun"], ["show"]],
    "vaecli rename": [["rename", "small", "other"]],
    "vaecli remove": [["remove", "small", "--yes"]],
    "vaecli prepare": [["prepare", "--data-dir", PICTURES]],
    "vaecli cache": [["cache"]],
    "vaecli report": [["report", "--quick", "--only", "5"]],
}  # fmt: skip
NEVER_HERE = {
    "table[].diverged_epoch", "table[].kl_is_exact", "table[].last_epoch", "last_epoch", "test_kl_particles",
    "validation_kl_particles", "members[].family", "members[].name", "members[].source",
}  # fmt: skip


def test_every_command_has_its_section():
    assert set(SECTIONS) == {SHARED, *COMMANDS}


def stop_within_an_epoch(vaecli, monkeypatch, *words):
    with stopped_when_saved_within_an_epoch(monkeypatch):
        assert vaecli("train", "--save-every", "1", *words, "-q").code == 130


@pytest.mark.parametrize("title", COMMANDS)
def test_what_a_command_prints_is_what_the_page_says(vaecli, run_copy, small_mnist, monkeypatch, title):
    from vaecli.evaluation import quadrature

    monkeypatch.setitem(quadrature.START, 2, 40)
    monkeypatch.setitem(quadrature.MOST, 2, 80)
    monkeypatch.setenv("VAECLI_DATA_DIR", str(DATA))
    if title == "vaecli compare":
        more = ["--labels", "full", "--epochs", "1", "--limit", "200", "--name", "labels"]
        assert vaecli("train", *more, "--data-dir", small_mnist, "-q").code == 0
        assert vaecli("train", *more[:-1], "labels1", "--seed", "1", "--data-dir", small_mnist, "-q").code == 0
        assert vaecli("train", "--epochs", "2", "--seed", "1", "--name", "small1", "--data-dir", small_mnist, "-q").code == 0
        assert vaecli("train", *STOPS, "--name", "best", "--data-dir", small_mnist, "-q").code == 0
        stop_within_an_epoch(vaecli, monkeypatch, "--name", "stopped", "--data-dir", small_mnist)
    if title == "vaecli inpaint":
        more = ["--latent-dim", "3", "--epochs", "1", "--limit", "200", "--name", "three"]
        assert vaecli("train", *more, "--data-dir", small_mnist, "-q").code == 0
    if title in ("vaecli list", "vaecli show", "vaecli rename"):
        more = ["--from", "small", "--epochs", "1", "--limit", "60", "--name", "begun"]
        assert vaecli("train", *more, "--data-dir", small_mnist, "-q").code == 0
        (run_copy.parent / "damaged").mkdir()
        (run_copy.parent / "damaged" / "config.json").write_text("{")
    np.save("array.npy", np.random.default_rng(0).random((30, 8, 9)))
    seen = set()
    for words in COMMANDS[title]:
        outcome = vaecli(*(small_mnist if word == "DATA" else word for word in words), "--json", "-q")
        assert outcome.code == 0, outcome.err
        assert len(outcome.out.splitlines()) == 1
        seen |= check(title, outcome.out)
        printed = json.loads(outcome.out)
        assert list(printed)[:4] == ["command", "version", "runs", "files"]
        assert (printed["command"], printed["version"]) == (words[0], __version__)
        assert all(Path(file).is_file() for file in printed["files"])
        assert all(Path(run["path"]).is_dir() for run in printed["runs"])
        assert all(run["name"] in (Path(run["path"]).name, run["path"]) for run in printed["runs"])
    optional = {path for path, (_, when) in known(title).items() if when}
    assert optional - seen <= NEVER_HERE


@pytest.mark.parametrize("title", COMMANDS)
def test_the_examples_are_such_objects(title):
    (line, example) = re.findall(r"^```console\n\$ (vaecli [^\n]*--json[^\n]*)\n(.*?)^```", SECTIONS[title], re.M | re.S)[0]
    assert line.startswith(title.removesuffix(" --dry-run"))
    check(title, example)


def test_numbers_that_are_not_finite_are_null(capsys):
    console.result_json("compare", [], [], table=[{"elbo": float("nan"), "L": {"5": float("-inf")}}], side=(1.5, float("inf")))
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert printed["table"] == [{"elbo": None, "L": {"5": None}}]
    assert printed["side"] == [1.5, None]
