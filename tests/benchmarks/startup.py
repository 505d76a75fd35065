"""The seconds of whole commands, beside those of ``import torch``.

    python tests/benchmarks/startup.py                       # the table, on the baseline
    python tests/benchmarks/startup.py --before EARLIER      # and by the vaecli in the folder EARLIER

Each command is a process of its own. All take their turns and then again, so that each of them meets a busy machine's good and bad
minutes; the least and the median of its times are shown. The first round, which fills the system's caches, does not count.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
RUN = str(HERE / "checkpoints" / "baseline")

COMMANDS = {
    "help": ["--help"],
    "sample": ["sample", RUN],
    "reconstruct": ["reconstruct", RUN],
    "latent-plot": ["latent-plot", RUN],
    "latent-plot --manifold": ["latent-plot", RUN, "--manifold"],
    "inpaint": ["inpaint", RUN],
    "compare --table-only": ["compare", RUN, "--table-only"],
    "train --limit 200 --epochs 1": ["train", "--limit", "200", "--epochs", "1"],
    "train --dry-run": ["train", "--dry-run"],
}
WRITES = {"sample", "reconstruct", "latent-plot", "inpaint", "train"}
"""The commands that need a folder for what they write."""


def seconds(line: list[str], tree: Path) -> float:
    """How long a process takes that imports vaecli from `tree`."""
    environment = os.environ | {"PYTHONPATH": str(tree)}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        done = subprocess.run([sys.executable, *line], capture_output=True, text=True, check=False, env=environment, cwd=folder)
        taken = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(line)}: {done.stderr.strip().splitlines()[-1]}")
    return taken


def command(words: list[str]) -> list[str]:
    """The words of a process that runs a command line, and writes into its own folder."""
    return ["-m", "vaecli", *words, *(["--out", "."] if words[0] in WRITES and "--dry-run" not in words else [])]


def processor() -> str:
    try:
        names = [
            line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
        ]
        return f"{len(names)} cores of {names[0]}"
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="processes of each command, after one that warms up")
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS), help="these commands")
    parser.add_argument("--before", type=Path, help="a folder with an earlier vaecli")
    given = parser.parse_args()
    trees = {"after": HERE} | ({"before": given.before.resolve()} if given.before else {})
    work = {("import torch", "after"): (["-c", "import torch"], HERE)}
    work |= {(name, tree): (command(COMMANDS[name]), folder) for name in given.only for tree, folder in trees.items()}
    times: dict[tuple[str, str], list[float]] = {which: [] for which in work}
    for _ in range(given.rounds + 1):
        for which, (line, tree) in work.items():
            times[which].append(seconds(line, tree))
    width = shutil.get_terminal_size((100, 24)).columns
    print(f"{processor()}, Python {platform.python_version()}"[:width])
    print(f"{'seconds, least and median of ' + str(given.rounds):34}" + "".join(f"{tree:>14}" for tree in reversed(trees)))
    for name in ("import torch", *given.only):
        cells = [times[name, tree][1:] if (name, tree) in times else [] for tree in reversed(trees)]
        print(f"{name:34}" + "".join(f"{min(cell):7.2f}{statistics.median(cell):7.2f}" if cell else " " * 14 for cell in cells))


if __name__ == "__main__":
    main()
