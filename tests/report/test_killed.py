"""`report --quick`, killed and called again, ends as if undisturbed and leaves nothing behind."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers import DATA
from vaecli.runs.find import CONFIG, LOSS, MODEL

pytestmark = pytest.mark.system

AT_FILE = """
import os, signal, sys
name, rename = sys.argv.pop(1), os.replace
def replace(part, place):
    if os.path.basename(place) == name:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(part, place)
os.replace = replace
from vaecli.__main__ import main
sys.exit(main())
"""
"""Runs the command line, and is killed when a file of some name is written and not in its place yet."""


def call(folder, *words, killed_at=None, timeout=None):
    """The exit code of ``vaecli report``; SIGKILL ends it after `timeout` seconds."""
    program = ["-m", "vaecli"] if killed_at is None else ["-c", AT_FILE, killed_at]
    try:
        return subprocess.run(
            [sys.executable, *program, "report", "--quick", *words, "-q"], cwd=folder, timeout=timeout, check=False,
            env=os.environ | {"VAECLI_DATA_DIR": str(DATA)}, stdout=subprocess.DEVNULL,
        ).returncode  # fmt: skip
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL


def outcome(folder):
    """All files under a folder, by path, each with what does not depend on how long anything took."""
    contents = {}
    for path in sorted(folder.rglob("*")):
        content: object = None
        if path.suffix == ".png" or path.name in (MODEL, CONFIG):
            content = path.read_bytes()
        elif path.name == LOSS:
            content = [
                [row[name] for name in ("epoch", "loss", "test_elbo")] for row in csv.DictReader(path.read_text().splitlines())
            ]
        elif path.name == "report.json":
            content = {number: figure["finding"] for number, figure in json.loads(path.read_bytes())["figures"].items()}
        contents[path.relative_to(folder)] = content
    return contents


def test_killed_while_it_writes(reported, tmp_path):
    for name in (CONFIG, "compare-losses.png", "index.html"):
        assert call(tmp_path, "--only", "3", killed_at=name) == -signal.SIGKILL
        assert [path for path in tmp_path.rglob("*.part") if path.name.startswith(f".{name}-")]
    assert call(tmp_path, "--only", "3") == 0
    ours, whole = outcome(tmp_path), outcome(reported)
    assert set(ours) <= set(whole)
    assert {path.parent.name for path in ours} >= {"figure3", "mnist-z2-elbo-n2000-random-e1", "mnist-z3-elbo-n2000-random-e1"}
    assert all(ours[path] == whole[path] for path in ours if path.name != "report.json")


@pytest.mark.slow
def test_killed_thirty_times_at_any_moment(tmp_path):
    words = ["--only", "3,5,13"]
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for folder in (whole, torn):
        folder.mkdir()
    began = time.monotonic()
    assert call(whole, *words) == 0
    duration = time.monotonic() - began
    moments = random.Random(13)
    kills = 0
    while kills < 30:
        if (code := call(torn, *words, timeout=moments.uniform(0.1, 1) * duration)) == -signal.SIGKILL:
            kills += 1
        else:
            assert code == 0
            assert outcome(torn) == outcome(whole)
            shutil.rmtree(torn)
            torn.mkdir()
    assert call(torn, *words) == 0
    assert outcome(torn) == outcome(whole)
