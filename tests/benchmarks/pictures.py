"""What a folder of pictures costs: pictures per processor second beside other readers, and a run's processor seconds and memory.

    python tests/benchmarks/photographs.py /tmp/photographs 10000
    python tests/benchmarks/pictures.py /tmp/photographs --rates
    python tests/benchmarks/pictures.py /tmp/photographs --commands

All contenders, and the same again, in turns; each in a process of its own, whose processor seconds count, with those of its
children. The fewest seconds of all rounds count. ``--before TREE`` measures another checkout beside this one. torchvision and
simplejpeg take part where they are installed.
"""

import argparse
import importlib.util
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

HERE, SIZE = Path(__file__).resolve().parents[2], 64
WORDS = ["--dataset", "folder", "--epochs", "1", "--batch-size", "100", "--hidden", "20"]


def spent() -> float:
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def vaecli(folder: Path) -> int:
    from vaecli.config import Config
    from vaecli.data import Source, read_once

    read = read_once()
    config = Source(Config(dataset="folder", image_size=SIZE), folder, read).settled()
    return sum(len(Source(config, folder, read).images(split)) for split in ("train", "test"))


def pillow(folder: Path) -> int:
    """A plain loop: the middle square of each picture by Lanczos's filter."""
    import numpy as np
    from PIL import Image, ImageOps

    names = sorted(folder.rglob("*.jpg"))
    pixels = np.empty((len(names), SIZE, SIZE, 3), np.uint8)
    for row, name in zip(pixels, names, strict=True):
        with Image.open(name) as picture:
            row[:] = ImageOps.fit(picture.convert("RGB"), (SIZE, SIZE), Image.Resampling.LANCZOS)
    return len(pixels)


def torchvision(folder: Path) -> int:
    """ImageFolder with Resize and CenterCrop, in a DataLoader with two workers."""
    import torch
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms.v2 import CenterCrop, Compose, PILToTensor, Resize

    images = ImageFolder(folder, Compose([Resize(SIZE), CenterCrop(SIZE), PILToTensor()]))
    return len(torch.cat([x for x, _ in DataLoader(images, 100, num_workers=2)]))


def simplejpeg(folder: Path) -> int:
    """As vaecli reads a JPEG, one after the other: its decoder halves it to twice the size at least, then Lanczos's filter."""
    import numpy as np
    from PIL import Image, ImageOps
    from simplejpeg import decode_jpeg

    names = sorted(folder.rglob("*.jpg"))
    pixels = np.empty((len(names), SIZE, SIZE, 3), np.uint8)
    for row, name in zip(pixels, names, strict=True):
        picture = Image.fromarray(decode_jpeg(name.read_bytes(), min_height=2 * SIZE, min_width=2 * SIZE, min_factor=2))
        row[:] = ImageOps.fit(picture, (SIZE, SIZE), Image.Resampling.LANCZOS)
    return len(pixels)


READERS: dict[str, Callable[[Path], int]] = {reader.__name__: reader for reader in (vaecli, pillow, torchvision, simplejpeg)}


def measure_reader(name: str, folder: Path) -> None:
    for module in ("torch", "vaecli.data", name):
        if importlib.util.find_spec(module.partition(".")[0]):
            importlib.import_module(module if module != "pillow" else "PIL.Image")
    before = spent()
    count = READERS[name](folder)
    print(count / (spent() - before))


def rates(folder: Path, trees: dict[str, Path], rounds: int) -> None:
    others = [name for name in ("pillow", "torchvision", "simplejpeg") if name == "pillow" or importlib.util.find_spec(name)]
    lines = [(f"vaecli {tree}, {state}", "vaecli", place) for tree, place in trees.items() for state in ("cold", "warm")]
    best = dict[str, float]()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as kept:
            for label, name, place in [*lines, *((name, name, HERE) for name in others)]:
                environment = os.environ | {"VAECLI_CACHE": f"{kept}/{place.name}", "TREE": str(place)}
                words = [sys.executable, __file__, str(folder), "--reader", name]
                done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
                best[label] = max(best.get(label, 0), float(done.stdout))
    for label, rate in best.items():
        print(f"{label:24}{rate:10,.0f} pictures per processor second")


