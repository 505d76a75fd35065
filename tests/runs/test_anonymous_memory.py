"""Training maps the pixels of prepared pictures, and keeps none of them in memory of its own."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.system

PICTURES, SIDE = 20_000, 64
BYTES = PICTURES * SIDE * SIDE * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As many pictures, of a hundred kinds."""
    folder = tmp_path_factory.mktemp("many")
    noise = np.random.default_rng(0)
    for kind in range(100):
        first = folder / f"{kind:05}.jpg"
        Image.fromarray(noise.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((SIDE, SIDE)).save(first)
        for number in range(kind + 100, PICTURES, 100):
            os.link(first, folder / f"{number:05}.jpg")
    return folder


def train(folder, out, *words):
    """The output of training on a folder, and the most anonymous memory that it took, in bytes."""
    settings = "train --dataset folder --hidden 8 --epochs 1 --batch-size 100 --lr 1e-5 --likelihood bernoulli --threads 1"
    line = [sys.executable, "-m", "vaecli", *settings.split(), "--data-dir", str(folder), "--out", str(out), *words]
    most = 0
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
            most = max(most, 1024 * int(found[1]) if found else 0)
            time.sleep(0.01)
        said = process.stderr.read()
    assert process.returncode == 0, said
    return said, most


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory of a process")
def test_more_pictures_take_no_more_memory(folder, tmp_path):
    train(folder, tmp_path, "--name", "first")  # which prepares them
    train(folder, tmp_path, "--name", "few-first", "--limit", "2000")
    said, all_of_them = train(folder, tmp_path, "--name", "all", "--shuffle", "blocks")
    assert "18,0" in said or "17,9" in said, said  # about nine in ten are trained on
    _, few = train(folder, tmp_path, "--name", "few", "--limit", "2000")
    # the least and the most of some runs were 60 MB apart, by what the allocator keeps
    assert all_of_them - few < BYTES / 3
