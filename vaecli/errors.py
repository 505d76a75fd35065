"""The mistakes a user can make. Each message is one line: what was found, what was expected, what to type next."""


def printable(text: str) -> str:
    """The text on one line: what is no printable letter, such as a terminal's escape codes, is spelt out."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


class VaecliError(Exception):
    """A mistake that the user can mend; `vaecli.cli.main` prints it as one line and exits with `exit_code`."""

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
