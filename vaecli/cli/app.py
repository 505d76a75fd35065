"""The Typer app, and `main`, which turns every failure into one line and an exit code."""

import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from copy import copy
from difflib import get_close_matches
from functools import cache, wraps
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from vaecli import __version__, plugins, torchrun
from vaecli.cli import cache as cached
from vaecli.cli import (
    compare,
    console,
    encode,
    explore,
    export,
    inpaint,
    latent_plot,
    prepare,
    reconstruct,
    remove,
    rename,
    report,
    sample,
    score,
    search,
    show,
    train,
)
from vaecli.cli import list as listing
from vaecli.cli.commands import Command, Group, options_of, show_all
from vaecli.cli.declare import DATA, EVERYDAY, HELPING, OTHERS, examples, optional
from vaecli.cli.search_settings import as_searched
from vaecli.cli.setting_options import settings_as_options
from vaecli.cli.signals import Interruption, leave
from vaecli.command_line import as_option, flag
from vaecli.errors import UsageError, VaecliError, either, format_value, is_out_of_memory, printable, reason
from vaecli.files import CACHE

_OF_MANY_PROCESSES = ("train", "compare")
"""Commands that several processes of torchrun share; any other is run by the first of them."""

_OF_ONE_PROCESS = ("report", "search")
"""Commands that do not run under torchrun."""

_OF_FILES = (listing, show, rename, remove)
"""Commands that read neither images nor models, and take no options of these."""

_INVOKED = "vaecli"

_COMPLETE = "_VAECLI_COMPLETE"
"""The environment variable that asks to complete a line instead of running it."""

_OTHER_THREADS = 4
"""Threads beside those that compute: autograd's, the one that looks at other processes, and the like."""

_SMALLER, _FEWER = ("hidden", "k", "batch_size", "workers"), ("n", "limit")
"""Settings of which a lower value takes less memory; the second ones are numbers of images."""

_PATIENCE = 10
"""Seconds that a process which failed leaves the first one of its host to say why, before torchrun ends that too."""


def _version(asked: bool) -> None:
    if asked:
        console.result(f"vaecli {__version__}")
        raise typer.Exit()


Plugin = Annotated[
    list[Path] | None,
    optional("File that brings members of its own, also in VAECLI_PLUGIN; may be given again.", OTHERS, metavar="FILE.py"),
]


Cache = Annotated[
    str | None,
    optional("Folder in which prepared pictures are kept, or none; also in VAECLI_CACHE.", DATA, metavar="DIR|none"),
]


def _app(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
    plugin: Plugin = None,
) -> None:
    """Train, look into and compare variational autoencoders."""
    context.obj[_INVOKED] = context.invoked_subcommand
    torchrun.check_launcher()
    torchrun.end_with_launcher()
    _check_threads()
    own_rank = torchrun.rank()
    if own_rank.size > 1 and context.invoked_subcommand in _OF_ONE_PROCESS:
        raise UsageError(
            f"{context.invoked_subcommand}: found {own_rank.size} processes of torchrun, expected one; leave torchrun out, or "
            "train runs one by one: torchrun ... -m vaecli train"
        )
    if not own_rank.is_main and context.invoked_subcommand not in _OF_MANY_PROCESSES:
        raise typer.Exit()  # the first process does it


HelpAll = Annotated[
    bool,
    typer.Option(
        "--help-all", help="Show all options and exit.", callback=show_all, is_eager=True, show_default=False,
        rich_help_panel=HELPING,
    ),
]  # fmt: skip


def _with_shared_options(command: Callable[..., None], everyday: Collection[str] = ()) -> Callable[..., None]:
    """Adds the options of all commands: ``--cache``, the place of prepared pictures, and ``--plugin``, which `_load_plugins` reads.

    Args:
        command: the function of the command.
        everyday: its parameters that help shows first; all if there are none, else ``--help-all`` shows the others.
    """
    types = get_type_hints(command, include_extras=True)
    types |= {name: _in_section(types[name], EVERYDAY) for name in everyday}
    own = [parameter.replace(annotation=types[name]) for name, parameter in inspect.signature(command).parameters.items()]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, annotation, default in (("cache", Cache, None), ("plugin", Plugin, None), ("help_all", HelpAll, False))
        if everyday or name != "help_all"
    ]

    @wraps(command)
    def wrapped(
        *words: Any, cache: str | None = None, plugin: object = None, help_all: bool = False, **given: Any
    ) -> None:  # fmt: skip
        before = os.environ.get(CACHE)
        if cache is not None:
            os.environ[CACHE] = cache  # also of the processes that a search starts
        try:
            command(*words, **given)
        finally:
            if cache is not None:
                os.environ.pop(CACHE)
            if before is not None:
                os.environ[CACHE] = before

    wrapped.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *shared)}
    return wrapped


def _in_section(annotation: Any, section: str) -> Any:
    """The type of an option that help shows in another section."""
    kind, option = get_args(annotation)
    option = copy(option)
    option.rich_help_panel = section
    return Annotated[kind, option]


