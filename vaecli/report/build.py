"""The whole report: trains what is missing, draws and measures what is not up to date, and writes the page."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from vaecli import __version__
from vaecli.config import Config
from vaecli.data import Read
from vaecli.device import resolve_device
from vaecli.explorer.payload import POINTS, payload
from vaecli.files import make_folder, write_file
from vaecli.reading import digest_of
from vaecli.report.definitions import Figure, Settings
from vaecli.report.draw import draw
from vaecli.report.evidence import Evidence, evidence
from vaecli.report.figures import FIGURES
from vaecli.report.finding import Finding
from vaecli.report.page import assets, entry, render, row_of
from vaecli.report.plots import KINDS
from vaecli.report.progress import OnPart, OnStep, Progress
from vaecli.report.runs import EXPLORED, config_of, configs_of, epochs_of, finished, folder_for, missing_data, needs_fashion
from vaecli.report.shared import Shared
from vaecli.report.state import State
from vaecli.runs.find import MODEL
from vaecli.runs.run import Run, read_run
from vaecli.runs.train import train as train_run

QUICK: Settings = {"limit": 2000, "epochs": 1}
"""The settings that a quick pass changes in all runs."""

STATE, PAGE = "report.json", "index.html"

Train = Callable[[Config, Path, OnStep, Read], object]
"""Trains a run with these settings in this folder, calls the third argument with its steps, and reads images by the fourth."""


@dataclass(frozen=True)
class Report:
    """A report that is up to date.

    Attributes:
        page: the file.
        state: the file that records what the page was made from.
        runs: the folders of its runs.
        figures: what `State` keeps of each figure, by number.
        drawn: the numbers of the figures that were drawn anew.
        written: whether the page was written anew.
        missing: sentences on figures that could not be drawn, and why.
    """

    page: Path
    state: Path
    runs: list[Path]
    figures: dict[int, dict[str, Any]]
    drawn: list[int]
    written: bool
    missing: list[str]

    @property
    def files(self) -> list[Path]:
        """The page, the state, the pictures and the data of plots."""
        pictures = [file["path"] for kept in self.figures.values() for file in (*kept["pictures"], *kept["plots"])]
        return [self.page, self.state, *(self.page.parent / picture for picture in pictures)]

    def to_json(self) -> dict[str, Any]:
        """JSON values; docs/json.md lists them."""
        findings = {str(number): kept["finding"] for number, kept in self.figures.items()}
        return {"page": str(self.page), "drawn": self.drawn, "figures": findings, "missing": self.missing}


@dataclass
class _Work:
    """The runs, settings and state that all figures are made with."""

    out: Path
    state: State
    device: str
    quick: bool
    change: Settings
    folders: dict[Config, Path]
    shared: Shared
    _loaded: dict[Path, Run] = field(default_factory=dict)
    _digests: dict[Path, str] = field(default_factory=dict)

    def folder(self, settings: Settings) -> Path:
        return self.folders[config_of(settings, self.change)]

    def run(self, settings: Settings) -> Run:
        """The run with these settings; loaded once."""
        folder = self.folder(settings)
        if folder not in self._loaded:
            self._loaded[folder] = read_run(folder)
        return self._loaded[folder]

    def digest(self, settings: Settings) -> str:
        """The digest of a run's weights and settings; computed once."""
        folder = self.folder(settings)
        if folder not in self._digests:
            self._digests[folder] = digest_of(folder / MODEL)
        return self._digests[folder]

    def line(self, figure: Figure[Any], device: str) -> list[str]:
        """The words of the command line that draws a figure, when drawn on this device."""
        options = figure.options_for(self.quick)
        if figure.draws:
            options |= {"out": self.out / figure.folder} | ({} if device == "auto" else {"device": device})
        return figure.words([str(self.folder(settings)) for settings in figure.trains], options)


