"""What is typed and what is advised: options, their values, and commands that lack an option."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import vaecli as library
from tests.helpers import one_line
from vaecli.cli.app import app, spelling
from vaecli.command_line import flag
from vaecli.errors import VaecliError, is_out_of_memory

GROUP = typer.main.get_command(app)
OPTIONS = {name: {option for param in command.params for option in param.opts} for name, command in GROUP.commands.items()}
VALUED = [
    (name, param.opts[0], param.nargs)
    for name, command in GROUP.commands.items()
    for param in command.params
    if param.opts[0].startswith("--") and not param.is_flag
]
SOURCES = Path(library.__file__).parent


@pytest.mark.parametrize(("command", "option", "count"), VALUED)
def test_an_option_in_the_place_of_a_value_is_refused(vaecli, tmp_path, command, option, count):
    other = next(name for name in sorted(OPTIONS[command]) if name.startswith("--") and name != option)
    for value in (other, f"{other}=1", "-q", option):
        line = one_line(vaecli(command, option, *["x"] * (count - 1), value), 2)
        assert line.startswith(f"vaecli: {option}: found the option {value.partition('=')[0]} where its value is expected")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["--view", "-10,20"], ["--view=--n"], ["--", "--view", "--n"]])
def test_other_values_that_begin_with_a_dash_are_values(vaecli, words):
    assert "where its value is expected" not in vaecli("latent-plot", *words).err


def advised():
    """The settings in messages of the library, and the files that have them."""
    for path in SOURCES.rglob("*.py"):
        if path.is_relative_to(SOURCES / "cli"):
            continue
        yield from re.findall(r"\{(\w+)=[^{}]*\}", path.read_text().replace("{{", "{").replace("}}", "}"))


@pytest.mark.parametrize("command", OPTIONS)
def test_messages_advise_only_options_that_there_are(command):
    """Of this command; where it lacks one, the message says of which it is."""
    names = set(advised())
    assert {"lr", "labels", "data_dir", "overwrite"} <= names
    everywhere = set.union(*OPTIONS.values())
    for name in names:
        text = VaecliError(f"x; try {{{name}=5}}").text(spelling(command))
        if flag(name) in OPTIONS[command]:
            assert text == f"x; try {flag(name)} 5"
        elif flag(name) in everywhere:
            other = text.removeprefix(f"x; try {flag(name)} 5 of vaecli ")
            assert flag(name) in OPTIONS[other]


@pytest.mark.parametrize("command", OPTIONS)
def test_a_command_writes_only_its_own_options_into_messages(command):
    source = (SOURCES / "cli" / f"{command.replace('-', '_')}.py").read_text()
    for line in source.splitlines():
        if "vaecli train" in line:
            continue
        found = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", line))
        assert found <= OPTIONS[command] | {"--dataset"}, line


def test_a_report_without_its_data_advises_what_report_has(vaecli, monkeypatch, tmp_path):
    from vaecli.data import fashion_mnist

    def nothing(*arguments):
        raise VaecliError("no network")

    monkeypatch.delenv("VAECLI_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr("vaecli.data.download.download", nothing)
    outcome = vaecli("report", "--only", "8", "--quick", "-q")
    assert outcome.code == 1
    assert "VAECLI_DATA_DIR" in outcome.err
    assert set(re.findall("--[a-z-]+", outcome.err)) <= OPTIONS["report"]


@pytest.mark.parametrize("command", OPTIONS)
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError("libgomp.so.1: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory", "/lib/x.so"),
        BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),  # of fork
    ],
    ids=repr,
)
def test_memory_or_threads_that_are_not_there_are_one_line(vaecli, monkeypatch, command, error):
    def short(*arguments):
        raise error

    monkeypatch.setattr("vaecli.cli.console.set_quiet", short)
    line = one_line(vaecli(command), 1)
    assert line.startswith("vaecli: not enough memory; ")
    assert set(re.findall("--[a-z-]+", line)) <= OPTIONS[command]


def test_a_stream_that_is_not_ready_is_no_lack_of_memory():
    assert not is_out_of_memory(BlockingIOError(errno.EAGAIN, "write could not complete without blocking", 0))
    assert not is_out_of_memory(OSError(errno.ENOSPC, "No space left on device"))


def test_without_threads_a_command_ends_with_one_line(vaecli, monkeypatch, run_copy):
    """OpenMP would end the process with a line of its own."""

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("vaecli.cli.app.threading.Thread.start", refuse)
    line = one_line(vaecli("sample", "small"), 1)
    assert line.startswith("vaecli: not enough memory, or too few processes allowed, for ")


@pytest.mark.system
@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
@pytest.mark.parametrize("megabytes", [200, 400, 700])
def test_libraries_that_find_no_memory_to_load_are_one_line(run_copy, tmp_path, megabytes):
    lines = f"import resource, sys; resource.setrlimit(resource.RLIMIT_AS, ({megabytes}_000_000,) * 2)\n"
    lines += "from vaecli.__main__ import main; sys.exit(main())"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-c", lines, "sample", "small", "-q"]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done.stderr
    assert done.stderr.startswith("vaecli: not enough memory")


@pytest.mark.parametrize(
    "words",
    [
        ["reconstruct", "small", "--digit", "0"],
        ["inpaint", "small", "--digit", "0", "--starts", "1", "--steps", "2", "--draws", "1"],
        ["encode", "small"],
        ["latent-plot", "small"],
        ["explore", "small"],
        ["score", "small", "--by", "L_1", "--limit"],
        ["compare", "small", "--k", "0", "--n"],
        ["compare", "small", "--k", "0", "--table-only", "--limit"],
    ],
    ids=" ".join,
)
def test_fewer_images_than_were_asked_for_are_mentioned(vaecli, run_copy, words, monkeypatch):
    """The small run has 200 test images."""
    monkeypatch.setattr("vaecli.analysis.inpainting.LARGEST", 0)  # exact values take long
    option = words[-1] if words[0] in ("score", "compare") else "--n"
    words = words[:-1] if option == words[-1] else words
    said = re.compile(r"there are only \d+ images|\d+ images, all that the test split has")
    assert said.search(vaecli(*words, option, "201").err)
    assert not said.search(vaecli(*words, option, "2").err)
    assert not said.search(vaecli(*words).err)  # nobody asked for so many
