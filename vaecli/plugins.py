"""Members that others bring: those of a Python file, of an installed package, or of a session of Python. No torch.

Their code runs because a person asks for it on this machine: by a file's name, by installing a package, or by calling `register`.
Nothing that a checkpoint says makes it run.
"""

import hashlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from vaecli import registry
from vaecli.errors import UsageError, printable, reason
from vaecli.reading import read_file
from vaecli.registry import FAMILIES, REGISTRY, Member, Option, Provider

PLUGINS = "VAECLI_PLUGIN"
"""The environment variable with the paths of plugin files, between which the system's separator of paths stands."""

GROUP = "vaecli"
"""The entry points of packages: modules that call `register`."""

reserved = {"provenance"}
"""Names that no option of a member can have: a key of ``config.json``; the command line adds those of its own options."""

_MAX_FILE = 1 << 24
"""Bytes of a plugin file that are read."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_OPTION = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_MAX_NAME = 40

_T = TypeVar("_T")
_loading: list[Provider] = []
_files: dict[Path, Provider] = {}
_failures: list[str] = []
_installed: list[bool] = []


def register(
    family: str, name: str, summary: str, *, path: str = "", options: Mapping[Option, Any] | None = None,
    capabilities: Iterable[str] = (), needs: Mapping[str, str] | None = None, binarize: Iterable[str] = (),
    likelihood: str = "discretized-logistic", settings: Mapping[str, Any] | None = None,
) -> Callable[[_T], _T]:  # fmt: skip
    """Adds a member to the registry: a decorator of a class or an object, or with `path` a call by itself.

    The member is a choice like vaecli's own: in ``--help``, completion, errors, `vaecli.Config`, runs and every command.

    Args:
        family: ``objective``, ``likelihood``, ``prior``, ``posterior``, ``arch``, ``dataset`` or ``log``.
        name: lower-case words with hyphens between them.
        summary: a few words for ``--help``.
        path: where the member is defined, as ``"module:name"``; its module is imported when the member is used, not before.
        options: the settings that it is made with, as keyword arguments, and the default of each.
        capabilities: as `vaecli.registry.Member` has them, as all further arguments are.
        needs: of an objective.
        binarize: of a likelihood, ``("none",)`` where its pixels are grey, else ``("threshold", "stochastic")``.
        likelihood: of a data set.
        settings: of a data set; those of a person's own arrays if not given.

    A data set is a function that is called with its options, and gives the ``images`` and maybe ``labels``, ``test_images`` and
    ``test_labels`` that `vaecli.train` takes, in a dict.

    Returns:
        A decorator that gives back what it decorates.

    Raises:
        UsageError: there is no such family, or a name is taken or cannot be one.

    Example:
        >>> @vaecli.register("objective", "half", "half of the ELBO")
        ... class Half: ...
        >>> vaecli.Config(objective="half").objective
        'half'
    """
    given = {**(registry.BY_ARRAY if family == "dataset" else {}), **(options or {})}
    if family not in FAMILIES:
        raise UsageError(registry.unknown("{family}", str(family), FAMILIES), family=family)
    _check_name("name", name, _NAME, "half-elbo")
    if family == "likelihood" and not binarize:
        raise UsageError("{binarize=}: found none, expected the pixels that the likelihood is of, such as {binarize=none}")
    if family == "log" and options:
        raise UsageError("{options=} of a logger: it has none, since it is no setting of a run; expected none")
    for option, default in given.items():
        _check_option(option, default, family, name)
    defaults = registry.OWN if settings is None else settings
    member = Member(path, summary, given, frozenset(capabilities), needs or {}, tuple(binarize), likelihood, defaults)

    def add(target: _T) -> _T:
        provider = _loading[-1] if _loading else _home(target)
        before = FAMILIES[family].get(name)
        if before is not None and (before.provider is None or before.provider.source != provider.source):
            whose = "vaecli" if before.provider is None else before.provider.source or "this session"
            raise UsageError(f"{{name}}: there is a member of this name in {family}, of {whose}; expected another", name=name)
        FAMILIES[family][name] = replace(member, path=target, provider=provider)
        return target

    if path:
        add(path)
    return add


def name_of(family: str, kind: type) -> str | None:
    """The name of the member of a family that is this class; None where there is none."""
    written = f"{kind.__module__}:{kind.__qualname__}"
    return next((name for name, member in FAMILIES[family].items() if member.path is kind or member.path == written), None)


def options() -> dict[str, tuple[str, Option, Any]]:
    """The options that vaecli's own members do not have, by name: the family, the option, and its default in the first member."""
    found: dict[str, tuple[str, Option, Any]] = {}
    for family, members in REGISTRY.items():
        for member in members.values():
            for option, default in member.options.items() if member.provider else ():
                if option.name not in _settings():
                    found.setdefault(option.name, (family, option, default))
    return found


