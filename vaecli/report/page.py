"""The page: one HTML file that asks nobody for anything but the pictures beside it."""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

VERDICTS = {True: ("yes", "Yes"), False: ("no", "No")}
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf")
"""Of the digits, as explorer.js and matplotlib have them."""


@dataclass(frozen=True)
class Picture:
    """A PNG beside the page.

    Attributes:
        path: relative to the page.
        width: pixels.
        height: pixels.
        what: what it shows of its figure, where there are several.
    """

    path: str
    width: int
    height: int
    what: str


@dataclass(frozen=True)
class Entry:
    """A figure on the page.

    Attributes:
        number: the report's.
        title: what it shows.
        claim: what the report says.
        finding: what was measured.
        verdict: a class name, and words; no words where no verdict is given.
        pictures: of it.
        text: printed by its command, where that draws nothing.
        command: the line that drew it.
    """

    number: int
    title: str
    claim: str
    finding: str
    verdict: tuple[str, str]
    pictures: list[Picture]
    text: str
    command: str


def assets() -> dict[str, str]:
    """The template, the style sheet and the script, by file name."""
    folder = resources.files("vaecli.report") / "assets"
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.is_file()}


def render(
    figures: list[Entry], runs: list[dict[str, Any]], explorer: dict[str, Any] | None, missing: list[str], versions: str,
    seconds: float, quick: bool,
) -> str:  # fmt: skip
    """The page's HTML.

    Args:
        figures: in their order.
        runs: the rows of the table of runs.
        explorer: what `vaecli.report.explorer.payload` gave, or None for a page without it.
        missing: what could not be drawn, and how to mend it.
        versions: of the programs that took part.
        seconds: that drawing and measuring took.
        quick: whether only a part of the data was used.
    """
    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    files = assets()
    data = json.dumps(explorer).replace("<", "\\u003c")
    return made.from_string(files["page.html.j2"]).render(
        figures=figures, runs=runs, explorer=explorer, missing=missing, versions=versions, seconds=f"{seconds:.0f}", quick=quick,
        colours=COLOURS, data=Markup(data), css=Markup(files["page.css"]), script=Markup(files["explorer.js"]),
    )  # fmt: skip
