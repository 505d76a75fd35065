"""Settings and commands as they are typed: for error messages, and for the commands that the report's page shows."""

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from vaecli.errors import format_value

_OTHER_NAMES = {"label": "digit"}
"""Settings whose option has another name."""


def flag(name: str) -> str:
    """The option of a setting: ``latent_dim`` to ``--latent-dim``."""
    return "--" + _OTHER_NAMES.get(name, name).replace("_", "-")


def as_option(name: str, value: str, typed: Collection[str] = ()) -> str:
    """A setting as it is typed: ``--k 5``; the option alone where the value is empty.

    Args:
        name: of the setting.
        value: as text.
        typed: the words of a command line; an option with two names is written as there.
    """
    option = flag(name)
    plain = f"--{name}"
    if plain != option and any(word == plain or word.startswith(f"{plain}=") for word in typed):
        option = plain
    value = shlex.quote(value) if name == "plugin" else value  # a path to paste
    return f"{option} {value}" if value else option


def train_line(settings: Mapping[str, object], name: str | None = None) -> str:
    """The command that trains a run with these settings, under the name of its settings or another."""
    words = [word for name, value in settings.items() for word in (flag(name), format_value(value))]
    return shlex.join(["vaecli", "train", *words, *(["--name", name] if name else [])])


def torchrun_line(line: str, processes: int, hosts: int = 1) -> str:
    """How a command line is typed for several processes of each host."""
    several = "" if hosts == 1 else f"--nnodes {hosts} ... "
    ours = "-- " if " --log " in line else ""  # torchrun takes it for the beginning of its own --log-dir
    return f"torchrun {several}--nproc-per-node {processes} -m {ours}{line}"


def resume_line(folder: Path, root: Path) -> str:
    """The command that continues the run in `folder`; `root` is the folder of runs that needs no option."""
    folder = folder if folder.name not in ("", "..") else folder.resolve()
    out = [] if folder.parent == root else [flag("out"), str(folder.parent)]
    return shlex.join(["vaecli", "train", flag("name"), folder.name, flag("resume"), *out])
