"""The classes of vaecli's commands: their help, and a forgotten value that is not filled with the next option."""

from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from vaecli import registry
from vaecli.cli.declare import ARGUMENTS, EVERYDAY, HELPING, SECTIONS
from vaecli.errors import UsageError, either

_VALUES = {"int": "N", "int range": "N", "float": "X", "float range": "X", "path": "PATH"}
"""What stands for a value in help where an option does not say it, by Typer's name of its type."""

_ALL = "vaecli.help-all"
"""Where a context keeps that all options are asked for."""

_LEFT = 26
"""The most columns of an option and its value that have its help beside them; else it begins on the next line."""


class Group(TyperGroup):
    """``vaecli`` itself, which shows its help where no command is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses what was typed."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            raise typer.Exit(UsageError.exit_code)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the commands, then the options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        left = max(map(len, self.commands))
        for name, command in self.commands.items():
            about = (command.help or "").partition("\n")[0]
            sections.setdefault(getattr(command, "rich_help_panel", None) or "Commands", []).append(
                (f"{name:<{left}}", _whole(about))
            )
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)
        _write_options(formatter, self.get_params(ctx))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Writes the examples."""
        _write_examples(formatter, self.epilog)

    def get_help(self, ctx: Any) -> str:
        """The help."""
        return _broken(str(super().get_help(ctx)))


class Command(TyperCommand):
    """One of its commands. Where some options are everyday ones, help has the names of the others only; ``--help-all`` has all."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the options by section."""
        params = self.get_params(ctx)
        first = [param for param in params if panel_of(param) in (ARGUMENTS, EVERYDAY)]
        if ctx.meta.get(_ALL) or not any(panel_of(param) == EVERYDAY for param in params):
            _write_options(formatter, params)
            return
        _write_options(formatter, first, brief=True)
        others: dict[str, list[str]] = {section: [] for section in SECTIONS}
        for param in params:
            if param not in first:
                others[panel_of(param)].append(_whole(param.opts[0]))
        with formatter.section(f"More options, which {ctx.command_path} --help-all explains"):
            formatter.write_dl([(section, " ".join(names)) for section, names in others.items() if names and section != HELPING])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Writes the examples."""
        _write_examples(formatter, self.epilog)

    def get_help(self, ctx: Any) -> str:
        """The help."""
        return _broken(str(super().get_help(ctx)))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses what was typed.

        Raises:
            UsageError: where a value is expected, the name of another option is found.
        """
        params = self.get_params(ctx)
        if not ctx.resilient_parsing:  # of a line that is being completed
            _check_values(args, options_of(params), {option: _values(param) for param in params for option in param.opts})
        return super().parse_args(ctx, args)


def show_all(context: typer.Context, asked: bool) -> None:
    """Prints the help of a command with all its options, if that is asked for; then the command ends."""
    if asked and not context.resilient_parsing:
        context.meta[_ALL] = True
        typer.echo(context.get_help())
        raise typer.Exit


def options_of(params: Sequence[Any]) -> set[str]:
    """The options among the parameters of a command, as they are typed."""
    return {option for param in params for option in (*param.opts, *param.secondary_opts) if option.startswith("-")}


def panel_of(param: Any) -> str:
    """The section of help that a parameter stands in."""
    return param.rich_help_panel or (ARGUMENTS if param.param_type_name == "argument" else HELPING)


def _write_options(formatter: Any, params: Sequence[Any], brief: bool = False) -> None:
    for section in SECTIONS:
        rows = [row for param in params if panel_of(param) == section for row in _rows(param, brief)]
        if rows:
            with formatter.section(section):
                formatter.write_dl(rows, col_max=_LEFT)


def _write_examples(formatter: Any, lines: str | None) -> None:
    if lines:
        with formatter.section("Examples" if "\n" in lines else "Example"):
            formatter.write("".join(f"  {line}\n" for line in lines.splitlines()))


def _rows(param: Any, brief: bool) -> list[tuple[str, str]]:
    """An option and its help; then the members that it chooses from, or in brief their names alone."""
    text, members = str(param.help), registry.FAMILIES.get(param.name, {}) if param.metavar else {}
    if members and brief:
        text, members = f"{text.rstrip('.')}: {either(members)}.", {}
    default = _default(param)
    rows = [(_typed(param), _whole(f"{text} [default:\xa0{default}]" if default else text))]
    return rows + [(f"  {name}", _whole(member.summary)) for name, member in members.items()]


def _whole(text: str) -> str:
    """The text with hyphens at which no line ends."""
    return text.replace("-", "\u2011")


def _broken(text: str) -> str:
    """The text with plain hyphens and spaces, now that its lines have their ends."""
    return text.replace("\u2011", "-").replace("\xa0", " ")


def _typed(param: Any) -> str:
    """A parameter as it is typed: ``-q, --quiet``, ``--n N`` or ``RUN``."""
    if param.param_type_name == "argument":
        return f"[{param.metavar}]{'...' * (param.nargs != 1)}"
    names: list[str] = sorted(param.opts, key=lambda option: option.startswith("--"))
    if param.is_flag:
        return ", ".join(names)
    kind: str = param.display_type(None).strip("<>").removeprefix("list[").removesuffix("]").lower()
    return f"{', '.join(names)} {param.metavar or _VALUES.get(kind, kind)}"


def _default(param: Any) -> str:
    if isinstance(param.show_default, str):
        return param.show_default
    return str(param.default) if param.show_default and param.default is not None and not param.is_flag else ""


def _values(param: Any) -> int:
    """How many words an option takes."""
    return 0 if getattr(param, "is_flag", False) else int(param.nargs)


def _check_values(args: Sequence[str], options: set[str], values: dict[str, int]) -> None:
    taking, left = "", 0
    for word in args:
        name = word.partition("=")[0] if word.startswith("--") else word
        if left:
            if name in options:
                raise UsageError(f"{taking}: found the option {name} where its value is expected; type {taking} VALUE {name}")
            left -= 1
        elif word == "--":
            return
        elif name in options:
            taking, left = name, values.get(name, 0) - ("=" in word)
