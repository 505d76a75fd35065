"""The pictures and numbers of a figure: what its command draws and measures, no more than the page shows."""

from collections.abc import Sequence
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
from vaecli.report.shared import Shared
from vaecli.runs.run import Run, names_of


@dataclass(frozen=True)
class Drawn:
    """The pictures and numbers of a figure.

    Attributes:
        pictures: the files by what they show of the figure; a single one under an empty text.
        plots: CSV files that the page plots, by the name in `vaecli.report.plots.KINDS`.
        measured: numbers, as its command prints them as JSON, where the figure is judged by them.
        text: shown instead of a picture.
    """

    pictures: dict[str, Path] = field(default_factory=dict)
    plots: dict[str, Path] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    text: str = ""


def draw(figure: Figure[Any], runs: Sequence[Run], folder: Path, device: torch.device, quick: bool, shared: Shared) -> Drawn:
    """Draws and measures a figure as its command does; the models are on the CPU again afterwards.

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
    figure: Figure[Any], runs: Sequence[Run], options: dict[str, Any], folder: Path, device: torch.device, shared: Shared
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
    names = names_of(runs)
    if options.get("variance"):
        path = folder / "latent-variance.png"
        spreads = [latents.variances(run.model, run.images("test", read=shared.read)[:VARIANCE_IMAGES].to(device)) for run in runs]
        plots.save_variances(path, list(zip(names, spreads, strict=True)))
        rows = [{"run": name, **row} for name, spread in zip(names, spreads, strict=True) for row in spread.rows()]
        return Drawn({"": path}, {"variances": _data(path, rows)})
    path = folder / "latent-plot.png"
    clouds = [latents.cloud(run.model, run.images("test", read=shared.read)[:CLOUD_IMAGES].to(device)) for run in runs]
    plots.save_clouds(path, list(zip(names, clouds, strict=True)))
    rows = [{"run": name, **row} for name, cloud in zip(names, clouds, strict=True) for row in cloud.rows()]
    return Drawn({"": path}, {"clouds": _data(path, rows)})


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
    lines = [
        "  ".join(
            cell.rjust(width) if index >= len(HEADINGS) - 2 else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return Drawn(measured=layers.to_json(), text="\n".join(lines) + "\n")
