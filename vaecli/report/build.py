"""The whole report: trains what is missing, draws and measures what is not up to date, and writes the page."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from vaecli import __version__
from vaecli.config import Config
from vaecli.data import Read
from vaecli.device import resolve_device
from vaecli.errors import DataError, printable
from vaecli.explorer.payload import POINTS, payload
from vaecli.files import make_folder, write_file
from vaecli.reading import digest_of
from vaecli.report.definitions import IWAE10, Z2, Figure, Settings
from vaecli.report.draw import draw
from vaecli.report.evidence import QUICK_TEST, Evidence, Shared
from vaecli.report.figures import FIGURES
from vaecli.report.page import assets, entry, render, row_of
from vaecli.report.plots import KINDS
from vaecli.report.state import State
from vaecli.report.verdicts import Family, Finding, judged, settled
from vaecli.runs.find import MODEL
from vaecli.runs.reuse import Same, finished, folder_for
from vaecli.runs.run import Run, read_run
from vaecli.runs.train import train as train_run
from vaecli.training.loop import steps_per_epoch

QUICK: Settings = {"limit": 2000, "epochs": 1}
"""The settings that a quick pass changes in all runs."""

EXPLORED = (Z2, IWAE10)
"""The runs whose latent spaces the page lets its reader explore."""

QUICK_GIVES_NONE = "no verdict: a quick pass trains little, and measures a part of the images with one seed"

STATE, PAGE = "report.json", "index.html"

PARTS = 1000
"""The number of parts that all work is counted in."""

DRAWING = 0.5
"""The time that a figure takes, in epochs of the baseline."""

OnPart = Callable[[int, str], None]
"""Called with how many of PARTS are done, and a description of the work."""

OnStep = Callable[[int, str | None, int | None], None]
"""Called with the steps of a run that are done, a description, and all steps."""

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
        family: the differences that were decided together.
    """

    page: Path
    state: Path
    runs: list[Path]
    figures: dict[int, dict[str, Any]]
    drawn: list[int]
    written: bool
    missing: list[str]
    family: Family

    @property
    def files(self) -> list[Path]:
        """The page, the state, the pictures and the data of plots."""
        pictures = [file["path"] for kept in self.figures.values() for file in (*kept["pictures"], *kept["plots"])]
        return [self.page, self.state, *(self.page.parent / picture for picture in pictures)]

    def to_json(self) -> dict[str, Any]:
        """JSON values; docs/json.md lists them."""
        findings = {
            str(number): {name: value for name, value in kept["finding"].items() if name != "outcomes"}
            for number, kept in self.figures.items()
        }
        return {
            "page": str(self.page),
            "drawn": self.drawn,
            "figures": findings,
            "family": asdict(self.family),
            "missing": self.missing,
        }


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

    def folder(self, settings: Settings) -> Path:
        return self.folders[_config(settings, self.change)]

    def run(self, settings: Settings) -> Run:
        """The run with these settings; loaded once."""
        folder = self.folder(settings)
        return self.shared.once(("run", folder), lambda: read_run(folder))

    def digest(self, settings: Settings) -> str:
        """The digest of a run's weights and settings; computed once."""
        folder = self.folder(settings)
        return self.shared.once(("digest", folder), lambda: digest_of(folder / MODEL))

    def line(self, figure: Figure, device: str) -> list[str]:
        """The words of the command line that draws a figure, when drawn on this device."""
        options = figure.options_for(self.quick)
        if figure.draws:
            options |= {"out": self.out / figure.folder} | ({} if device == "auto" else {"device": device})
        return figure.words([str(self.folder(settings)) for settings in figure.trains], options)


