"""Declarations of options, and of the example in a command's help."""

from typing import Any

import typer

COMPUTING, DATA, OTHERS, OUTPUT, TRAINING = "Computing", "Data", "Members of your own", "Output", "Training"
"""Headings in ``--help``."""


def optional(help: str, panel: str | None = None, *names: str, **more: Any) -> Any:
    """An option that need not be given, and whose help shows no default."""
    return typer.Option(*names, help=help, show_default=False, rich_help_panel=panel, **more)


def label_option(help: str, panel: str | None = DATA) -> Any:
    """``--digit``, which is also called ``--label``: a label's name or number."""
    return optional(help, panel, "--digit", "--label", metavar="LABEL")


def flag_option(name: str, help: str, panel: str) -> Any:
    """An option without a value."""
    return typer.Option(name, help=help, rich_help_panel=panel)


def example(line: str) -> dict[str, Any]:
    """Settings of a command that end its help with one line to paste."""
    return {"epilog": f"Example: {line}"}