def build(
    out: str | Path,
    figures: Sequence[Figure[Any]] = FIGURES,
    *,
    change: Settings | None = None,
    explorer: bool = True,
    quick: bool = False,
    device: str = "auto",
    train: Train | None = None,
    on_part: OnPart = lambda done, description: None,
) -> Report:
    """Brings a report up to date: runs under ``checkpoints/``, pictures and the page in a folder.

    Args:
        out: the folder of the page.
        figures: the figures of the page.
        change: settings that all runs have instead of their own; QUICK for a quick pass if not given.
        explorer: whether the page has the explorer of latent spaces, whose runs are then trained too.
        quick: draw and measure on a small part of the data, and give no verdicts.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        train: trains a run; `vaecli.train` if not given.
        on_part: called with the parts of all work that are done, out of `vaecli.report.progress.PARTS`.

    Raises:
        VaecliError: settings, data or files are at fault, or training diverged. What was trained and drawn is kept.
    """
    out = Path(out)
    resolve_device(device)
    make_folder(out)
    shared = Shared()
    missing = missing_data(figures, shared.read)
    figures = [figure for figure in figures if not missing or not needs_fashion(figure)]
    change = (QUICK if quick else {}) if change is None else change
    configs = configs_of(figures, change, explorer, quick)
    folders = finished(configs, shared.read)
    progress = Progress(on_part, sum(epochs_of(config) for config in configs if config not in folders), len(figures))
    train = train or (lambda config, folder, _, read: train_run(config, folder, device=device, read=read))
    for config in configs:
        if config not in folders:
            folders[config] = _trained(config, train, progress, shared.read)
    work = _Work(out, State.read(out / STATE), device, quick, change, folders, shared)
    for figure in figures:
        progress.say(f"Figure {figure.number}")
        _bring_up_to_date(figure, work)
        progress.drawn()
    written = _write_page(figures, work, missing)
    kept = {figure.number: work.state.figures[str(figure.number)] for figure in figures}
    return Report(out / PAGE, out / STATE, list(folders.values()), kept, work.state.drawn, written, missing)


def _trained(config: Config, train: Train, progress: Progress, read: Read) -> Path:
    folder = folder_for(config, read)
    train(config, folder, progress.training(epochs_of(config), folder.name), read)
    progress.trained(epochs_of(config))
    return folder


def _bring_up_to_date(figure: Figure[Any], work: _Work) -> None:
    """Draws and measures a figure, unless that was done with the same runs."""
    measured = figure.runs(work.quick)
    digests = [work.digest(settings) for of_seed in measured for settings in of_seed]
    key = _key([__version__, repr(figure), work.quick, digests])
    before = work.state.figures.get(str(figure.number), {})
    if before.get("key") == key and _is_whole(before, work.out):
        return
    start = time.perf_counter()
    folder = work.out / figure.folder
    if figure.draws:
        make_folder(folder)
    seeds = [[work.run(settings) for settings in of_seed] for of_seed in measured]
    drawn = draw(figure, seeds[0][: len(figure.trains)], folder, resolve_device(work.device), work.quick, work.shared)
    finding = find(figure, evidence(seeds, drawn.measured, work.shared, work.quick))
    work.state.figures[str(figure.number)] = {
        "key": key,
        "finding": asdict(finding),
        "pictures": [_picture(path, kind, work.out) for kind, path in drawn.pictures.items()],
        "plots": [
            {"path": str(path.relative_to(work.out)), "kind": kind, "sha256": digest_of(path)} for kind, path in drawn.plots.items()
        ],
        "text": drawn.text,
        "device": work.device,
        "seconds": round(time.perf_counter() - start, 1),
    }
    work.state.drawn.append(figure.number)
    work.state.keep()


def _is_whole(kept: dict[str, Any], out: Path) -> bool:
    """Whether a figure's pictures are there, and the data of its plots as they were written."""
    return all((out / picture["path"]).is_file() for picture in kept["pictures"]) and all(
        plot["kind"] in KINDS and (out / plot["path"]).is_file() and digest_of(out / plot["path"]) == plot["sha256"]
        for plot in kept["plots"]
    )


@torch.inference_mode()
def find(figure: Figure[Any], evidence: Evidence) -> Finding:
    """The finding of a figure; its numbers alone in a quick pass."""
    judged: Finding = figure.judge(figure.measure(evidence))
    return judged.without_verdict() if evidence.quick else judged


def _picture(path: Path, kind: str, out: Path) -> dict[str, Any]:
    with Image.open(path) as picture:
        return {"path": str(path.relative_to(out)), "width": picture.width, "height": picture.height, "what": kind}


def _write_page(figures: Sequence[Figure[Any]], work: _Work, missing: list[str]) -> bool:
    """Writes the page, unless it is up to date."""
    kept = [work.state.figures[str(figure.number)] for figure in figures]
    explored = [settings for settings in EXPLORED if config_of(settings, work.change) in work.folders]
    digests = [work.digest(settings) for settings in explored]
    lines = [work.line(figure, was["device"]) for figure, was in zip(figures, kept, strict=True)]
    key = _key([assets(), [was["key"] for was in kept], lines, digests, missing, __version__])
    page = work.out / PAGE
    if work.state.page == key and page.is_file():
        return False
    shown = [work.shared.images(Config(), "test")[:POINTS]] * len(explored)
    explorer = payload([work.run(settings) for settings in explored], shown) if explored else None
    entries = [entry(figure, state, line, work.out) for figure, state, line in zip(figures, kept, lines, strict=True)]
    rows = [row_of(config, folder) for config, folder in work.folders.items()]
    html = render(entries, rows, explorer, missing, sum(was["seconds"] for was in kept), work.quick)
    write_file(page, html.encode())
    work.state.page = key
    work.state.keep()
    return True


def _key(values: list[Any]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
