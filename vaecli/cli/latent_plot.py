"""``vaecli latent-plot``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaecli.analysis.defaults import CLOUD_IMAGES, VARIANCE_IMAGES
from vaecli.cli import console
from vaecli.cli.declare import DATA, OUTPUT, PICTURE, examples, flag_option, label_option, optional
from vaecli.cli.options import AsJson, DataDir, Device, Out, Quiet, RunNames, Split, comma_list, note_fewer, without_effect
from vaecli.cli.output_paths import picture_path
from vaecli.cli.reading import reader
from vaecli.cli.runs import names_and_folders, open_runs, resolve_device
from vaecli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from vaecli.analysis.latents import Cloud, Variances
    from vaecli.data.images import Images
    from vaecli.runs.run import Run

HELP = examples(
    "vaecli latent-plot --n 10000", "vaecli latent-plot baseline --thumbnails", "vaecli latent-plot baseline --manifold"
)
EVERYDAY = ("n", "split", "variance", "manifold", "thumbnails", "digit", "as_csv", "out")
N = f"Images; {CLOUD_IMAGES} if not given, {VARIANCE_IMAGES} with --variance."
DIMENSIONS = "Principal components shown of more than 3 latents; 2 if not given."


def latent_plot(
    context: typer.Context,
    runs: RunNames = None,
    n: Annotated[int | None, optional(N, DATA, min=2, max=1_000_000)] = None,
    split: Split = "test",
    data_dir: DataDir = None,
    dimensions: Annotated[int | None, optional(DIMENSIONS, PICTURE, min=2, max=3)] = None,
    view: Annotated[str | None, optional("Where a 3-D plot is seen from, in degrees.", PICTURE, metavar="AZIM,ELEV")] = None,
    variance: Annotated[
        bool, flag_option("--variance", "The posterior variance along each latent dimension instead.", PICTURE)
    ] = False,
    manifold: Annotated[
        bool, flag_option("--manifold", "What a 2-D decoder makes of a grid of prior quantiles instead.", PICTURE)
    ] = False,
    thumbnails: Annotated[
        bool, flag_option("--thumbnails", "Pictures at their places instead of points, as many as have room.", PICTURE)
    ] = False,
    digit: Annotated[
        str | None, label_option("With --manifold: the label, of a conditional model, a name or a number.", PICTURE)
    ] = None,
    as_csv: Annotated[bool, flag_option("--csv", "Write what is plotted as a .csv too.", OUTPUT)] = False,
    device: Device = "auto",
    out: Out = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Plot where test images lie in the latent space, coloured by label; several runs side by side."""
    console.set_quiet(quiet)
    angles = _angles(view)
    _check_together(context, variance, manifold, thumbnails)
    opened = open_runs(runs)
    _check_effects(context, opened, dimensions)
    if thumbnails:
        _check_plane(opened)

    from vaecli.analysis import latents
    from vaecli.data.images import first
    from vaecli.files import csv_bytes, write_file

    torch_device = resolve_device(device)
    kind = "manifold" if manifold else "variance" if variance else "thumbnails" if thumbnails else "plot"
    path = picture_path(out, opened[0].path, f"latent-{kind}.png")
    named = names_and_folders(opened)
    for run in opened:
        run.model.to(torch_device)
    if manifold:
        from vaecli.plotting import panels

        panels.save_manifolds(path, [(run.name, latents.manifold(run, digit)) for run in opened])
        console.written("latent-plot", named, [path], as_json)
        return

    count = n or (VARIANCE_IMAGES if variance else CLOUD_IMAGES)
    read = reader()
    images = [run.images(split, data_dir, read, first(count)).to(torch_device) for run in opened]
    note_fewer(context, min(map(len, images)))
    inputs = [(run.model, name, part) for run, (name, _), part in zip(opened, named, images, strict=True)]
    fields: dict[str, Any] = {}
    if variance:
        spreads = [(name, latents.variances(model, part)) for model, name, part in inputs]
        _draw_variances(path, spreads)
        fields["variance"] = [{"run": name, **spread.to_json()} for name, spread in spreads]
        rows = [{"run": name, **row} for name, spread in spreads for row in spread.rows()]
    else:
        clouds = [(name, latents.cloud(model, part, dimensions)) for model, name, part in inputs]
        _draw_clouds(path, clouds, images if thumbnails else None, split, angles)
        rows = [{"run": name, **row} for name, cloud in clouds for row in cloud.rows()]
    files = [path]
    if as_csv:
        files.append(path.with_suffix(".csv"))
        write_file(files[-1], csv_bytes(rows))
    console.written("latent-plot", named, files, as_json, **fields)


def _draw_variances(path: Path, spreads: list[tuple[str, Variances]]) -> None:
    from vaecli.plotting.plots import save_variances

    save_variances(path, spreads)
    for name, spread in spreads:
        console.note(f"{name}: {spread}")


def _draw_clouds(
    path: Path, clouds: list[tuple[str, Cloud]], thumbnails: list[Images] | None, split: str, angles: tuple[float, float] | None
) -> None:
    if thumbnails is None:
        from vaecli.plotting.plots import save_clouds

        save_clouds(path, clouds, split, angles)
    else:
        from vaecli.plotting.thumbnails import save_thumbnails

        save_thumbnails(path, [(*named, images) for named, images in zip(clouds, thumbnails, strict=True)], split)


def _check_together(context: typer.Context, variance: bool, manifold: bool, thumbnails: bool) -> None:
    """Refuses options that have no effect with the others given."""
    if variance and manifold:
        raise UsageError("--variance with --manifold: expected only one of them")
    if thumbnails:
        without_effect(context, "with --thumbnails", "variance", "manifold", "dimensions", "view")
    if manifold:
        without_effect(context, "with --manifold", "n", "split", "data_dir", "dimensions", "view", "as_csv")
    else:
        without_effect(context, "without --manifold", "digit")
    if variance:
        without_effect(context, "with --variance", "dimensions", "view")


def _check_effects(context: typer.Context, runs: list[Run], dimensions: int | None) -> None:
    """Refuses options that have no effect on any of these runs."""
    sizes = [run.config.latent_dim for run in runs]
    if max(sizes) <= 3:
        without_effect(context, "with 3 latents or fewer", "dimensions")
    if not any(size == 3 or (size > 3 and dimensions == 3) for size in sizes):
        without_effect(context, "with no plot in 3-D", "view")
    if not any(run.model.conditional for run in runs):
        without_effect(context, "with a run without labels", "digit")


def _check_plane(runs: list[Run]) -> None:
    """Refuses runs whose latents are not drawn in a plane."""
    for run in runs:
        if (size := run.config.latent_dim) in (1, 3):
            raise UsageError(
                f"--thumbnails: {run.name} has {size} latent{'s' * (size > 1)} and is drawn in {size}-D; "
                "expected a run of 2 latents, or of more than 3, whose first two principal components are drawn"
            )


def _angles(view: str | None) -> tuple[float, float] | None:
    """The azimuth and the elevation in ``--view``."""
    if view is None:
        return None
    angles = comma_list(view, float)
    if len(angles) != 2 or not all(abs(angle) <= 360 for angle in angles):
        raise UsageError(f"--view {view[:60]}: expected two angles in degrees, such as --view 45,20")
    return angles[0], angles[1]
