"""``vaecli latent-plot``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaecli.analysis.defaults import CLOUD_IMAGES, VARIANCE_IMAGES
from vaecli.cli import console
from vaecli.cli.options import (
    AsJson,
    DataDir,
    Device,
    Out,
    Quiet,
    RunNames,
    Seed,
    Split,
    example,
    names_and_folders,
    open_runs,
    picture_path,
    resolve_device,
    without_effect,
)
from vaecli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from vaecli.analysis.latents import Cloud, Variances
    from vaecli.runs.run import Run

HELP = example("vaecli latent-plot --n 10000")
PICTURE = "Picture"


def latent_plot(
    context: typer.Context,
    runs: RunNames = None,
    n: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=1_000_000,
            help=f"Images; {CLOUD_IMAGES} if not given, {VARIANCE_IMAGES} with --variance.",
            show_default=False,
            rich_help_panel="Data",
        ),
    ] = None,
    split: Split = "test",
    data_dir: DataDir = None,
    dimensions: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=3,
            help="Principal components shown of more than 3 latents; 2 if not given.",
            show_default=False,
            rich_help_panel=PICTURE,
        ),
    ] = None,
    view: Annotated[
        str | None,
        typer.Option(
            metavar="AZIM,ELEV", help="Where a 3-D plot is seen from, degrees.", show_default=False, rich_help_panel=PICTURE
        ),
    ] = None,
    variance: Annotated[
        bool,
        typer.Option("--variance", help="The posterior variance along each latent dimension instead.", rich_help_panel=PICTURE),
    ] = False,
    manifold: Annotated[
        bool,
        typer.Option("--manifold", help="What a 2-D decoder makes of a grid of prior quantiles instead.", rich_help_panel=PICTURE),
    ] = False,
    digit: Annotated[
        int | None,
        typer.Option(
            "--digit",
            "--label",
            min=0,
            help="With --manifold: the label, of a conditional model.",
            show_default=False,
            rich_help_panel=PICTURE,
        ),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write what is plotted as a .csv too.", rich_help_panel="Output")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    out: Out = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Plot where test images lie in the latent space, coloured by label; several runs side by side."""
    console.set_quiet(quiet)
    angles = _angles(view)
    if variance and manifold:
        raise UsageError("--variance with --manifold: expected only one of them")
    if manifold:
        without_effect(context, "with --manifold", "n", "split", "data_dir", "dimensions", "view", "as_csv", "seed")
    else:
        without_effect(context, "without --manifold", "digit")
    if variance:
        without_effect(context, "with --variance", "dimensions", "view")

    opened = open_runs(runs)
    _refuse_for(context, opened, dimensions)

    from vaecli.analysis import latents
    from vaecli.files import csv_bytes, write_file
    from vaecli.plotting import panels, plots

    place = resolve_device(device)
    kind = "latent-manifold" if manifold else "latent-variance" if variance else "latent-plot"
    path = picture_path(out, opened[0].path, f"{kind}.png")
    named = names_and_folders(opened)
    for run in opened:
        run.model.to(place)
    if manifold:
        panels.save_manifolds(path, [(run.name, latents.manifold(run, digit)) for run in opened])
        _tell([path], named, as_json)
        return
    images = [run.images(split, data_dir)[: n or (VARIANCE_IMAGES if variance else CLOUD_IMAGES)].to(place) for run in opened]
    own: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    if variance:
        spreads = [
            (name, latents.variances(run.model, some, seed)) for run, (name, _), some in zip(opened, named, images, strict=True)
        ]
        plots.save_variances(path, spreads)
        for name, spread in spreads:
            rows += _variance_rows(name, spread)
            console.note(
                f"{name}: mean posterior variance {_listed(spread.mean_variance)}; "
                f"variance of the means {_listed(spread.variance_of_means)}"
            )
        own["variance"] = [{"run": name, **spread.to_json()} for name, spread in spreads]
    else:
        clouds = [
            (name, latents.cloud(run.model, some, dimensions, seed))
            for run, (name, _), some in zip(opened, named, images, strict=True)
        ]
        plots.save_clouds(path, clouds, split, angles)
        rows += [row for name, cloud in clouds for row in _point_rows(name, cloud)]
    written = [path]
    if as_csv:
        written.append(path.with_suffix(".csv"))
        write_file(written[-1], csv_bytes(rows))
    _tell(written, named, as_json, **own)


def _tell(files: list[Path], runs: list[tuple[str, Path]], as_json: bool, **own: Any) -> None:
    if as_json:
        console.result_json("latent-plot", runs, files, **own)
    else:
        console.files_written(files)


def _refuse_for(context: typer.Context, runs: list[Run], dimensions: int | None) -> None:
    """Refuses options that have no effect on any of these runs."""
    sizes = [run.config.latent_dim for run in runs]
    if max(sizes) <= 3:
        without_effect(context, "with 3 latents or fewer", "dimensions")
    if not any(size == 3 or (size > 3 and dimensions == 3) for size in sizes):
        without_effect(context, "with no plot in 3-D", "view")
    if not any(run.config.binarize == "stochastic" for run in runs):
        without_effect(context, "with pixels that are not drawn at random", "seed")
    if not any(run.model.conditional for run in runs):
        without_effect(context, "with a run without labels", "digit")


def _angles(view: str | None) -> tuple[float, float] | None:
    if view is None:
        return None
    try:
        azimuth, elevation = map(float, view.split(","))
    except ValueError:
        azimuth = elevation = math.nan
    if not (abs(azimuth) <= 360 and abs(elevation) <= 360):
        raise UsageError(f"--view {view[:60]}: expected two angles in degrees, such as --view 45,20")
    return azimuth, elevation


def _listed(values: Tensor) -> str:
    return ", ".join(f"{value:.4f}" for value in values.tolist())


def _point_rows(name: str, cloud: Cloud) -> list[dict[str, Any]]:
    return [
        {"run": name, "label": int(label), **dict(zip(cloud.columns, point, strict=True))}
        for label, point in zip(cloud.labels.tolist(), cloud.points.tolist(), strict=True)
    ]


def _variance_rows(name: str, spread: Variances) -> list[dict[str, Any]]:
    return [
        {"run": name, "image": image, "dimension": d + 1, "variance": value, "mean": loc}
        for image, (values, means) in enumerate(zip(spread.variance.tolist(), spread.loc.tolist(), strict=True))
        for d, (value, loc) in enumerate(zip(values, means, strict=True))
    ]
