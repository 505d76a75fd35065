"""Declarations of options, of the sections that help shows them in, and of the examples there."""

from typing import Any

import typer

ARGUMENTS, EVERYDAY, IMAGES, PICTURE, HELPING = "Arguments", "Everyday options", "Images", "Picture", "Help"
SEARCH, TABLE, ANNEALING, INFERENCE, BETWEEN = "Search", "Table", "Annealing", "Inference", "Between two images"
DATA, MODEL, OBJECTIVE, TRAINING, COMPUTING = "Data", "Model", "Objective", "Training", "Computing"
OUTPUT, OTHERS = "Output", "Members of your own"

SECTIONS = (
    ARGUMENTS, EVERYDAY, SEARCH, TABLE, ANNEALING, INFERENCE, IMAGES, BETWEEN, PICTURE, DATA, MODEL, OBJECTIVE, TRAINING, COMPUTING,
    OUTPUT, OTHERS, HELPING,
)  # fmt: skip
"""The sections of help, in their order; a command has some of them."""


def optional(help: str, panel: str, *names: str, show_default: str | bool = False, **more: Any) -> Any:
    """An option that need not be given, and whose help shows no default but one in words."""
    return typer.Option(*names, help=help, show_default=show_default, rich_help_panel=panel, **more)


def label_option(help: str, panel: str = DATA) -> Any:
    """``--digit``, which is also called ``--label``: a label's name or number."""
    return optional(help, panel, "--digit", "--label", metavar="LABEL")


def flag_option(name: str, help: str, panel: str) -> Any:
    """An option without a value."""
    return typer.Option(name, help=help, rich_help_panel=panel)


def examples(*lines: str) -> dict[str, Any]:
    """Settings of a command that end its help with lines to paste."""
    return {"epilog": "\n".join(lines)}
