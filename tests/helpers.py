"""What tests share: places, small data, and how they look at what a command did."""

import struct
from pathlib import Path

import torch
from PIL import Image

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
BASELINE = ROOT / "checkpoints" / "baseline"
REPORTED = ["--quick", "--only", "3,5,8,11"]
"""Figures whose runs are also the two that the page's explorer shows."""


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


def refused(outcome, code=1):
    """The line of a command that was refused; its words are read by whoever mends what it says."""
    line = one_line(outcome, code)
    assert line.startswith("vaecli: ")
    assert line.isprintable()
    return line
