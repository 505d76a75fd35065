"""The end of a process that has not begun to work. Imports next to nothing, so that Ctrl-C is handled from the start."""

import os


def leave(number: int, _frame: object = None) -> None:
    """Ends the process at once, with one line and the exit code of the signal `number`; a handler of signals.

    Of the processes that torchrun started on a host only the first one says the line.
    """
    try:
        if "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("LOCAL_RANK") == "0":
            os.write(2, b"vaecli: interrupted\n")
    finally:  # also if stderr is closed
        os._exit(128 + number)
