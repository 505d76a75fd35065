"""What tests share: places, small data, and how they look at what a command did."""

import contextlib
import csv
import math
import os
import shlex
import shutil
import socket
import struct
import subprocess
import sys
from itertools import combinations, product
from pathlib import Path

import pytest
import torch
from PIL import Image

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
BASELINE = ROOT / "checkpoints" / "baseline"
REPORTED = ["--quick", "--only", "3,5,8,11"]
"""Figures whose runs are also the two that the page's explorer shows."""

MORE = 300e6
"""Bytes of resident memory that a hostile file may take over an ordinary `sample`."""


def write_idx(folder, split, images):
    folder.mkdir(parents=True, exist_ok=True)
    head = struct.pack(">IIII", 0x803, len(images), 28, 28)
    (folder / f"{split}-images-idx3-ubyte").write_bytes(head + images.pixels.numpy().tobytes())
    head = struct.pack(">II", 0x801, len(images))
    (folder / f"{split}-labels-idx1-ubyte").write_bytes(head + images.labels.to(torch.uint8).numpy().tobytes())


class Outcome:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def path(self):
        """The one path on stdout."""
        (line,) = self.out.splitlines()
        return Path(line)


def opened(path):
    """A picture, with its file closed again."""
    with Image.open(path) as picture:
        return picture.convert("RGB")


def one_line(outcome, code):
    """The single line that a failure leaves on stderr."""
    assert outcome.code == code, outcome.err
    assert outcome.out == ""
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    return lines[0]


def log_rows(folder):
    """The rows of a run's loss log, without its times."""
    with (folder / "loss.csv").open() as file:
        return [
            {name: value for name, value in row.items() if name not in ("seconds", "images_per_second")}
            for row in csv.DictReader(file)
        ]


@contextlib.contextmanager
def stopped_when_saved_within_an_epoch(monkeypatch):
    """A context in which training is interrupted right after it is saved within an epoch."""
    from vaecli.runs import train

    save = train.save_within

    def stop(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "save_within", stop)
        yield


def refused(outcome, code=1):
    """The line of a command that was refused; its words are read by whoever mends what it says."""
    line = one_line(outcome, code)
    assert line.startswith("vaecli: ")
    assert line.isprintable()
    return line


def damage(kind, file):
    """Damages a file in one of four ways, the last of which removes it."""
    data = file.read_bytes()
    if kind == "cut short":
        file.write_bytes(data[: len(data) // 2])
    elif kind == "a byte off":
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif kind == "empty":
        file.write_bytes(b"")
    else:
        file.unlink()


def pairwise(*choices, allowed=lambda *row: True):
    """Few rows, one value of each choice, in which any two values of different choices stand together at least once.

    Of all combinations that are allowed it takes the one with the most pairs that are still missing, until none is.
    """

    def pairs(row):
        return set(combinations(enumerate(row), 2))

    rows = [row for row in product(*choices) if allowed(*row)]
    missing, chosen = set().union(*map(pairs, rows)), []
    while missing:
        chosen.append(max(rows, key=lambda row: len(missing & pairs(row))))
        missing -= pairs(chosen[-1])
    return chosen


def every_combination(*choices, allowed=lambda *row: True):
    """All allowed combinations as parameters of a test; those that `pairwise` leaves out are marked slow."""
    chosen, rows = pairwise(*choices, allowed=allowed), [row for row in product(*choices) if allowed(*row)]
    names = {row: " ".join(value if isinstance(value, str) else "/".join(value) for value in row) for row in rows}
    return [pytest.param(*row, marks=() if row in chosen else pytest.mark.slow, id=name) for row, name in names.items()]


def from_shell(folder, name, *arguments, stdout=subprocess.PIPE, **environment):
    """The process of a command line that a shell of this name started.

    Typer looks for the shell among the parents of the process, and the tests may have none. So bash starts it, under that name.
    """
    shell = shutil.copy(shutil.which("bash"), folder / name)
    line = shlex.join([sys.executable, "-m", "vaecli", *arguments])
    return subprocess.run(
        [shell, "-c", f"{line}; exit $?"],  # without the exit bash would become the program
        stdout=stdout, stderr=subprocess.PIPE, text=True, env=os.environ | environment, check=False,
    )  # fmt: skip


def put(path, kind):
    """Puts something that is no regular file, or that has holes, in the place of a file."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    match kind:
        case "FIFO":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "socket":
            with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as server:
                server.bind(path.name)
        case "device":
            path.symlink_to("/dev/zero")
        case "holes":
            with path.open("wb") as file:
                file.truncate(10 << 30)


EPS = 2.0**-23
MEANS = ("elbo", "stl", "jsd", "gjs", "beta-tc", "info")
"""Objectives that are means over particles; others weight them by the exponential of a sum over pixels."""


def rounding(objective, nats):
    """The relative error of a gradient when its sums are added up in another order.

    Each rounding of a sum of n terms is at most EPS / 2 of it, and n of them walk as far as sqrt(n); the longest sums are over
    pixels. An error of log_w, about -`nats`, is one of the weight exp(log_w) too.
    """
    walk = EPS / 2 * math.sqrt(784)
    return 2 * walk * (1 if objective in MEANS else 1 + nats)  # two orders are compared
