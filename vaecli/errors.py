"""The mistakes a user can make. Each message is one line: what was found, what was expected, what to type next."""

import re
from collections.abc import Callable, Iterable
from errno import ENOMEM
from pathlib import PurePath
from unicodedata import category

_SETTING = re.compile(r"\{(\w+)(?:=([^{}]*))?\}")


def printable(text: str) -> str:
    """The text on one line, with line breaks, terminal escapes and other letters that cannot be printed spelt out."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or category(letter) == "Zs" else ascii(letter)[1:-1] for letter in text)


def reason(error: OSError) -> str:
    """Why the system refused something, such as ``permission denied``."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


_NO_MEMORY = (
    "allocate memory", "not enough memory", "out of memory", "alloc_failed", "bad_alloc", "failed to map segment",
    "start new thread", "thread creation failed", "create thread",
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, the processor's or a GPU's, or the threads and processes that the system allows.

    Libraries say so in many ways: while they are loaded, too.
    """
    if isinstance(error, BlockingIOError) and not hasattr(error, "characters_written"):  # of a process, not of a stream
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == ENOMEM
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | ImportError | OSError) and any(sign in str(error).lower() for sign in _NO_MEMORY)
    )


def format_value(value: object) -> str:
    """A setting's value as a person types it: lists with commas, numbers short."""
    if isinstance(value, list | tuple):
        return ",".join(map(format_value, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if isinstance(value, PurePath) else text[:60]


_IN_PYTHON = {"from": "init"}
"""Settings that are called otherwise in Python, where `from` is a keyword."""


def in_python(name: str, value: str) -> str:
    """A setting as a caller in Python writes it: ``k=0``."""
    if name == "plugin" and value:
        return f"vaecli.load_plugin({value!r})"
    name = _IN_PYTHON.get(name, name)
    return f"{name}={value}" if value else name


class VaecliError(Exception):
    """A mistake that the user can mend.

    Args:
        message: one line: what was found, what was expected, what to do next. Settings stand in braces, so that the command
            line can write them as its options: ``{k}`` with its value, ``{k=5}`` with this value, ``{k=}`` the name alone.
        settings: the values of settings in the message.

    Example:
        >>> str(vaecli.VaecliError("{k}: expected a whole number from 1, such as {k=5}", k=0))
        'k=0: expected a whole number from 1, such as k=5'
    """

    exit_code = 1

    def __init__(self, message: str, **settings: object) -> None:
        super().__init__(message)
        self.message, self.settings = message, settings

    def text(self, spell: Callable[[str, str], str] = in_python) -> str:
        """The message on one line, each setting written by `spell`, which takes its name and its value (empty for none)."""

        def spelled(match: re.Match[str]) -> str:
            name, value = match.groups()
            if value is None and name not in self.settings:
                return match[0]
            return spell(name, format_value(self.settings[name]) if value is None else value)

        return printable(_SETTING.sub(spelled, self.message))

    def reworded(self, kind: "type[VaecliError]", before: str = "", after: str = "", **more: object) -> "VaecliError":
        """The same mistake as an error of another kind, with text, and the settings in it, around its message."""
        return kind(f"{before}{self.message}{after}", **self.settings, **more)

    def __str__(self) -> str:
        return self.text()


class UsageError(VaecliError):
    """An option or a combination of options that makes no sense."""

    exit_code = 2


class DataError(VaecliError):
    """A data set or picture that is missing or is not what its format says."""


class CheckpointError(VaecliError):
    """A run or checkpoint that is missing, damaged or not ours."""


class TrainingError(VaecliError):
    """Training that cannot go on, such as a loss that is no longer a number."""


class Diverged(TrainingError):
    """Training whose loss became too large to fall again, or no number.

    Args:
        message: as for `VaecliError`.
        epoch: in which it did, from 1.
        settings: likewise.
    """

    def __init__(self, message: str, epoch: int, **settings: object) -> None:
        super().__init__(message, **settings)
        self.epoch = epoch


class ProcessError(VaecliError):
    """Another process of a run that ended or cannot be reached."""


class Interrupted(VaecliError):
    """Training that Ctrl-C or SIGTERM stopped; the exit code is that of the signal."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal


def either(words: Iterable[str]) -> str:
    """Words with commas and an `or` between them."""
    *first, last = [*words] or [""]
    return f"{', '.join(first)} or {last}" if first else last