def make_app() -> typer.Typer:
    """All commands, with the options of the members that are registered now."""
    app = typer.Typer(
        name="vaecli",
        cls=Group,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(**examples("vaecli train --latent-dim 3 --objective iwae --k 10"))(_app)
    for section, name, module, function in (
        ("Train", "train", train, settings_as_options(train.train, None, train.log_option())),
        ("Train", "search", search, settings_as_options(search.search, as_searched)),
        ("Look into runs", "sample", sample, sample.sample),
        ("Look into runs", "reconstruct", reconstruct, reconstruct.reconstruct),
        ("Look into runs", "encode", encode, encode.encode),
        ("Look into runs", "latent-plot", latent_plot, latent_plot.latent_plot),
        ("Look into runs", "score", score, score.score),
        ("Look into runs", "explore", explore, explore.explore),
        ("Look into runs", "export", export, export.export),
        ("Look into runs", "inpaint", inpaint, inpaint.inpaint),
        ("Look into runs", "compare", compare, compare.compare),
        ("Look into runs", "report", report, report.report),
        ("Keep order", "list", listing, listing.list_),
        ("Keep order", "show", show, show.show),
        ("Keep order", "rename", rename, rename.rename_),
        ("Keep order", "remove", remove, remove.remove_),
        ("Keep order", "prepare", prepare, prepare.prepare),
        ("Keep order", "cache", cached, cached.cache),
    ):
        whole = function if module in _OF_FILES else _with_shared_options(function, getattr(module, "EVERYDAY", ()))
        app.command(name, cls=Command, rich_help_panel=section, **module.HELP)(whole)
    return app


def __getattr__(name: str) -> object:
    if name == "app":
        return make_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


INTERRUPTED, CLOSED = 130, 141
"""The exit codes of a shell for a program that SIGINT or SIGPIPE ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; failures become one line on stderr.

    Args:
        arguments: without the program's name; None for those of the process.

    Returns:
        The exit code: 0 done, 1 the work could not be done, 2 wrong usage, 130 and 143 interrupted by Ctrl-C or SIGTERM, 141
        stdout is closed.
    """
    console.prepare()
    with Interruption(_leave) as interruption:
        try:
            code = _run(arguments, interruption)
        except (KeyboardInterrupt, typer.Abort):
            console.error("interrupted")
            code = INTERRUPTED
        if code and interruption.signal is None and torchrun.rank().local_rank:
            with suppress(KeyboardInterrupt):
                time.sleep(_PATIENCE)
    return 128 + interruption.signal if code == INTERRUPTED and interruption.signal else code


def _leave(number: int) -> None:
    console.stderr.show_cursor()  # a progress bar hides it
    leave(number)


def _refuse_empty(words: Sequence[str]) -> None:
    """Refuses an empty value, as a shell passes on a variable that is not set; as a path it would be the current folder.

    Raises:
        UsageError: there is one.
    """
    for before, word in zip(["vaecli", *words], words, strict=False):
        if not word or (word.startswith("--") and word.endswith("=")):
            raise UsageError(
                f"{(word or before).rstrip('=')}: found an empty value after it, expected one that is not; is a variable unset?"
            )


def _run(arguments: Sequence[str] | None, interruption: Interruption) -> int:
    words = sys.argv[1:] if arguments is None else list(arguments)
    known: dict[str, str | None] = {}
    try:
        _refuse_empty(words)
        _load_plugins(words)
        code = _group()(args=words, prog_name="vaecli", standalone_mode=False, obj=known)
        if sys.stdout is not None:  # None where a shell closed it
            sys.stdout.flush()
        if code == INTERRUPTED:
            console.error("interrupted")
        return code if isinstance(code, int) else 0
    except (VaecliError, typer.TyperException) as error:
        message = error.text(spelling(known.get(_INVOKED), words)) if isinstance(error, VaecliError) else _one_line(error)
        if message:
            interruption.end()  # torchrun ends a process of a command that failed in another
            console.error(message)
        return error.exit_code
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):  # completion exits so
            return error.code if isinstance(error.code, int) else 0
        console.close_output(sys.stdout)  # rich and typer turn BrokenPipeError into SystemExit
        return CLOSED
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        refusal = _system_error(error, known.get(_INVOKED))
        if refusal is None:
            raise
        console.error(refusal)
        return 1


def _missing_package(name: str) -> str | None:
    """The message for a package that is not installed; None for a module of vaecli or Python, whose lack is a bug."""
    if not name or name == "vaecli" or name in sys.stdlib_module_names:
        return None
    package = {"PIL": "pillow"}.get(name, name)
    return f"found no Python package {package}, which vaecli needs; install it with: pip install {package}"


def _one_line(error: typer.TyperException) -> str:
    """The message of Typer's for words that it cannot read; with the number that it found, which pydantic's has not."""
    cause, param = error.__cause__, getattr(error, "param", None)
    if isinstance(cause, ValueError) and hasattr(cause, "errors") and param is not None:
        refused = cause.errors()[0]
        if expected := _expected(refused["type"], refused.get("ctx", {})):
            return f"{param.opts[0]} {printable(format_value(refused['input']))}: expected {expected}"
    message = " ".join(error.format_message().split()).replace(": Value error, ", ": ", 1)  # pydantic's word
    return f"{message}; an option of a member of your own needs {flag('plugin')} FILE.py" if _is_unknown_setting(error) else message


def _is_unknown_setting(error: typer.TyperException) -> bool:
    """Whether an option is unknown to a command that takes settings, and is no misspelt one."""
    context, name = getattr(error, "ctx", None), getattr(error, "option_name", None)
    if not name or context is None or context.command.name not in ("train", "search"):
        return False
    near = get_close_matches(name, getattr(error, "possibilities", None) or (), cutoff=0.8)
    return all(name.startswith(f"{option}-") for option in near)


def _expected(kind: str, bounds: Mapping[str, Any]) -> str:
    """What was expected where a number is wrong, by pydantic's name of what is wrong with it; empty for all else."""
    match kind:
        case "int_parsing" | "int_from_float" | "int_parsing_size":
            return "a whole number"
        case "float_parsing":
            return "a number"
        case "greater_than_equal":
            return f"a number from {bounds['ge']:,}"
        case "less_than_equal":
            return f"a number up to {bounds['le']:,}"
        case _:
            return ""


def spelling(command: str | None, typed: Collection[str] = ()) -> Callable[[str, str], str]:
    """How messages of a command write a setting: as its option, or as that of another command where it has none.

    Args:
        command: the name of the command.
        typed: the words of the command line, whose names go first.
    """
    of_commands = _options()
    own = of_commands.get(command or "", set())

    def spell(name: str, value: str) -> str:
        others = (other for other, options in of_commands.items() if flag(name) in options)
        other = None if command is None or flag(name) in own else next(others, None)
        return as_option(name, value, typed) + (f" of vaecli {other}" if other else "")

    return spell


def _load_plugins(words: Sequence[str]) -> None:
    """Loads the members of installed packages, of VAECLI_PLUGIN and of each ``--plugin FILE`` among the words.

    A line that is being completed says them too.

    Raises:
        UsageError: a file cannot be used.
    """
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") if _COMPLETE in os.environ else None
    words = [*takewhile(lambda word: word != "--", words if typed is None else typed.split())]
    option = flag("plugin")
    named = [word for before, word in pairwise(words) if before == option and not word.startswith("-")]
    named += [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]
    try:
        plugins.load_installed()
        for file in named:
            plugins.load_plugin(file)
    except UsageError:
        if typed is None:
            raise


def _group() -> Group:
    """All commands."""
    return _group_of(plugins.known())


@cache
def _group_of(members: object) -> Group:
    """All commands with these members of the registry; making them takes 20 ms."""
    group = typer.main.get_command(make_app())
    assert isinstance(group, Group)
    return group


def _options() -> dict[str, set[str]]:
    """The options of each command."""
    return {name: options_of(command.params) for name, command in _group().commands.items()}


def _check_threads() -> None:
    """Sees whether the system lets this process start the threads that it computes with; OpenMP ends the process where not.

    Raises:
        VaecliError: it does not.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    count = int(given) if given.isdecimal() else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    enough = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(count + _OTHER_THREADS):
            started.append(threading.Thread(target=enough.wait, daemon=True))
            started[-1].start()
    except RuntimeError:
        raise VaecliError(
            f"not enough memory, or too few processes allowed, for {count} threads; type OMP_NUM_THREADS=1 before the line, or "
            "raise the limit (ulimit -u and ulimit -v, or the container's)"
        ) from None
    finally:
        enough.set()


def _system_error(error: Exception, command: str | None) -> str | None:
    """The message for an error of the system, memory that ran out or a package that is missing; None for any other, a bug."""
    if is_out_of_memory(error):
        own = _options().get(command or "", set())
        less = either(flag(name) for name in _SMALLER if flag(name) in own)
        fewer = either(flag(name) for name in _FEWER if flag(name) in own)
        advice = [f"try a smaller {less}"] * bool(less) + [f"{'' if less else 'try '}fewer images with {fewer}"] * bool(fewer)
        return f"not enough memory; {', or '.join(advice) or 'end other programs'}"
    if isinstance(error, ModuleNotFoundError):
        return _missing_package((error.name or "").partition(".")[0])
    if not isinstance(error, OSError):
        return None
    if error.filename is None:  # a file has a name, a stream has none
        console.close_output(sys.stdout)
        return f"stdout: cannot be written ({reason(error)}); send the output elsewhere"
    return f"{os.fsdecode(error.filename)}: cannot be used ({reason(error)}); check the path and its permissions"
