"""A setting of a run: its field in `Config` with help text and bounds, and the check of its values."""

import dataclasses
import numbers
from dataclasses import Field
from typing import Any, get_args, get_origin

from vaecli import plugins, registry
from vaecli.arguments import wrong
from vaecli.errors import UsageError

AUTO = "auto"
"""The word for a number that is settled when the training images are known."""

_SHORT = {"epochs": "e", "limit": "n", "validation": "v", "image_size": "size", "kl_warmup": "warmup"}


def setting(default: Any, help: str, group: str, *, low: float | None = None, high: float | None = None,
            family: str | None = None, choices: tuple[str, ...] | None = None,
            auto: bool = False, usual: Any = None) -> Any:  # fmt: skip
    """A field of `Config`.

    Args:
        default: the default value; None where the default depends on other settings.
        help: one line for ``--help``.
        group: the heading it stands under in ``--help``.
        low: the least value allowed.
        high: the greatest value allowed; for a tuple, of each of its numbers.
        family: the registry family that it names a member of, or whose members own it.
        choices: the words allowed, where it is not a name of the registry.
        auto: whether a number may be AUTO, and is settled when the training images are known.
        usual: the default where that depends on the data set, of those without one of their own.
    """
    metadata = {
        "help": help, "group": group, "low": low, "high": high, "family": family, "choices": choices, "auto": auto, "usual": usual,
    }  # fmt: skip
    return dataclasses.field(default=default, metadata=metadata)


def owned(option: registry.Option, group: str) -> Any:
    """A field of `Config` for an option that members of the registry own; the group as for `setting`."""
    return setting(None, option.help, group, low=option.low, high=option.high, choices=option.choices)


_GROUPS = {"dataset": "Data", "objective": "Objective"}


def plugin_settings() -> tuple["Field[Any]", ...]:
    """The options that members of others own, as fields like those of `Config`."""
    fields = []
    for name, (family, option, default) in plugins.options().items():
        field: Field[Any] = owned(option, _GROUPS.get(family, "Model"))
        field.name = name
        field.type = tuple[int, ...] | None if isinstance(default, tuple) else type(default) | None
        fields.append(field)
    return tuple(fields)


def kind_of(field: "Field[Any]") -> type:
    """The type of a setting's values: int, float, str or tuple (of numbers)."""
    first = _value_type(field)
    kind: type = get_origin(first) or first
    return kind


def is_pair(field: "Field[Any]") -> bool:
    """Whether a setting's values are two numbers, not a number of whole ones."""
    return get_args(_value_type(field)) == (float, float)


def _value_type(field: "Field[Any]") -> Any:
    return field.type if get_origin(field.type) is tuple else (get_args(field.type) or (field.type,))[0]


def checked(field: "Field[Any]", value: Any) -> Any:
    """A value in the type of its setting.

    Raises:
        UsageError: it is of another type, out of bounds, or not among the names allowed.
    """
    kind, rule, name = kind_of(field), field.metadata, field.name
    if rule["auto"] and value == AUTO:
        return value
    if kind is str:
        if not isinstance(value, str):
            raise UsageError(f"{{{name}}}: expected a word", **{name: value})
        allowed = rule["choices"] or registry.names(rule["family"])
        if value not in allowed:
            if rule["family"]:
                raise plugins.unknown_member(rule["family"], value)
            raise UsageError(registry.unknown(f"{{{name}}}", value, allowed), **{name: value})
        return value
    if kind is tuple and is_pair(field):
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise UsageError(f"{{{name}}}: expected two numbers, such as {{{name}=0,4095}}", **{name: value})
        return tuple(_number(name, value, item, whole=False, low=rule["low"], high=rule["high"]) for item in value)
    if kind is tuple:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= 16:
            raise UsageError(f"{{{name}}}: expected 1 to 16 whole numbers, such as {{{name}=200,200}}", **{name: value})
        return tuple(_number(name, value, item, whole=True, low=rule["low"], high=rule["high"]) for item in value)
    return _number(
        name, value, value, whole=kind is int, low=rule["low"], high=rule["high"], word=f" or {AUTO}" if rule["auto"] else ""
    )


def _number(name: str, given: Any, value: Any, *, whole: bool, low: float, high: float, word: str = "") -> int | float:
    kind = "whole number" if whole else "number"
    right_type = isinstance(value, numbers.Integral if whole else numbers.Real) and not isinstance(value, bool)
    expected = f"expected a {kind} from {low:,} to {high:,}{word}"
    if not right_type:
        raise wrong(name, given, expected)
    if not low <= value <= high:
        raise UsageError(f"{{{name}}}: {expected}", **{name: given})
    return int(value) if whole else float(value)


def short_name(name: str, value: Any) -> str:
    """A setting in the name of a run, such as ``bs100`` for a batch size; empty for None."""
    if value is None:
        return ""
    if isinstance(value, str) and value != AUTO:
        return value
    initials = _SHORT.get(name) or ("".join(word[0] for word in name.split("_")) if "_" in name else name)
    numbers = "_".join(
        f"{item:g}" if isinstance(item, float) else str(item) for item in (value if isinstance(value, tuple) else (value,))
    )
    return f"{initials}{numbers}"
