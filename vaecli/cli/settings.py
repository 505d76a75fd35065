"""The options of ``vaecli train`` that are a run's settings, made from the fields of `Config`."""

import inspect
from collections.abc import Callable
from dataclasses import Field
from typing import Annotated, Any

import typer

from vaecli import registry
from vaecli.command_line import flag
from vaecli.config import LABEL_FRACTION, SETTINGS
from vaecli.errors import UsageError, shown
from vaecli.settings import kind_of


def settings_as_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds an option for each setting to a command that takes them as its ``settings``: a dict of those that were given."""
    own = [each for each in inspect.signature(command).parameters.values() if each.name != "settings"]
    made = [_parameter(each) for each in SETTINGS]
    names = {each.name for each in made}

    def wrapped(**given: Any) -> None:
        settings = {name: given.pop(name) for name in names}
        command(settings={name: value for name, value in settings.items() if value is not None}, **given)

    parameters = [*made, *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own)]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {each.name: each.annotation for each in parameters}
    wrapped.__doc__ = command.__doc__
    wrapped.__name__ = command.__name__
    return wrapped


def _parameter(each: "Field[Any]") -> inspect.Parameter:
    rule, kind = each.metadata, kind_of(each)
    words = rule["choices"] or (registry.names(rule["family"]) if rule["family"] else None)
    summaries = registry.REGISTRY[rule["family"]].items() if rule["family"] else ()
    lines = [
        rule["help"],
        *(f"{name}: {member.summary}." for name, member in summaries),
        rf"[dim]\[default: {_default(each)}][/dim]",
    ]
    option: dict[str, Any] = {"help": " ".join(lines), "rich_help_panel": rule["group"], "show_default": False}
    annotation: Any = kind
    if words:
        option["metavar"] = "NAME" if rule["family"] else f"[{'|'.join(words)}]"
        option["autocompletion"] = lambda incomplete: [word for word in words if word.startswith(incomplete)]
    elif kind is tuple:
        option |= {"metavar": "N,N,...", "parser": _numbers(each.name)}
    annotated = Annotated[annotation | None, typer.Option(flag(each.name), **option)]
    return inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotated)


def _default(each: "Field[Any]") -> str:
    """The default as help shows it; where it depends on another setting, what it is for each."""
    if each.default is not None:
        return f"{each.default:g}" if isinstance(each.default, float) else str(each.default)
    if each.name == "binarize":
        return "; ".join(f"{name}: {member.binarize[0]}" for name, member in registry.REGISTRY["likelihood"].items())
    if each.name == "label_fraction":
        return f"partial: {LABEL_FRACTION}"
    owners = [
        f"{name}: {shown(member.defaults[each.name])}"
        for members in registry.REGISTRY.values()
        for name, member in members.items()
        if each.name in member.defaults
    ]
    return "; ".join(owners) if owners else "all"


def _numbers(name: str) -> Callable[[str], tuple[int, ...]]:
    def parse(text: str) -> tuple[int, ...]:
        try:
            return tuple(int(part) for part in text.split(","))
        except ValueError:
            raise UsageError(
                f"{flag(name)} {text}: expected whole numbers with commas between them, such as {flag(name)} 200,200"
            ) from None

    return parse
