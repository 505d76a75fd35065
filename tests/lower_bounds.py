"""Runs a few tests of every room with the lowest versions that pyproject.toml allows: python tests/lower_bounds.py [FOLDER].

FOLDER holds the new virtual environment; a temporary one if it is not given. The versions are read from pyproject.toml.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = [
    "tests/data/test_torchvision_sets.py",
    "tests/data/test_values.py",
    "tests/data/test_array_files.py",
    "tests/runs/test_format.py",
    "tests/plotting",
    "tests/studies/test_trust.py",
    "tests/cli/test_train.py",
    "tests/loggers",
    "tests/analysis/test_exporting.py",
]


def lowest(requirements: list[str]) -> list[str]:
    """The constraints ``name==version`` of requirements ``name[extra]>=version``."""
    found = [re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?>=([\w.]+)", requirement) for requirement in requirements]
    missing = [requirement for requirement, match in zip(requirements, found, strict=True) if match is None]
    if missing:
        raise SystemExit(f"pyproject.toml: found {', '.join(missing)}, expected a lower bound: name>=version")
    return [f"{match[1]}=={match[2]}" for match in found if match]


def main(folder: Path) -> None:
    """Installs the package in a new virtual environment with these versions, and runs the tests there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    requirements = project["dependencies"] + [one for extra in extras.values() for one in extra if not one.startswith("vaecli[")]
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    (folder / "lowest.txt").write_text("\n".join(lowest(requirements)), encoding="utf-8")
    install = ["pip", "install", "-q", "-c", str(folder / "lowest.txt"), "-e", f".[{','.join(extras)}]"]
    for command in (install, ["pip", "list"], ["pytest", "-q", *TESTS]):
        subprocess.run([python, "-m", *command], cwd=ROOT, check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
