"""The mistakes a user can make. Each message is one line: what was found, what was expected, what to type next."""

from unicodedata import category


def printable(text: str) -> str:
    """The text on one line, with line breaks, terminal escapes and other letters that cannot be printed spelt out."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or category(letter) == "Zs" else ascii(letter)[1:-1] for letter in text)


def reason(error: OSError) -> str:
    """Why the system refused something, such as ``permission denied``."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, the processor's or a GPU's; torch has a class of its own for some cases only."""
    signs = ("allocate memory", "not enough memory", "out of memory", "alloc_failed")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | ImportError) and any(sign in str(error).lower() for sign in signs)
    )


class VaecliError(Exception):
    """A mistake that the user can mend; `vaecli.cli.app.main` prints it as one line and exits with `exit_code`."""

    exit_code = 1

    def __str__(self) -> str:
        return printable(super().__str__())


class UsageError(VaecliError):
    """An option or a combination of options that makes no sense."""

    exit_code = 2


class DataError(VaecliError):
    """A data set or picture that is missing or is not what its format says."""


class CheckpointError(VaecliError):
    """A run or checkpoint that is missing, damaged or not ours."""


class TrainingError(VaecliError):
    """Training that cannot go on, such as a loss that is no longer a number."""


class Interrupted(VaecliError):
    """Training that was told to stop, by Ctrl-C or SIGTERM; exits as a shell expects of that signal."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal
