"""Several workers of one search, from Python."""

import os
import subprocess
import sys

import pytest

from tests.helpers import ROOT

SCRIPT = """
import vaecli
print("begun")
settings = {"latent_dim": [2, 3], "hidden": (3,), "epochs": 1, "limit": 20, "validation": 10}
print(len(vaecli.search(settings, "runs", workers=2).rows))
"""


@pytest.mark.system
@pytest.mark.parametrize("how", ["file", "stdin", "-c"])
def test_a_script_needs_no_guard_and_is_run_once(how, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    arguments = {"file": ["script.py"], "stdin": ["-"], "-c": ["-c", SCRIPT]}[how]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], input=SCRIPT, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "begun\n2\n", "")
