"""The page: one HTML file that loads nothing but the pictures beside it."""

import csv
import io
import itertools
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
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
from vaecli.report.definitions import SEEDS, Figure
from vaecli.report.plots import KINDS
from vaecli.report.svg import svg
from vaecli.report.verdicts import NO, UNCLAIMED, YES, Family, number_word
from vaecli.runs.find import read_log

_MOST_DATA = 20_000_000
"""Bytes of a plot's data; those of 5,000 points are half a million."""

_MACHINE = f"{sys.platform} on {platform.machine()}"

CLASSES = {YES: "yes", NO: "no", UNCLAIMED: "quiet"}
"""Of verdicts, in the style sheet; all others have one of their own."""


def entry(figure: Figure, kept: Mapping[str, Any], line: Sequence[str], out: Path) -> dict[str, Any]:
    """A figure as the page's template has it.

    Args:
        figure: what it shows and claims.
        kept: what `vaecli.report.state.State` keeps of it.
        line: the words of the command that draws it.
        out: the page's folder.
    """
    finding = kept["finding"]
    verdict = finding["verdict"]
    return {
        "figure": figure,
        "ours": finding["ours"],
        "finding": " ".join(filter(None, (finding["text"], finding["reading"]))),
        "verdict": (CLASSES.get(verdict, "part") if verdict else "quiet", verdict[:1].upper() + verdict[1:] or "No verdict"),
        "why": finding["why"],
        "pictures": [picture | {"caption": _caption(picture["what"], line)} for picture in kept["pictures"]],
        "plots": [_drawing(out, plot["path"], plot["kind"]) for plot in kept["plots"]],
        "text": kept["text"],
        "command": printable(shlex.join(["vaecli", *line])),
    }


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
    figures: list[dict[str, Any]], runs: list[dict[str, Any]], explorer: dict[str, Any] | None, missing: list[str],
    seconds: float, quick: bool, family: Family,
) -> str:  # fmt: skip
    """The page's HTML.

    Args:
        figures: the values of `entry`, in their order.
        runs: the rows of the table of runs.
        explorer: the value of `vaecli.explorer.payload.payload`; None for a page without it.
        missing: sentences on what could not be drawn, and how to mend it.
        seconds: how long drawing and measuring took.
        quick: whether only a part of the data was used.
        family: the differences that were decided together.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    files = assets()
    parts = component(explorer) if explorer else None
    versions = f"vaecli {__version__}", f"Python {platform.python_version()}", f"torch {torch.__version__}", _MACHINE
    return environment.from_string(files["page.html.j2"]).render(
        figures=figures, runs=runs, explorer=parts, missing=missing, versions=", ".join(versions),
        seconds=f"{seconds:.0f}", quick=quick, family=family,
        seeds=number_word(len(SEEDS)), seeded=", ".join(str(each["figure"].number) for each in figures if each["figure"].compares),
        css=Markup(files["page.css"]), script=Markup(files["page.js"]),
    )  # fmt: skip
