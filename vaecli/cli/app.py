"""The Typer app, and `main`, which turns every failure into one line and an exit code."""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Annotated

import typer

from vaecli import __version__, torchrun
from vaecli.cli import compare, console, encode, explore, inpaint, latent_plot, reconstruct, report, sample, search, train
from vaecli.cli.declare import example
from vaecli.cli.leave import leave
from vaecli.cli.signals import Interruption
from vaecli.command_line import as_option
from vaecli.errors import UsageError, VaecliError, is_out_of_memory, reason

app = typer.Typer(
    name="vaecli",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_OF_MANY_PROCESSES = ("train", "compare")
"""Commands that several processes of torchrun share; any other is run by the first of them."""

_OF_ONE_PROCESS = ("report", "search")
"""Commands that do not run under torchrun."""

_PATIENCE = 10
"""Seconds that a process which failed leaves the first one of its host to say why, before torchrun ends that too."""


def _version(asked: bool) -> None:
    if asked:
        console.result(f"vaecli {__version__}")
        raise typer.Exit()


@app.callback(**example("vaecli train --latent-dim 3 --objective iwae --k 10"))
def _app(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
) -> None:
    """Train, look into and compare variational autoencoders."""
    torchrun.check_launcher()
    torchrun.end_with_launcher()
    place = torchrun.place()
    if place.size > 1 and context.invoked_subcommand in _OF_ONE_PROCESS:
        raise UsageError(
            f"{context.invoked_subcommand}: found {place.size} processes of torchrun, expected one; leave torchrun out, or train "
            "runs one by one: torchrun ... -m vaecli train"
        )
    if not place.leads and context.invoked_subcommand not in _OF_MANY_PROCESSES:
        raise typer.Exit()  # the first process does it


app.command(**train.HELP)(train.train)
app.command(**search.HELP)(search.search)
app.command(**sample.HELP)(sample.sample)
app.command(**reconstruct.HELP)(reconstruct.reconstruct)
app.command(**encode.HELP)(encode.encode)
app.command("latent-plot", **latent_plot.HELP)(latent_plot.latent_plot)
app.command(**explore.HELP)(explore.explore)
app.command(**inpaint.HELP)(inpaint.inpaint)
app.command(**compare.HELP)(compare.compare)
app.command(**report.HELP)(report.report)


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
        if code and interruption.signal is None and torchrun.place().local_rank:
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
    try:
        _refuse_empty(words)
        code = app(args=words, prog_name="vaecli", standalone_mode=False)
        if sys.stdout is not None:  # None where a shell closed it
            sys.stdout.flush()
        if code == INTERRUPTED:
            console.error("interrupted")
        return code if isinstance(code, int) else 0
    except (VaecliError, typer.TyperException) as error:
        message = error.text(partial(as_option, typed=words)) if isinstance(error, VaecliError) else _one_line(error)
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
        refusal = _system_error(error)
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
    return " ".join(error.format_message().split()).replace(": Value error, ", ": ", 1)  # pydantic's word


def _system_error(error: Exception) -> str | None:
    """The message for an error of the system, memory that ran out or a package that is missing; None for any other, a bug."""
    if is_out_of_memory(error):
        return "not enough memory; try a smaller --hidden, --k or --batch-size, or fewer images with --n or --limit"
    if isinstance(error, ModuleNotFoundError):
        return _missing_package((error.name or "").partition(".")[0])
    if not isinstance(error, OSError):
        return None
    if error.filename is None:  # a file has a name, a stream has none
        console.close_output(sys.stdout)
        return f"stdout: cannot be written ({reason(error)}); send the output elsewhere"
    return f"{os.fsdecode(error.filename)}: cannot be used ({reason(error)}); check the path and its permissions"
