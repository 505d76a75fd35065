"""Whole processes of ``vaecli train`` alone, two at once, and beside a process that computes, by how OpenMP's threads wait.

    python tests/benchmarks/beside.py
    python tests/benchmarks/beside.py --rounds 3 --epochs 4 --precision fp32

Every way of waiting is measured alone and then beside other work, and the same again, so that all of them meet a busy machine's
good and bad minutes. The median counts.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

if __package__:
    from tests.benchmarks.epoch import other_work, processor
else:
    from epoch import other_work, processor

WAYS: dict[str, dict[str, str]] = {
    "vaecli's own": {},
    "spin for long (OpenMP's default)": {"GOMP_SPINCOUNT": "300000"},
    "spin for 10,000": {"GOMP_SPINCOUNT": "10000"},
    "spin for 1,000": {"GOMP_SPINCOUNT": "1000"},
    "sleep (passive)": {"OMP_WAIT_POLICY": "passive"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}


def seconds(at_once: int, epochs: int, precision: str, environment: Mapping[str, str]) -> float:
    """How long so many trainings take that start together, until the last one ends."""
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "vaecli", "train", "--epochs", str(epochs), "--precision", precision, "--quiet"]
        start = time.perf_counter()
        trainings = [
            subprocess.Popen(
                [*line, "--out", str(Path(folder) / str(number))], env=os.environ | environment, stdout=subprocess.DEVNULL
            )
            for number in range(at_once)
        ]
        if any(training.wait() for training in trainings):
            raise SystemExit("a training failed")
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4, help="of each training")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS), help="these ways of waiting")
    given = parser.parse_args()
    measured: dict[str, list[tuple[float, float, float]]] = {way: [] for way in given.only}
    for _ in range(given.rounds):
        for way, times in measured.items():
            alone, two = (seconds(count, given.epochs, given.precision, WAYS[way]) for count in (1, 2))
            with other_work(1):
                beside = seconds(1, given.epochs, given.precision, WAYS[way])
            times.append((alone, two, beside))
    table = Table(box=None, pad_edge=False, header_style="bold", title=f"{processor()}, {given.precision}", title_justify="left")
    for heading in ("threads that wait", "alone", "two at once", "x alone", "beside a busy process", "x alone"):
        table.add_column(heading, justify="left" if heading.startswith("threads") else "right")
    for way, times in measured.items():
        alone, two, beside = (statistics.median(column) for column in zip(*times, strict=True))
        table.add_row(way, f"{alone:.1f}", f"{two:.1f}", f"{two / alone:.2f}", f"{beside:.1f}", f"{beside / alone:.2f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
