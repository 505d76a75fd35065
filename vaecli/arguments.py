"""What callers give: each argument of a public function is checked against its annotation, at the call.

    @checked
    def sample(model: VAE, n: Count = 10, *, labels: tuple[int, ...] = (), seed: Seed = 0) -> Samples: ...

The annotation has the type and, as `Count` and `Seed` do, the bounds. Arguments that have to fit each other, such as a model and
images, say so by a method of one of them (`Fitting`).
"""

import inspect
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path, PurePath
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

from vaecli.errors import UsageError

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Within:
    """The least and the greatest value of a number."""

    low: int
    high: int


class Filled:
    """A path or a list that is not empty."""


Count = Annotated[int, Within(1, 1_000_000)]
Limit = Annotated[int, Within(1, 2_000_000)]
Seed = Annotated[int, Within(0, 2**63 - 1)]
PathLike = Annotated[str | Path, Filled]
"""A path, which may be a string."""


@runtime_checkable
class Fitting(Protocol):
    """A thing that other arguments of a function have to fit."""

    def check_beside(self, name: str, other: object) -> None:
        """Refuses another argument, called `name`, that does not fit.

        Raises:
            UsageError: it does not.
        """


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with its arguments checked against their annotations and against each other before it begins.

    Raises:
        UsageError: an argument is of another type, out of bounds, or does not fit another.
    """
    signature = inspect.signature(function)
    hints = cache(lambda: get_type_hints(function, include_extras=True))

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs).arguments
        for name, value in given.items():
            check(name, value, hints().get(name, Any))
        for value in given.values():
            if isinstance(value, Fitting):
                for name, other in given.items():
                    value.check_beside(name, other)
        return function(*args, **kwargs)

    return call


def check(name: str, value: object, annotation: Any) -> None:
    """Refuses an argument that is not of its annotation.

    Raises:
        UsageError: it is not; the message has its name.
    """
    if not _is(value, annotation):
        words = _words(annotation)
        if isinstance(value, list) and words.startswith("a tuple"):
            raise UsageError(f"{{{name}=}}: found a list, expected {words}")
        raise wrong(name, value, f"expected {words}")


def wrong(name: str, value: object, expected: str) -> UsageError:
    """The error of an argument: the value as it is typed, or what kind of object it is, and what was expected."""
    if _is_short(value) or (isinstance(value, list | tuple) and value and all(map(_is_short, value))):
        found = f"found {kind(value)}, " if _looks_right(value) else ""
        return UsageError(f"{{{name}}}: {found}{expected}", **{name: value})
    return UsageError(f"{{{name}=}}: found {kind(value)}, {expected}")


def kind(value: object) -> str:
    """What an object is, in a few words: ``a Run``, ``a tensor of torch.float32, shape (2, 3)``."""
    name, dtype, shape = type(value).__name__, getattr(value, "dtype", None), getattr(value, "shape", None)
    if dtype is not None and isinstance(shape, tuple):
        return f"{_with_article(name.lower())} of {dtype}, shape {tuple(shape)}"
    return f"an empty {name}" if isinstance(value, list | tuple | dict | str) and not value else _with_article(name)


def _is_short(value: object) -> bool:
    return (value is None or isinstance(value, bool | int | float | str | PurePath)) and value != ""


def _looks_right(value: object) -> bool:
    """Whether a value looks as a number would, but is a word, or a fraction that is whole: ``"3"`` and ``3.0`` for 3."""
    if isinstance(value, float):
        return value.is_integer()
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


def _with_article(name: str) -> str:
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


def _is(value: Any, annotation: Any) -> bool:
    """Whether a value is of an annotation; True for an annotation that says nothing which can be seen."""
    origin = get_origin(annotation) or annotation
    if origin in _CHECKS:
        return _CHECKS[origin](value, get_args(annotation))
    return isinstance(value, origin) if inspect.isclass(origin) else True


def _is_tuple(value: Any, parts: tuple[Any, ...]) -> bool:
    if not isinstance(value, tuple):
        return False
    if parts[-1:] == (...,):
        return all(_is(item, parts[0]) for item in value)
    return len(value) == len(parts) and all(map(_is, value, parts))


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number above the greatest float
        return False


_CHECKS: dict[Any, Callable[[Any, tuple[Any, ...]], bool]] = {
    Annotated: lambda value, parts: _is(value, parts[0]) and all(_follows(value, rule) for rule in parts[1:]),
    Union: lambda value, parts: any(_is(value, part) for part in parts),
    UnionType: lambda value, parts: any(_is(value, part) for part in parts),
    Literal: lambda value, parts: isinstance(value, str) and value in parts,
    Any: lambda value, parts: True,
    int: lambda value, parts: isinstance(value, numbers.Integral) and not isinstance(value, bool),
    float: lambda value, parts: _is_number(value),
    tuple: _is_tuple,
    Sequence: lambda value, parts: isinstance(value, list | tuple) and all(_is(item, parts[0]) for item in value),
    Mapping: lambda value, parts: isinstance(value, Mapping) and all(_is(key, parts[0]) for key in value),
    type: lambda value, parts: isinstance(value, type) and issubclass(value, parts[0]),
}
"""Whether a value is of an annotation of this origin and with these parts."""


def _follows(value: Any, rule: object) -> bool:
    if isinstance(rule, Within):
        return bool(rule.low <= value <= rule.high)
    if rule is Filled:
        return len(value) > 0 if isinstance(value, list | tuple) else value != "" and "\0" not in str(value)
    return True


_NAMES = {
    "int": "a whole number",
    "float": "a number",
    "str": "a word",
    "bool": "True or False",
    "Path": "a pathlib.Path",
    "Tensor": "a tensor",
    "Callable": "a function",
    "Mapping": "a dict",
    "VAE": "a VAE, such as run.model",
    "Run": "a Run, such as vaecli.load gives",
    "Images": "Images, such as vaecli.load_images gives",
    "Config": "a vaecli.Config",
    "Axes": "matplotlib Axes",
    "Pictured": "images, or what sample, reconstruct, between or inpaint gave",
    "device": "a device, such as cpu",
}


def _words(annotation: Any) -> str:
    """An annotation in words."""
    origin, parts = get_origin(annotation) or annotation, get_args(annotation)
    if origin is Annotated:
        bounds = "".join(f" from {rule.low:,} to {rule.high:,}" for rule in parts[1:] if isinstance(rule, Within))
        words = "a path" if annotation == PathLike else f"{_words(parts[0])}{bounds}"
        if Filled in parts[1:] and annotation != PathLike:
            words = words.replace("a list", "a list that is not empty", 1)
    elif origin in (Union, UnionType):
        words = " or ".join(_words(part) for part in parts if part is not NoneType)
    elif origin is Literal:
        words = " or ".join(parts) if len(parts) <= 2 else f"one of {', '.join(parts)}"
    elif origin in (tuple, Sequence):
        items = [_words(part) for part in parts if part is not ...]
        if origin is tuple and ... not in parts:
            words = f"a tuple of {len(items)}: {', '.join(items)}"
        else:
            words = f"a {'tuple' if origin is tuple else 'list'}, each {items[0]}"
    else:
        words = _NAMES.get(name := getattr(origin, "__name__", str(origin)), _with_article(name))
    return words
