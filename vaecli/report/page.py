"""The page: one HTML file that loads nothing but the pictures beside it."""

import csv
import io
import itertools
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from vaecli import __version__
from vaecli.command_line import train_line
from vaecli.config import Config
from vaecli.errors import printable
from vaecli.explorer.page import assets as explorer_assets
from vaecli.explorer.page import component
from vaecli.reading import read_file
from vaecli.report.definitions import Figure
from vaecli.report.plots import KINDS
from vaecli.report.svg import svg
from vaecli.report.verdicts import NO, UNCLAIMED, YES
from vaecli.runs.find import read_log

_MOST_DATA = 20_000_000
"""Bytes of a plot's data; those of 5,000 points are half a million."""

CLASSES = {YES: "yes", NO: "no", UNCLAIMED: "quiet"}
"""Of verdicts, in the style sheet; all others have one of their own."""


@dataclass(frozen=True)
class Entry:
    """A figure on the page.

    Attributes:
        figure: what it shows and claims, and how the verdict is reached.
        ours: the numbers that decide the verdict.
        finding: what was measured.
        verdict: a class name, and words; no words where no verdict is given.
        pictures: files beside the page: their path, size, what they show of the figure, and a caption.
        plots: inside the page: their SVGs, legend and the CSV that they are made from.
        text: printed by its command, if that draws nothing.
        command: the line that drew it.
    """

    figure: Figure
    ours: str
    finding: str
    verdict: tuple[str, str]
    pictures: list[dict[str, Any]]
    plots: list[dict[str, Any]]
    text: str
    command: str


def entry(figure: Figure, kept: Mapping[str, Any], line: Sequence[str], out: Path) -> Entry:
    """A figure on the page in the folder `out`, from what `vaecli.report.state.State` keeps of it and the line that draws it."""
    finding = kept["finding"]
    verdict = finding["verdict"]
    return Entry(
        figure,
        finding["ours"],
        " ".join(filter(None, (finding["text"], finding["reading"]))),
        (CLASSES.get(verdict, "part"), verdict[:1].upper() + verdict[1:]),
        [picture | {"caption": _caption(picture["what"], line)} for picture in kept["pictures"]],
        [_drawing(out, plot["path"], plot["kind"]) for plot in kept["plots"]],
        kept["text"],
        printable(shlex.join(["vaecli", *line])),
    )


def _caption(what: str, line: Sequence[str]) -> str:
    """The parts of a picture that a line draws, of one run or two."""
    runs = [printable(Path(word).name) for word in itertools.takewhile(lambda word: not word.startswith("-"), line[1:])]
    if line[0] == "inpaint":
        return "From left to right: the image, what is seen of it, fills drawn by the model, and the mean of many fills."
    if what == "reconstructions":
        return f"Test images, and beside them of {' and of '.join(runs)}: the mean of each reconstruction, and a draw."
    if what != "samples":
        return ""
    if len(runs) == 1:
        return "Samples from the prior: their means on the left, draws on the right."
    return f"Samples from the prior, on the left of {' and on the right of '.join(runs)}: their means above, draws below."


def _drawing(out: Path, path: str, kind: str) -> dict[str, Any]:
    plots = KINDS[kind](list(csv.DictReader(io.StringIO(read_file(out / path, _MOST_DATA).decode()))))
    return {"svgs": [svg(plot, assets()["plot.svg.j2"]) for plot in plots.plots], "legend": plots.legend, "data": path}


def row_of(config: Config, folder: Path) -> dict[str, Any]:
    """A row of the table of runs.

    Raises:
        CheckpointError: the run's loss log is missing or damaged.
    """
    log, usual = read_log(folder), Config().to_json()
    settings = {
        name: value
        for name, value in config.to_json().items()
        if value not in (None, usual.get(name)) and name not in ("binarize", "label_fraction")
    }
    return {
        "name": printable(folder.name),
        "command": printable(train_line(settings, folder.name if folder.name != config.run_name else None)),
        "seed": config.seed,
        "epochs": config.epochs,
        "loss": f"{-log[-1]['test_elbo']:.2f}",
        "seconds": f"{sum(row['seconds'] for row in log):.1f}",
    }


def assets() -> dict[str, str]:
    """The template, the style sheet and the script, by file name; those of the explorer under ``explorer/``."""
    folder = resources.files("vaecli.report") / "assets"
    own = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.is_file()}
    return own | {f"explorer/{name}": text for name, text in explorer_assets().items()}


def render(
    figures: list[Entry], runs: list[dict[str, Any]], explorer: dict[str, Any] | None, missing: list[str],
    seconds: float, quick: bool,
) -> str:  # fmt: skip
    """The page's HTML.

    Args:
        figures: in their order.
        runs: the rows of the table of runs.
        explorer: the value of `vaecli.explorer.payload.payload`; None for a page without it.
        missing: sentences on what could not be drawn, and how to mend it.
        seconds: that drawing and measuring took.
        quick: whether only a part of the data was used.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    files = assets()
    parts = component(explorer) if explorer else None
    return environment.from_string(files["page.html.j2"]).render(
        figures=figures, runs=runs, explorer=parts, missing=missing, versions=_versions(), seconds=f"{seconds:.0f}", quick=quick,
        seeded=", ".join(str(each.figure.number) for each in figures if each.figure.compares),
        css=Markup(files["page.css"]), script=Markup(files["page.js"]),
    )  # fmt: skip


def _versions() -> str:
    parts = f"vaecli {__version__}", f"Python {platform.python_version()}", f"torch {torch.__version__}"
    return ", ".join((*parts, f"{sys.platform} on {platform.machine()}"))
