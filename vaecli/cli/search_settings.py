"""The options of ``vaecli search`` that are settings: they take a value, a list or a range."""

import inspect
from collections.abc import Callable
from dataclasses import Field
from math import isfinite
from typing import Annotated, Any, get_args

import typer

from vaecli.cli.setting_options import as_option, as_pair
from vaecli.command_line import flag
from vaecli.errors import UsageError
from vaecli.settings import AUTO, is_pair, kind_of
from vaecli.studies.space import VALIDATION, WITHOUT_LISTS, Range

_NOUNS = {int: ("whole numbers", "2,3,5", "2:50"), float: ("numbers", "1e-4,1e-3", "1e-4:1e-2")}


def as_searched(setting: "Field[Any]") -> inspect.Parameter:
    """The option of a setting, which takes a value, values with commas between them, or LOW:HIGH."""
    plain = as_option(setting)
    option = get_args(plain.annotation)[1]
    kind = kind_of(setting)
    metavar = {int: "N,N|LOW:HIGH", float: "X,X|LOW:HIGH"}.get(kind, option.metavar)
    if setting.name in WITHOUT_LISTS:
        metavar = option.metavar if kind is str else "N"
    elif setting.name == "seed":
        metavar = "N,N"
    default = option.show_default if setting.name != "validation" else f"{VALIDATION}"
    made = typer.Option(
        flag(setting.name), help=option.help, metavar=metavar, rich_help_panel=option.rich_help_panel, show_default=default,
        parser=_parser(setting.name, kind, setting.metadata["auto"], is_pair(setting)), autocompletion=option.autocompletion,
    )  # fmt: skip
    return plain.replace(annotation=Annotated[Any, made])


def _parser(name: str, kind: type, auto: bool, pair: bool) -> Callable[[str], Any]:
    if pair:
        return as_pair(name)

    def parse(text: str) -> Any:
        if kind is tuple:
            return _one_list(name, text)
        if kind is str:
            if ":" in text:
                raise UsageError(f"{flag(name)} {text}: found a range, expected a name, or names with commas between them")
            return _one_or_many(text.split(","))
        nouns, some, span = _NOUNS[kind]
        try:
            if ":" in text:
                low, high = map(kind, text.split(":"))
                if not (isfinite(low) and isfinite(high)):
                    raise ValueError
                return Range(low, high)
            return _one_or_many([part if auto and part == AUTO else kind(part) for part in text.split(",")])
        except (ValueError, OverflowError):
            ranges = "" if name == "seed" or name in WITHOUT_LISTS else f", or a range, such as {flag(name)} {span}"
            raise UsageError(f"{flag(name)} {text}: expected {nouns}, such as {flag(name)} {some}{ranges}") from None

    return parse


def _one_or_many(values: list[Any]) -> Any:
    return values if len(values) > 1 else values[0]


def _one_list(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"{flag(name)} {text}: expected one value, whole numbers with commas between them, such as {flag(name)} 200,200: "
            "this setting has neither lists nor ranges"
        ) from None
