"""Seconds per epoch of one run over several processes, beside one process with as many threads, and the cost model fitted to it.

    python tests/benchmarks/scaling.py                     # k = 1, 10, 50: one process of 2 threads, one and two of 1 thread each
    python tests/benchmarks/scaling.py --share 0.5         # half of an epoch's batches

The contenders take turns, each in processes of its own; one of them beside another that shares nothing with it, which shows what
two processors have to give. Bytes are what a process hands to the all-reduce in a step; around a ring
it sends 2 (N - 1) / N times as many. The least of all epochs counts, since whatever else a machine does only adds to it.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

IMAGES, BATCH = 60_000, 200
BESIDE = "1 process, 1 thread, beside another"
CONTENDERS = {
    "1 process, 2 threads": (1, 2),
    "1 process, 1 thread": (1, 1),
    BESIDE: (1, 1),
    "2 processes, 1 thread": (2, 1),
}


def work(k: int, precision: str, share: float, epochs: int, answer: Path) -> None:
    """What each process does."""
    import time

    import torch

    from vaecli.config import Config
    from vaecli.data import load_images
    from vaecli.model import build
    from vaecli.processes import Processes, joined
    from vaecli.threads import configure_torch
    from vaecli.training.loop import fit, make_optimizer

    configure_torch()
    processes = joined(torch.device("cpu"))
    config = Config(objective="iwae" if k > 1 else "elbo", k=k, epochs=epochs + 1, precision=precision)
    model = build(config)
    images = load_images("mnist", "train", limit=round(IMAGES * share))
    gradient = sum(parameter.numel() for parameter in model.parameters())
    sent: list[int] = []
    seconds_sending: list[float] = []

    class Counted(Processes):
        """Counts what a step sends, and for how long it waits for it."""

        def sum(self, tensor: torch.Tensor, *, patiently: bool = False) -> torch.Tensor:
            start = time.perf_counter()
            result = super().sum(tensor, patiently=patiently)
            if tensor.numel() >= gradient:
                sent.append(tensor.numel() * tensor.element_size())
                seconds_sending.append(time.perf_counter() - start)
            return result

    counted = Counted(processes.rank, processes.size)
    records = list(fit(model, make_optimizer(model, config), images, config, processes=counted))
    alone = []
    if not processes.alone:  # the all-reduce by itself, when no process waits for another's images
        flat = torch.zeros(gradient)
        for _ in range(50):
            processes.barrier()
            start = time.perf_counter()
            processes.sum(flat)
            alone.append(time.perf_counter() - start)
    if processes.is_main:
        found = {
            "seconds": min(record.seconds for record in records[1:]) / share,
            "bytes": sent[0] if sent else 0,
            "waiting": sum(seconds_sending) / max(1, len(seconds_sending)),
            "all_reduce": sorted(alone)[len(alone) // 2] if alone else 0.0,
        }
        answer.write_text(json.dumps(found))


def measured(contender: str, k: int, precision: str, share: float, epochs: int) -> dict[str, float]:
    processes, threads = CONTENDERS[contender]
    with TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        words = ["--work", str(answer), "--k", str(k), "--precision", precision, "--share", str(share), "--epochs", str(epochs)]
        launch = [] if processes == 1 else ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        with beside_another(environment, k, precision) if contender == BESIDE else nullcontext():
            done = subprocess.run(
                [sys.executable, *launch, __file__, *words], capture_output=True, text=True, check=False, env=environment
            )
        if done.returncode:
            raise SystemExit(f"{contender}, k = {k}: {done.stderr[-2000:]}")
        result: dict[str, float] = json.loads(answer.read_text())
        return result


@contextmanager
def beside_another(environment: dict[str, str], k: int, precision: str) -> Iterator[None]:
    """While entered, the same work is done by another process that shares nothing: what the processors can do at most."""
    words = ["--work", os.devnull, "--k", str(k), "--precision", precision, "--share", "1", "--epochs", "1000"]
    other = subprocess.Popen([sys.executable, __file__, *words], env=environment)
    try:
        yield
    finally:
        other.kill()
        other.wait()


def resolved(precision: str) -> str:
    import torch

    from vaecli.device import resolve_precision

    return resolve_precision(precision, torch.device("cpu"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--k", type=int, nargs="+", default=[1, 10, 50], help="particles per image")
    parser.add_argument("--precision", nargs="+", default=["fp32", "auto"], choices=("auto", "fp32", "bf16"))
    parser.add_argument("--epochs", type=int, default=2, help="epochs measured in a process, after one that warms up")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each contender")
    parser.add_argument("--share", type=float, default=0.1, help="of an epoch's batches")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.k[0], given.precision[0], given.share, given.epochs, given.work)
        return
    title = f"{os.cpu_count()} processors, Python {platform.python_version()}"
    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for heading in (
        "k",
        "precision",
        "",
        "s per epoch",
        "x 1 process, 1 thread",
        "MB per step",
        "ms all-reduce",
        "ms with waiting",
    ):
        table.add_column(heading, justify="left" if heading in ("", "precision") else "right")
    for precision in dict.fromkeys(resolved(precision) for precision in given.precision):
        for k in given.k:
            share = min(given.share, 2 / k)
            rounds = [{name: measured(name, k, precision, share, given.epochs) for name in CONTENDERS} for _ in range(given.rounds)]
            best = {name: min((found[name] for found in rounds), key=lambda found: found["seconds"]) for name in CONTENDERS}
            one = best["1 process, 1 thread"]["seconds"]
            for name, found in best.items():
                sends = (
                    [f"{found['bytes'] / 1e6:.2f}", f"{1e3 * found['all_reduce']:.2f}", f"{1e3 * found['waiting']:.2f}"]
                    if found["bytes"]
                    else []
                )
                table.add_row(str(k), precision, name, f"{found['seconds']:.2f}", f"{one / found['seconds']:.2f}", *sends)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
