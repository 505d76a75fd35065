"""The pictures of a figure: what its command draws, no more than the page shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from vaecli.analysis import latents
from vaecli.analysis.architecture import HEADINGS, architecture
from vaecli.analysis.comparison import loss_curve, show_run
from vaecli.analysis.defaults import CLOUD_IMAGES, COMPARED_IMAGES, VARIANCE_IMAGES
from vaecli.analysis.images import choose_images
from vaecli.analysis.inpainting import inpaint
from vaecli.config import Config
from vaecli.files import csv_bytes, write_file
from vaecli.plotting import panels, plots
from vaecli.report.definitions import Figure
from vaecli.report.evidence import Shared
from vaecli.runs.run import Run, names_of


@dataclass(frozen=True)
class Drawn:
    """The pictures of a figure.

    Attributes:
        pictures: the files by what they show of the figure; a single one under an empty text.
        plots: CSV files that the page plots, by the name in `vaecli.report.plots.KINDS`.
        text: shown instead of a picture.
    """

    pictures: dict[str, Path] = field(default_factory=dict)
    plots: dict[str, Path] = field(default_factory=dict)
    text: str = ""


def draw(figure: Figure, runs: Sequence[Run], folder: Path, device: torch.device, quick: bool, shared: Shared) -> Drawn:
    """Draws a figure as its command does; the models are on the CPU again afterwards.

    Args:
        figure: one that shows these runs.
        runs: with their models.
        folder: of the pictures.
        device: to compute on.
        quick: whether with the options of a quick pass.
        shared: with other figures.

    Raises:
        DataError: the runs' images cannot be read.
        VaecliError: a file cannot be written.
    """
    options = figure.options_for(quick)
    if figure.command == "train":
        return _layers(options)
    for run in runs:
        run.model.to(device)
    try:
        match figure.command:
            case "compare":
                return _compare(figure, runs, options, folder, device, shared)
            case "latent-plot":
                return _latents(runs, options, folder, device, shared)
            case _:
                return _inpainting(runs[0], options, folder, device, shared)
    finally:
        for run in runs:
            run.model.cpu()


def _compare(
    figure: Figure, runs: Sequence[Run], options: dict[str, Any], folder: Path, device: torch.device, shared: Shared
) -> Drawn:
    names, count = names_of(runs), options.get("n", COMPARED_IMAGES)
    pictures = {kind: folder / f"compare-{kind}.png" for kind in figure.shows}
    images = [run.images("test", read=shared.read) for run in runs]
    drawn = {}
    if "losses" in pictures:
        curves = [loss_curve(run, name) for run, name in zip(runs, names, strict=True)]
        plots.save_curves(pictures["losses"], curves)
        drawn["curves"] = _data(pictures["losses"], [{"run": curve.name, **row} for curve in curves for row in curve.rows()])
    if pictures.keys() & {"reconstructions", "samples"}:
        shown = [
            show_run(run, name, originals[:count].to(device), count, samples=options.get("samples"))
            for run, name, originals in zip(runs, names, images, strict=True)
        ]
        if "reconstructions" in pictures:
            panels.save_reconstructions(pictures["reconstructions"], shown)
        if "samples" in pictures:
            panels.save_samples(pictures["samples"], shown)
    return Drawn(pictures, drawn)


def _latents(runs: Sequence[Run], options: dict[str, Any], folder: Path, device: torch.device, shared: Shared) -> Drawn:
    def drawn(name: str, kind: str, count: int, compute: Callable[..., Any], save: Callable[..., None]) -> Drawn:
        path = folder / f"{name}.png"
        parts = [compute(run.model, run.images("test", read=shared.read)[:count].to(device)) for run in runs]
        named = list(zip(names_of(runs), parts, strict=True))
        save(path, named)
        return Drawn({"": path}, {kind: _data(path, [{"run": run, **row} for run, part in named for row in part.rows()])})

    if options.get("variance"):
        return drawn("latent-variance", "variances", VARIANCE_IMAGES, latents.variances, plots.save_variances)
    return drawn("latent-plot", "clouds", CLOUD_IMAGES, latents.cloud, plots.save_clouds)


def _data(picture: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Writes what a picture plots beside it, as CSV."""
    path = picture.with_suffix(".csv")
    write_file(path, csv_bytes(rows))
    return path


def _inpainting(run: Run, options: dict[str, Any], folder: Path, device: torch.device, shared: Shared) -> Drawn:
    path = folder / "inpaint.png"
    images = choose_images(run, "test", options["n"], label=options["label"], read=shared.read).to(device)
    steps = {name: value for name, value in options.items() if name == "steps"}
    filled = inpaint(run.model, images, run.images("train", read=shared.read), **steps)
    panels.save_inpainting(path, filled)
    return Drawn({"": path})


def _layers(options: dict[str, Any]) -> Drawn:
    layers = architecture(Config(**{name: value for name, value in options.items() if name != "dry_run"}))
    rows = [HEADINGS, *layers.cells()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [*[str.ljust] * (len(HEADINGS) - 2), str.rjust, str.rjust]
    lines = ["  ".join(side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True)).rstrip() for row in rows]
    return Drawn(text="\n".join(lines) + "\n")
