"""What help shows of every command: by section, in plain words, on a terminal of 80 columns."""

import re
import shlex

import pytest
import typer

from vaecli import registry
from vaecli.cli.app import app
from vaecli.cli.commands import options_of, panel_of
from vaecli.cli.declare import ARGUMENTS, EVERYDAY, HELPING, SECTIONS

GROUP = typer.main.get_command(app)
LONG = [name for name, command in GROUP.commands.items() if "--help-all" in options_of(command.params)]
SHOWN = [["--help"], *([name, "--help"] for name in GROUP.commands), *([name, "--help-all"] for name in LONG)]
SCREEN = 50
"""Lines of a terminal on which a command's help fits."""


@pytest.fixture
def shown(vaecli, monkeypatch):
    """The help on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def show(*words):
        outcome = vaecli(*words)
        assert (outcome.code, outcome.err) == (0, "")
        return outcome.out

    return show


def sections(text):
    """The lines of each section, by its heading."""
    return dict(re.findall(r"^(\S.*):\n((?:  .*\n)*)", text, re.M))


def entries(body):
    """The first words of a section's entries."""
    return re.findall(r"^  (\S.*?)(?:  .*)?$", body, re.M)


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_it_has_neither_types_nor_bounds_nor_broken_words(shown, words):
    text = shown(*words)
    assert not re.search(r"<[^\s<>]+>|\[\[|\]\]|\d{10}", text)
    for entry in (entry for title, body in sections(text).items() if title in SECTIONS for entry in entries(body)):
        value = " ".join(word for word in entry.split() if not word.startswith("-"))
        assert not set(re.split(r"\W+", value)) & {"int", "str", "float", "bool", "list", "range", "path", "Path", "TEXT"}, entry
    assert all(len(line) <= 80 and line == line.rstrip() for line in text.splitlines())
    assert not re.search(r"\w-$", text, re.M)


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_its_sections_have_one_order(shown, words):
    found = [title for title in sections(shown(*words)) if title in SECTIONS]
    assert found == sorted(found, key=SECTIONS.index)
    assert found


@pytest.mark.parametrize("command", GROUP.commands)
def test_a_screen_has_the_help_and_every_option_is_named_on_it(shown, command):
    text = shown(command, "--help")
    assert len(text.splitlines()) <= SCREEN
    named = set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", text))
    assert named >= {param.opts[0] for param in GROUP.commands[command].params if param.opts[0].startswith("-")}


@pytest.mark.parametrize("command", LONG)
def test_eight_everyday_options_come_first_and_three_examples_last(shown, command):
    brief, whole = sections(shown(command, "--help")), sections(shown(command, "--help-all"))
    first = next(title for title in brief if title != ARGUMENTS)
    assert first == EVERYDAY == next(title for title in whole if title != ARGUMENTS)
    assert len(entries(brief[EVERYDAY])) == 8
    assert [*brief][-1] == "Examples" and len(brief["Examples"].splitlines()) == 3


def test_the_longest_commands_are_among_them():
    assert {"train", "search", "compare"} <= set(LONG)


@pytest.mark.parametrize("command", GROUP.commands)
def test_all_options_are_explained(shown, command):
    text = shown(command, "--help-all" if command in LONG else "--help")
    for param in GROUP.commands[command].params:
        if param.param_type_name == "option":
            title = panel_of(param)
            (entry,) = [one for one in entries(sections(text)[title]) if param.opts[0] in re.split(r"[ ,]+", one)]
            assert " ".join(str(param.help).split()[:3]) in " ".join(text.split())
            assert param.is_flag == (entry.split()[-1] in param.opts)


@pytest.mark.parametrize("command", GROUP.commands)
def test_what_has_a_default_shows_it(shown, command):
    text = " ".join(shown(command, "--help-all" if command in LONG else "--help").split())
    for param in GROUP.commands[command].params:
        if param.param_type_name == "option" and param.default not in (None, False, ()):
            assert f"[default: {param.default}]" in text
    assert ("--seed N Seed" not in text) or "[default: 0]" in text


@pytest.mark.parametrize("command", GROUP.commands)
def test_options_that_say_no_section_are_those_of_help(command):
    params = GROUP.commands[command].params
    assert {param.opts[0] for param in params if panel_of(param) == HELPING} <= {"--help-all"}


@pytest.mark.parametrize("command", GROUP.commands)
def test_the_examples_are_lines_of_the_command(command):
    lines = GROUP.commands[command].epilog.splitlines()
    assert lines
    for line in lines:
        program, name, *words = shlex.split(line)
        assert (program, name) == ("vaecli", command)
        GROUP.commands[command].make_context(name, words)


def test_it_names_every_member_of_the_registry_and_what_it_is(shown):
    text = " ".join(shown("train", "--help-all").split())
    brief = shown("train", "--help")
    for family, members in registry.REGISTRY.items():
        for name, member in members.items():
            assert f"{name} {member.summary}" in text
            assert family not in ("dataset", "arch", "objective") or name in brief


def test_all_options_are_completed(vaecli, monkeypatch):
    for command in ("train", "search"):
        monkeypatch.setenv("_VAECLI_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", f"vaecli {command} --")
        monkeypatch.setenv("COMP_CWORD", "2")
        completed = set(vaecli().out.split())
        assert completed >= {option for option in options_of(GROUP.commands[command].params) if option.startswith("--")}
        assert {"--help", "--help-all"} <= completed


def test_without_a_command_the_help_is_shown(vaecli):
    outcome = vaecli()
    assert (outcome.code, outcome.err) == (2, "")
    assert outcome.out == vaecli("--help").out
