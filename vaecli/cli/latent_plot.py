"""``vaecli latent-plot``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaecli.cli import console
from vaecli.cli.options import (
    AsJson,
    DataDir,
    Device,
    Out,
    Quiet,
    Runs,
    Seed,
    Split,
    check_device,
    check_split,
    example,
    names_and_folders,
    open_runs,
    picture_path,
    run_names,
    without_effect,
)
from vaecli.errors import UsageError

if TYPE_CHECKING:
    import torch

    from vaecli.distributions.normal import DiagonalNormal
    from vaecli.plotting.plots import Cloud
    from vaecli.runs.checkpoint import Checkpoint

HELP = example("vaecli latent-plot --n 10000")
PICTURE = "Picture"
IMAGES, BATCH = 5000, 200


def latent_plot(
    context: typer.Context,
    runs: Runs = None,
    n: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=1_000_000,
            help=f"Images; {IMAGES} if not given, {BATCH} with --variance.",
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
            min=0, help="With --manifold: the label, of a conditional model.", show_default=False, rich_help_panel=PICTURE
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
    check_split(split)
    angles = _angles(view)
    if variance and manifold:
        raise UsageError("--variance with --manifold: expected only one of them")
    if manifold:
        without_effect(context, "with --manifold", "n", "split", "data_dir", "dimensions", "view", "as_csv", "seed")
    else:
        without_effect(context, "without --manifold", "digit")
    if variance:
        without_effect(context, "with --variance", "dimensions", "view")

    checkpoints = open_runs(runs)
    _refuse_for(context, checkpoints, dimensions)
    where = check_device(device)

    from vaecli.analysis.latents import encode
    from vaecli.plotting.plots import save_scatter, save_variances
    from vaecli.runs.files import csv_bytes, write_file

    def tell(files: list[Path], **own: Any) -> None:
        if as_json:
            console.result_json("latent-plot", names_and_folders(checkpoints), files, **own)
        else:
            console.files_written(files)

    if manifold:
        path = picture_path(out, checkpoints[0].folder, "latent-manifold.png")
        _save_manifold(path, checkpoints, digit, where)
        tell([path])
        return
    path = picture_path(out, checkpoints[0].folder, "latent-variance.png" if variance else "latent-plot.png")
    names, own = run_names(checkpoints), {}
    encoded: list[DiagonalNormal] = []
    clouds: list[Cloud] = []
    for checkpoint, name in zip(checkpoints, names, strict=True):
        images = checkpoint.images(split, data_dir)[: n or (BATCH if variance else IMAGES)].to(where)
        encoded.append(encode(checkpoint.model.to(where), images, seed))
        clouds.append(_cloud(f"{name}: posterior means of {len(images):,} {split} images", encoded[-1], images, dimensions))
    if variance:
        spreads = [q.mu.var(0, correction=0) for q in encoded]
        save_variances(path, [(name, q.variance, spread) for name, q, spread in zip(names, encoded, spreads, strict=True)])
        for name, q, spread in zip(names, encoded, spreads, strict=True):
            console.note(f"{name}: mean posterior variance {_listed(q.variance.mean(0))}; variance of the means {_listed(spread)}")
        own["variance"] = [
            {
                "run": name,
                "images": len(q.mu),
                "mean_posterior_variance": q.variance.mean(0).tolist(),
                "variance_of_means": spread.tolist(),
            }
            for name, q, spread in zip(names, encoded, spreads, strict=True)
        ]
    else:
        save_scatter(path, clouds, angles)
    written = [path]
    if as_csv:
        rows = _variance_rows(names, encoded) if variance else _point_rows(names, clouds)
        written.append(path.with_suffix(".csv"))
        write_file(written[-1], csv_bytes(rows))
    tell(written, **own)


def _refuse_for(context: typer.Context, checkpoints: list[Checkpoint], dimensions: int | None) -> None:
    """Refuses options that have no effect on any of these runs."""
    sizes = [each.config.latent_dim for each in checkpoints]
    if max(sizes) <= 3:
        without_effect(context, "with 3 latents or fewer", "dimensions")
    if not any(size == 3 or (size > 3 and dimensions == 3) for size in sizes):
        without_effect(context, "with no plot in 3-D", "view")
    if not any(each.config.binarize == "stochastic" for each in checkpoints):
        without_effect(context, "with pixels that are not drawn at random", "seed")
    if not any(each.model.conditional for each in checkpoints):
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


def _cloud(title: str, q: DiagonalNormal, images: Any, dimensions: int | None) -> Cloud:
    from vaecli.analysis.latents import principal_components
    from vaecli.plotting.plots import Cloud

    points, axes = q.mu, [f"z{d + 1}" for d in range(q.mu.shape[1])]
    if points.shape[1] > 3:
        points, shares = principal_components(points, dimensions or 2)
        axes = [f"principal component {d + 1} ({share:.0%} of the variance)" for d, share in enumerate(shares.tolist())]
    return Cloud(title, points, images.labels.cpu(), images.class_names, axes)


def _save_manifold(path: Path, checkpoints: list[Checkpoint], digit: int | None, where: torch.device) -> None:
    import torch

    from vaecli.analysis.latents import prior_quantiles
    from vaecli.cli.images import check_digit
    from vaecli.data.images import UNKNOWN
    from vaecli.plotting.grids import Panel, save_panels

    side, panels = 20, []
    for checkpoint in checkpoints:
        size = checkpoint.config.latent_dim
        if size != 2:
            raise UsageError(f"--manifold: {checkpoint.name} has {size} latent dimensions, expected 2; leave --manifold out")
        if digit is not None:
            check_digit(digit, checkpoint.config)
        model, z = checkpoint.model.to(where), prior_quantiles(side).to(where)
        y = model.condition(torch.full((len(z),), UNKNOWN if digit is None else digit, device=where))
        with torch.inference_mode():
            means = model.likelihood(z, y).mean
        panels.append(Panel(f"{checkpoint.name}: the decoder over prior quantiles, z1 to the right, z2 up", means, side))
    save_panels(path, [panels])


def _listed(values: Any) -> str:
    return ", ".join(f"{value:.4f}" for value in values.tolist())


def _point_rows(names: list[str], clouds: list[Cloud]) -> list[dict[str, Any]]:
    return [
        {"run": name, "label": int(label), **{f"x{d + 1}": value for d, value in enumerate(point)}}
        for name, cloud in zip(names, clouds, strict=True)
        for label, point in zip(cloud.labels.tolist(), cloud.points.tolist(), strict=True)
    ]


def _variance_rows(names: list[str], encoded: list[DiagonalNormal]) -> list[dict[str, Any]]:
    return [
        {"run": name, "image": image, "dimension": d + 1, "variance": value, "mean": mu}
        for name, q in zip(names, encoded, strict=True)
        for image, (variances, means) in enumerate(zip(q.variance.tolist(), q.mu.tolist(), strict=True))
        for d, (value, mu) in enumerate(zip(variances, means, strict=True))
    ]
