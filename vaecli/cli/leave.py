"""The end of a process that has begun nothing. Imports next to nothing, so that Ctrl-C finds it there from the start."""

import os


def leave(number: int, _frame: object = None) -> None:
    """Ends the process at once, with one line, as the signal `number` has it; a handler of signals."""
    try:
        os.write(2, b"vaecli: interrupted\n")
    finally:  # even where nobody reads the line
        os._exit(128 + number)