def tree_of(root: int) -> list[int]:
    """A process and its descendants."""
    parents = dict[int, int]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def used(processes: list[int]) -> tuple[float, float, float]:
    """Processor seconds of all, and the anonymous and the mapped memory, in MB, of the one that has most."""
    seconds, anonymous, mapped = 0.0, 0.0, 0.0
    for process in processes:
        try:
            times = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        except OSError:
            continue
        seconds += sum(map(int, times[11:15])) / os.sysconf("SC_CLK_TCK")
        anonymous = max(anonymous, int(status.get("RssAnon", "0 kB").split()[0]) / 1e3)
        mapped = max(mapped, int(status.get("RssFile", "0 kB").split()[0]) / 1e3)
    return seconds, anonymous, mapped


def command(words: list[str], tree: Path, kept: str, until: str) -> tuple[float, float, float]:
    """What a command took until it said something, or to its end; the most memory that it had."""
    environment = os.environ | {"VAECLI_CACHE": kept}
    process = subprocess.Popen(
        [sys.executable, "-m", *words], cwd=tree, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        start_new_session=True,
    )  # fmt: skip
    seen = [(0.0, 0.0, 0.0)]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            seen.append(used(tree_of(process.pid)))

    watching = threading.Thread(target=watch)
    watching.start()
    assert process.stderr
    for line in process.stderr:
        if until and until in line:
            seen.append(used(tree_of(process.pid)))
            break
    over.set()
    watching.join()
    if until:
        os.killpg(process.pid, signal.SIGKILL)
    process.stderr.close()
    process.wait()
    return max(it[0] for it in seen), max(it[1] for it in seen), max(it[2] for it in seen)


COLD, WARM, RANKS, SEARCH, SECOND_WARM, SECOND_COLD = WHAT = (
    "cold", "warm", "two ranks, cold", "search of four workers", "reconstruct --n 8, warm", "reconstruct --n 8, cold",
)  # fmt: skip


def commands(folder: Path, trees: dict[str, Path], rounds: int, what: list[str]) -> None:
    begin = "Begin training"
    run = ["vaecli", "train", "--data-dir", str(folder), *WORDS]
    ranks = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", *run]
    search = ["vaecli", "search", "--data-dir", str(folder), *WORDS, "--lr", "1e-4,2e-4,5e-4,1e-3", "--workers", "4"]
    best = dict[tuple[str, str], tuple[float, ...]]()
    for _ in range(rounds):
        for name, tree in trees.items():
            with tempfile.TemporaryDirectory() as place:
                one, two, four = (f"{place}/{it}" for it in ("one", "two", "four"))
                out, known = ["--out", f"{place}/runs"], [f"{place}/runs/d", "--n", "8"]

                def note(label: str, words: list[str], kept: str, until: str = "", name: str = name, tree: Path = tree) -> None:
                    values = command(words, tree, kept, until)
                    best[name, label] = min(best.get((name, label), values), values)

                if COLD in what:
                    note(COLD, [*run, *out, "--name", "a"], one, begin)
                if WARM in what:
                    note(WARM, [*run, *out, "--name", "b"], one, begin)
                if RANKS in what:
                    note(RANKS, [*ranks, *out, "--name", "c"], two, begin)
                if SEARCH in what:
                    note(SEARCH, [*search, *out], four)
                if {SECOND_WARM, SECOND_COLD} & {*what}:
                    command([*run, *out, "--name", "d"], tree, one, "")
                    note(SECOND_WARM, ["vaecli", "reconstruct", *known], tree=tree, kept=one)
                    shutil.rmtree(one, ignore_errors=True)
                    note(SECOND_COLD, ["vaecli", "reconstruct", *known], tree=tree, kept=one)
    print(f"{'':40}{'seconds':>10}{'RssAnon MB':>12}{'RssFile MB':>12}")
    for (name, label), (seconds, anonymous, mapped) in best.items():
        print(f"{name + ', ' + label:40}{seconds:10.1f}{anonymous:12,.0f}{mapped:12,.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rates", action="store_true")
    parser.add_argument("--commands", action="store_true")
    parser.add_argument("--what", choices=WHAT, nargs="+", default=WHAT, help="of --commands; all if not given")
    parser.add_argument("--before", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--reader", choices=READERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.reader:
        sys.path.insert(0, os.environ["TREE"])
        measure_reader(given.reader, given.folder)
    else:
        trees = {"before": given.before.resolve()} if given.before else {}
        trees["now"] = HERE
        if given.rates:
            rates(given.folder, trees, given.rounds)
        if given.commands:
            commands(given.folder, trees, given.rounds, given.what)
