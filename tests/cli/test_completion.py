"""Completion of words in the shell: what it knows, how it is shown and installed."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.helpers import from_shell
from vaecli import registry

pytestmark = pytest.mark.system


def completed(line, **environment):
    """The process that completes the last word of a command line, as bash starts it."""
    typed = line.split(" ")
    words = {"_VAECLI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(typed) - 1)}
    return subprocess.run(
        [sys.executable, "-m", "vaecli"], capture_output=True, text=True, env=os.environ | words | environment, check=False
    )


def test_it_knows_the_registry_and_loads_nothing_heavy():
    done = completed("vaecli train --objective i", PYTHONPROFILEIMPORTTIME="1")
    assert done.stdout.split() == [name for name in registry.names("objective") if name.startswith("i")]
    assert " torch" not in done.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sample --device ", ["auto", "cpu", "cuda", "mps"]),
        ("reconstruct --split t", ["test", "train"]),
        ("inpaint --observed ", ["top", "bottom", "left", "right"]),
        ("sample --kind ", ["mean", "draw", "both"]),
        ("compare --proposal m", ["mixture"]),
        ("encode --split t", ["test", "train"]),
        ("sample --path s", ["straight", "spherical"]),
    ],
)
def test_it_knows_the_choices_of_an_option(line, words):
    assert completed(f"vaecli {line}").stdout.split() == words


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("shell", "script", "files"),
    [
        ("bash", "complete -o default -F _vaecli_completion vaecli", [".bash_completions/vaecli.sh", ".bashrc"]),
        ("zsh", "#compdef vaecli", [".zfunc/_vaecli", ".zshrc"]),
        ("fish", "complete --command vaecli", [".config/fish/completions/vaecli.fish"]),
    ],
)
def test_it_is_shown_and_installed_for_the_shell_that_asks(tmp_path, shell, script, files):
    home = tmp_path / "home"
    shown = from_shell(tmp_path, shell, "--show-completion")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert script in shown.stdout
    installed = from_shell(tmp_path, shell, "--install-completion", HOME=str(home))
    assert (installed.returncode, installed.stderr) == (0, "")
    assert sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()) == sorted(files)
    assert any(script in (home / file).read_text() for file in files)
