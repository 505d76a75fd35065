"""``vaecli latent-plot``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaecli.analysis.defaults import CLOUD_IMAGES, VARIANCE_IMAGES
from vaecli.cli import console
from vaecli.cli.declare import DATA, OUTPUT, example, flag_option, label_option, optional
from vaecli.cli.options import AsJson, DataDir, Device, Out, Quiet, RunNames, Seed, Split, comma_list, without_effect
from vaecli.cli.output_paths import picture_path
from vaecli.cli.reading import reader
from vaecli.cli.runs import names_and_folders, open_runs, resolve_device
from vaecli.errors import UsageError

if TYPE_CHECKING:
    from vaecli.runs.run import Run

HELP = example("vaecli latent-plot --n 10000")
PICTURE = "Picture"
N = f"Images; {CLOUD_IMAGES} if not given, {VARIANCE_IMAGES} with --variance."
DIMENSIONS = "Principal components shown of more than 3 latents; 2 if not given."


def latent_plot(
    context: typer.Context,
    runs: RunNames = None,
    n: Annotated[int | None, optional(N, DATA, min=2, max=1_000_000)] = None,
    split: Split = "test",
    data_dir: DataDir = None,
    dimensions: Annotated[int | None, optional(DIMENSIONS, PICTURE, min=2, max=3)] = None,
    view: Annotated[str | None, optional("Where a 3-D plot is seen from, degrees.", PICTURE, metavar="AZIM,ELEV")] = None,
    variance: Annotated[
        bool, flag_option("--variance", "The posterior variance along each latent dimension instead.", PICTURE)
    ] = False,
    manifold: Annotated[
        bool, flag_option("--manifold", "What a 2-D decoder makes of a grid of prior quantiles instead.", PICTURE)
    ] = False,
    digit: Annotated[int | None, label_option("With --manifold: the label, of a conditional model.", PICTURE)] = None,
    as_csv: Annotated[bool, flag_option("--csv", "Write what is plotted as a .csv too.", OUTPUT)] = False,
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
    _check_effects(context, opened, dimensions)

    from vaecli.analysis import latents
    from vaecli.files import csv_bytes, write_file

    place = resolve_device(device)
    kind = "latent-manifold" if manifold else "latent-variance" if variance else "latent-plot"
    path = picture_path(out, opened[0].path, f"{kind}.png")
    named = names_and_folders(opened)
    for run in opened:
        run.model.to(place)
    if manifold:
        from vaecli.plotting import panels

        panels.save_manifolds(path, [(run.name, latents.manifold(run, digit)) for run in opened])
        console.written("latent-plot", named, [path], as_json)
        return

    from vaecli.plotting import plots

    count = n or (VARIANCE_IMAGES if variance else CLOUD_IMAGES)
    read = reader()
    images = [run.images(split, data_dir, read)[:count].to(place) for run in opened]
    inputs = [(run.model, name, part) for run, (name, _), part in zip(opened, named, images, strict=True)]
    fields: dict[str, Any] = {}
    if variance:
        spreads = [(name, latents.variances(model, part, seed)) for model, name, part in inputs]
        plots.save_variances(path, spreads)
        for name, spread in spreads:
            console.note(f"{name}: {spread}")
        fields["variance"] = [{"run": name, **spread.to_json()} for name, spread in spreads]
        rows = [{"run": name, **row} for name, spread in spreads for row in spread.rows()]
    else:
        clouds = [(name, latents.cloud(model, part, dimensions, seed)) for model, name, part in inputs]
        plots.save_clouds(path, clouds, split, angles)
        rows = [{"run": name, **row} for name, cloud in clouds for row in cloud.rows()]
    files = [path]
    if as_csv:
        files.append(path.with_suffix(".csv"))
        write_file(files[-1], csv_bytes(rows))
    console.written("latent-plot", named, files, as_json, **fields)


def _check_effects(context: typer.Context, runs: list[Run], dimensions: int | None) -> None:
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
    """The azimuth and the elevation in ``--view``."""
    if view is None:
        return None
    angles = comma_list(view, float)
    if len(angles) != 2 or not all(abs(angle) <= 360 for angle in angles):
        raise UsageError(f"--view {view[:60]}: expected two angles in degrees, such as --view 45,20")
    return angles[0], angles[1]