def load_plugin(file: "str | os.PathLike[str]") -> None:
    """Runs a Python file that calls `register`; one that was run before is run again only if it has changed.

    Args:
        file: its path.

    Raises:
        UsageError: it cannot be read, or fails; the message has the line.

    Example:
        >>> line = "vaecli.register('prior', 'own', 'N(0, I)', path='vaecli.priors.normal:StandardNormal')"
        >>> import pathlib
        >>> _ = pathlib.Path("own.py").write_text(f"import vaecli; {line}")
        >>> vaecli.load_plugin("own.py")
        >>> vaecli.Config(prior="own").prior
        'own'
    """
    path = Path(file).expanduser().absolute()
    if not path.is_file() or path.suffix != ".py":
        found = "no such file" if not path.exists() else "a folder" if path.is_dir() else "another file"
        raise UsageError(f"{{plugin}}: found {found}, expected a Python file, such as laplace.py", plugin=Path(file))
    try:
        source = read_file(path, _MAX_FILE)
    except OSError as error:
        raise UsageError(f"{{plugin}}: cannot be read ({reason(error)})", plugin=Path(file)) from None
    provider = Provider(str(path), hashlib.sha256(source).hexdigest())
    if _files.get(path) == provider:
        return
    module = ModuleType(f"vaecli_plugin_{provider.sha256[:12]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where dataclasses and pickle look for it
    try:
        with _from(provider), redirect_stdout(sys.stderr):  # stdout is for results
            exec(compile(source, str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        raise UsageError(f"{{plugin}}: {_failure(error, str(path))}", plugin=Path(file)) from error
    _files[path] = provider


def known() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Each member, by its family and name, and its options."""
    return tuple((f"{family} {name}", (*it.defaults,)) for family, members in FAMILIES.items() for name, it in members.items())


def files() -> list[Path]:
    """The plugin files that were run."""
    return list(_files)


def load_installed() -> None:
    """Imports, once, the modules of installed packages that register members, and runs the files that VAECLI_PLUGIN names.

    A package that fails leaves all else usable: `unknown_member` says what is wrong with it.

    Raises:
        UsageError: a file of VAECLI_PLUGIN cannot be used; said once.
    """
    if _installed:
        return
    _installed.append(True)
    for entry in entry_points(group=GROUP):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
        try:
            with _from(Provider(package)):
                entry.load()
        except Exception as error:
            _failures.append(printable(f"the package {package} could not be loaded: {_failure(error)}"))
    for file in filter(None, os.environ.get(PLUGINS, "").split(os.pathsep)):
        try:
            load_plugin(file)
        except UsageError as error:
            raise error.reworded(UsageError, before=f"{PLUGINS}: ") from None


def unknown_member(family: str, name: str) -> UsageError:
    """The error for a name that no member of a family has."""
    known = registry.names(family)
    elsewhere = "" if get_close_matches(name, known, n=1) else ", or that of a member in a file, with {plugin=FILE.py}"
    failed = "".join(f"; {text}" for text in _failures)
    return UsageError(f"{registry.unknown(f'{{{family}}}', name, known)}{elsewhere}{failed}", **{family: name})


@contextmanager
def _from(provider: Provider) -> Iterator[None]:
    """A context in which members come from there, in the place of those of an earlier version; these stay where it fails."""
    before = {family: dict(members) for family, members in FAMILIES.items()}
    for members in FAMILIES.values():
        for name in [name for name, it in members.items() if it.provider and it.provider.source == provider.source]:
            del members[name]
    _loading.append(provider)
    try:
        yield
    except BaseException:
        for family, members in FAMILIES.items():
            members.clear()
            members.update(before[family])
        raise
    finally:
        _loading.pop()


def _home(target: object) -> Provider:
    """The file of the module that defines an object; of none in a session of Python."""
    module = target.partition(":")[0] if isinstance(target, str) else getattr(target, "__module__", "")
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or not Path(file).is_file():
        return Provider()
    return Provider(str(Path(file).absolute()), hashlib.sha256(Path(file).read_bytes()).hexdigest())


def _failure(error: BaseException, file: str | None = None) -> str:
    """What went wrong, on one line, with the last line of `file` that led to it."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    text = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
    return (f"line {lines[-1]}: " if lines else "") + " ".join(text.translate({ord("{"): "(", ord("}"): ")"}).split())


def _settings() -> set[str]:
    """The names of the settings that vaecli itself has."""
    names: set[str] = import_module("vaecli.config").NAMES
    return names


def _check_option(option: Option, default: Any, family: str, member: str) -> None:
    name, whose = option.name, f"of the {family} {member}"
    _check_name("option", name, _OPTION, "half_width")
    if any(option in it.options for it in FAMILIES[family].values()):
        return  # it is shared with another member
    if hasattr(import_module("vaecli.config").Config, name) or name in reserved:
        raise UsageError(f"{{option}} {whose}: vaecli has an option of this name, expected another", option=name)
    owners = [(other, it) for other, members in FAMILIES.items() for it, of in members.items() if name in of.defaults]
    if owners and owners != [(family, member)]:
        raise UsageError(f"{{option}} {whose}: the {' '.join(owners[0])} has one of this name, expected another", option=name)
    kinds = {type(item) for item in default} if isinstance(default, tuple) else {type(default)}
    if kinds - {int, float, str} or len(kinds) != 1 or (isinstance(default, tuple) and kinds != {int}):
        found = f"found the default {default!r}, expected a number, a word or a tuple of whole numbers"
        raise UsageError(f"{{option}} {whose}: {found}".replace("{'", "('"), option=name)
    if str in kinds and default not in (option.choices or ()):
        raise UsageError(f"{{option}} {whose}: expected `choices`, with its default {default} among them", option=name)
    if str not in kinds and not option.low < option.high:
        raise UsageError(f"{{option}} {whose}: expected the bounds `low` and `high`", option=name)
    numbers = () if str in kinds else default if isinstance(default, tuple) else (default,)
    if not all(option.low <= number <= option.high for number in numbers):
        bounds = f"{option.low:g} to {option.high:g}"
        raise UsageError(f"{{option}} {whose}: its default {default} is not from {bounds}, its bounds", option=name)


def _check_name(what: str, name: object, pattern: "re.Pattern[str]", example: str) -> None:
    if not isinstance(name, str) or len(name) > _MAX_NAME or not pattern.fullmatch(name):
        between = "_" if pattern is _OPTION else "-"
        raise UsageError(
            f"{{{what}}}: expected lower-case words with {between} between, such as {{{what}={example}}}", **{what: name}
        )
