"""The options of ``vaecli train`` that are a run's settings, made from the fields of `Config`."""

import inspect
from collections.abc import Callable
from dataclasses import Field
from functools import cache
from typing import Annotated, Any

import typer

from vaecli import plugins, registry
from vaecli.command_line import flag
from vaecli.config import LABEL_FRACTION, SETTINGS, Config
from vaecli.errors import UsageError, either, format_value
from vaecli.settings import AUTO, is_pair, kind_of, plugin_settings


def settings_as_options(
    command: Callable[..., None], option_of: "Callable[[Field[Any]], inspect.Parameter] | None" = None, *more: inspect.Parameter
) -> Callable[..., None]:
    """Adds an option for each setting to a command that takes them as its ``settings``: a dict of those that were given.

    Args:
        command: the function of the command.
        option_of: makes the option of a setting; one that takes a value of the setting's own type if not given.
        more: options in the place of parameters of the command, whose words depend on the registry too.
    """
    own = [parameter for parameter in inspect.signature(command).parameters.values() if parameter.name != "settings"]
    plugins.reserved.update(parameter.name for parameter in own)
    options = [(option_of or as_option)(setting) for setting in (*SETTINGS, *plugin_settings())]
    names = {option.name for option in options}

    def wrapped(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in names}
        command(settings={name: value for name, value in chosen.items() if value is not None}, **given)

    replaced = {parameter.name: parameter for parameter in more}
    own = [replaced.get(parameter.name, parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)) for parameter in own]
    parameters = [*options, *own]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    wrapped.__doc__ = command.__doc__
    wrapped.__name__ = command.__name__
    return wrapped


def as_option(setting: "Field[Any]") -> inspect.Parameter:
    """The option of a setting, which takes one value of its type."""
    rule, kind = setting.metadata, kind_of(setting)
    words = rule["choices"] or (registry.names(rule["family"]) if rule["family"] else None)
    option: dict[str, Any] = {"help": rule["help"], "rich_help_panel": rule["group"], "show_default": _default(setting)}
    annotation: Any = kind
    if rule["auto"]:
        option |= {
            "metavar": f"N|{AUTO}",
            "parser": _whole_or_auto(setting.name),
            "autocompletion": lambda incomplete: [word for word in (AUTO,) if word.startswith(incomplete)],
        }
    elif words:
        option["metavar"] = "NAME" if rule["family"] else "|".join(words)
        option["autocompletion"] = lambda incomplete: [word for word in words if word.startswith(incomplete)]
    elif kind is tuple:
        pair = is_pair(setting)
        option |= {"metavar": "LOW,HIGH" if pair else "N,N,...", "parser": (as_pair if pair else _numbers)(setting.name)}
    annotated = Annotated[annotation | None, typer.Option(flag(setting.name), **option)]
    return inspect.Parameter(setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotated)


def _default(setting: "Field[Any]") -> str:
    """The default as help shows it; one for each value of the setting that it depends on."""
    if setting.default is not None:
        return f"{setting.default:g}" if isinstance(setting.default, float) else str(setting.default)
    if setting.name == "binarize":
        return _by_member({name: member.binarize[0] for name, member in registry.REGISTRY["likelihood"].items()}, shared=False)
    if setting.name == "label_fraction":
        return f"{LABEL_FRACTION}"
    if setting.metadata["usual"] is not None or setting.name in ("likelihood", "measure_every"):
        values = {name: getattr(config, setting.name) for name, config in _plain(plugins.known()).items()}
        return _by_member({name: format_value(1 if value is None else value) for name, value in values.items()})
    for members in registry.REGISTRY.values():
        owners = {
            name: format_value(member.defaults[setting.name]) for name, member in members.items() if setting.name in member.defaults
        }
        if owners:
            return _by_member(owners, shared=len(owners) == len(members))
    return "all" if setting.name in ("limit", "test_limit") else "none"


@cache
def _plain(members: object) -> dict[str, Config]:
    """The default settings of each data set, with these members of the registry; making them takes 20 ms."""
    return {name: Config(dataset=name) for name in registry.names("dataset")}


def _by_member(values: dict[str, str], shared: bool = True) -> str:
    """The defaults of members: ``500 with mlp; 256 with conv``; where all have one, the usual one first: ``28; 64 with folder``."""
    usual = max(values.values(), key=list(values.values()).count) if shared else None
    owners = {value: either(name for name in values if values[name] == value) for value in values.values()}
    return "; ".join(
        [
            *([usual] if usual else []),
            *(f"{value}{',' * (' ' in value)} with {names}" for value, names in owners.items() if value != usual),
        ]
    )


def _whole_or_auto(name: str) -> Callable[[str], int | str]:
    def parse(text: str) -> int | str:
        if text == AUTO:
            return text
        try:
            return int(text)
        except ValueError:
            raise UsageError(f"{flag(name)} {text}: expected a whole number or {AUTO}") from None

    return parse


def _numbers(name: str) -> Callable[[str], tuple[int, ...]]:
    def parse(text: str) -> tuple[int, ...]:
        try:
            return tuple(int(part) for part in text.split(","))
        except ValueError:
            raise UsageError(
                f"{flag(name)} {text}: expected whole numbers with commas between them, such as {flag(name)} 200,200"
            ) from None

    return parse


def as_pair(name: str) -> Callable[[str], tuple[float, ...] | None]:
    """What parses two numbers of a setting, or AUTO, which is None."""

    def parse(text: str) -> tuple[float, ...] | None:
        if text == AUTO:
            return None
        try:
            low, high = (float(part) for part in text.split(","))
        except ValueError:
            raise UsageError(
                f"{flag(name)} {text}: expected two numbers with a comma between them, such as {flag(name)} 0,4095"
            ) from None
        return low, high

    return parse