def build(
    out: str | Path,
    figures: Sequence[Figure] = FIGURES,
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
        on_part: called with the parts of all work that are done, out of PARTS.

    Raises:
        VaecliError: settings, data or files are at fault, or training diverged. What was trained and drawn is kept.
    """
    out = Path(out)
    resolve_device(device)
    make_folder(out)
    shared = Shared()
    missing = _missing_data(figures, shared)
    figures = [figure for figure in figures if not missing or not figure.needs_fashion]
    change = (QUICK if quick else {}) if change is None else change
    needed = [settings for figure in figures for of_seed in figure.runs(quick) for settings in of_seed]
    configs = list(dict.fromkeys(_config(settings, change) for settings in (*needed, *(EXPLORED if explorer else ()))))
    folders = finished(configs, _same_images(shared))
    train = train or (lambda config, folder, _, read: train_run(config, folder, device=device, read=read))
    every, done = sum(_epochs(config) for config in configs if config not in folders) + DRAWING * len(figures), 0.0

    def show(description: str, more: float = 0) -> None:
        on_part(round(PARTS * (done + more) / max(1e-9, every)), description)

    missing_runs = [config for config in configs if config not in folders]
    for number, config in enumerate(missing_runs, 1):
        folder, epochs = folder_for(config, _same_images(shared)), _epochs(config)

        run = f"Run {number} of {len(missing_runs)}: {folder.name}"

        def on_step(steps: int, doing: str | None, total: int | None, run: str = run, epochs: float = epochs) -> None:
            show(f"{run} {(doing or '').lower()}", epochs * steps / (total or max(1, steps)))

        train(config, folder, on_step, shared.read)
        folders[config] = folder
        done += epochs
    work = _Work(out, State.read(out / STATE), device, quick, change, folders, shared)
    for place, figure in enumerate(figures, 1):
        show(f"Figure {figure.number}, {place} of {len(figures)}")
        _bring_up_to_date(figure, work)
        done += DRAWING
    kept = {figure.number: work.state.figures[str(figure.number)] for figure in figures}
    findings, family = settled([Finding.from_json(was["finding"]) for was in kept.values()])
    for was, finding in zip(kept.values(), findings, strict=True):
        was["finding"] = asdict(finding)
    written = _write_page(figures, work, missing, family)
    return Report(out / PAGE, out / STATE, list(folders.values()), kept, work.state.drawn, written, missing, family)


def _config(settings: Settings, change: Settings) -> Config:
    return Config(**{**settings, **change})


def _epochs(config: Config) -> float:
    """The time that a run trains, roughly, in epochs of the baseline."""
    return config.number("epochs") * (0.6 + 0.4 * (config.k or 1)) * (6 if config.arch == "conv" else 1)


def _same_images(shared: Shared) -> Same:
    """Whether a run's images are the data set's own."""
    return lambda config, data: data.test == shared.images(config, "test").digest


def _missing_data(figures: Sequence[Figure], shared: Shared) -> list[str]:
    """A sentence on the figures that need Fashion-MNIST if it is not there, and how to get it; else nothing."""
    numbers = [str(figure.number) for figure in figures if figure.needs_fashion]
    try:
        if numbers:
            shared.images(Config(dataset="fashion-mnist"), "test")
    except DataError as error:
        return [f"figures {' and '.join(numbers)} are not drawn: {error}"]
    return []


def _bring_up_to_date(figure: Figure, work: _Work) -> None:
    """Draws and measures a figure, unless that was done with the same runs."""
    measured = figure.runs(work.quick)
    digests = [work.digest(settings) for of_seed in measured for settings in of_seed]
    short = _too_short(measured[0], work) if work.change and not work.quick else ""
    key = _key([__version__, repr(figure), work.quick, short, digests])
    before = work.state.figures.get(str(figure.number), {})
    if before.get("key") == key and _is_whole(before, work.out):
        return
    start = time.perf_counter()
    folder = work.out / figure.folder
    if figure.draws:
        make_folder(folder)
    seeds = [[work.run(settings) for settings in of_seed] for of_seed in measured]
    drawn = draw(figure, seeds[0][: len(figure.trains)], folder, resolve_device(work.device), work.quick, work.shared)
    config = seeds[0][0].config if seeds[0] else Config()
    test = work.shared.images(config, "test")[: QUICK_TEST if work.quick else None]
    finding = find(figure, Evidence(seeds, test, lambda: work.shared.images(config, "train"), work.quick, work.shared, short))
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


def _too_short(measured: Sequence[Settings], work: _Work) -> str:
    """Why runs of these settings, changed as the report's are, decide nothing: the first that makes too few updates."""
    for settings in measured:
        own, made = (_updates(_config(settings, change), work.shared) for change in ({}, work.change))
        if made < own:
            name = printable(work.folder(settings).name)
            return f"no verdict: {name} was trained for {made:,} updates, expected {own:,}, those of the claim's own settings"
    return ""


def _updates(config: Config, shared: Shared) -> int:
    """How many steps a run of these settings makes."""
    return config.number("epochs") * steps_per_epoch(shared.images(config, "train")[: config.limit], config)


def _is_whole(kept: dict[str, Any], out: Path) -> bool:
    """Whether a figure's pictures are there, and the data of its plots as they were written."""
    return all((out / picture["path"]).is_file() for picture in kept["pictures"]) and all(
        plot["kind"] in KINDS and (out / plot["path"]).is_file() and digest_of(out / plot["path"]) == plot["sha256"]
        for plot in kept["plots"]
    )


@torch.inference_mode()
def find(figure: Figure, evidence: Evidence) -> Finding:
    """The finding of a figure; its numbers alone in a quick pass, and of models that were trained too little."""
    finding = judged(figure.judge, figure.measure(evidence))
    none = QUICK_GIVES_NONE if evidence.quick else evidence.short
    return finding.without_verdict(none) if none else finding


def _picture(path: Path, kind: str, out: Path) -> dict[str, Any]:
    with Image.open(path) as picture:
        return {"path": str(path.relative_to(out)), "width": picture.width, "height": picture.height, "what": kind}


def _write_page(figures: Sequence[Figure], work: _Work, missing: list[str], family: Family) -> bool:
    """Writes the page, unless it is up to date."""
    kept = [work.state.figures[str(figure.number)] for figure in figures]
    explored = [settings for settings in EXPLORED if _config(settings, work.change) in work.folders]
    digests = [work.digest(settings) for settings in explored]
    lines = [work.line(figure, was["device"]) for figure, was in zip(figures, kept, strict=True)]
    key = _key([assets(), [[was["key"], was["finding"]] for was in kept], lines, digests, missing, __version__])
    page = work.out / PAGE
    if work.state.page == key and page.is_file():
        return False
    shown = [work.shared.images(Config(), "test")[:POINTS]] * len(explored)
    explorer = payload([work.run(settings) for settings in explored], shown) if explored else None
    entries = [entry(figure, state, line, work.out) for figure, state, line in zip(figures, kept, lines, strict=True)]
    rows = [row_of(config, folder) for config, folder in work.folders.items()]
    html = render(entries, rows, explorer, missing, sum(was["seconds"] for was in kept), work.quick, family)
    write_file(page, html.encode())
    work.state.page = key
    work.state.keep()
    return True


def _key(values: list[Any]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
