"""The classes of vaecli's commands: flags without a type in help, and a forgotten value that is not filled with the next option."""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

from vaecli.errors import UsageError


class Group(TyperGroup):
    """``vaecli`` itself."""

    def get_params(self, ctx: Any) -> Any:
        """The options, ``--help`` among them."""
        return _untyped_flags(super().get_params(ctx))


class Command(TyperCommand):
    """One of its commands."""

    def get_params(self, ctx: Any) -> Any:
        """The options and arguments, ``--help`` among them."""
        return _untyped_flags(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses what was typed.

        Raises:
            UsageError: where a value is expected, the name of another option is found.
        """
        params = self.get_params(ctx)
        if not ctx.resilient_parsing:  # of a line that is being completed
            _check_values(args, options_of(params), {option: _values(param) for param in params for option in param.opts})
        return super().parse_args(ctx, args)


def options_of(params: Sequence[Any]) -> set[str]:
    """The options among the parameters of a command, as they are typed."""
    return {option for param in params for option in (*param.opts, *param.secondary_opts) if option.startswith("-")}


def _untyped_flags(params: Sequence[Any]) -> Sequence[Any]:
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


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
