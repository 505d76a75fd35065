"""``vaecli sample``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vaecli.cli import console, sample_between
from vaecli.cli.declare import example, label_option, optional
from vaecli.cli.options import AsJson, DataDir, Device, Out, Quiet, RunName, Seed, without_effect
from vaecli.cli.output_paths import picture_path
from vaecli.cli.runs import names_and_folders, open_run, resolve_device
from vaecli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from vaecli.runs.run import Run

HELP = example("vaecli sample --n 20 --kind mean")
BETWEEN = "Between two images"
N = "Latents to draw from the prior; of a conditional model, for each label. With --between: pictures on the way."
ENDS = "A filmstrip from one image to another instead: numbers of test images, from 0, or picture files."
MOST = 10_000
"""Samples of one picture."""


def sample(
    context: typer.Context,
    run: RunName = None,
    n: Annotated[int, typer.Option(min=1, max=MOST, help=N)] = 10,
    kind: Annotated[
        Literal["mean", "draw", "both"], typer.Option(help="The decoder's means, draws from its pixels, or means above draws.")
    ] = "both",
    digit: Annotated[
        str | None, label_option("The label, of a conditional model: a name or a number; every label if not given.", panel=None)
    ] = None,
    between: Annotated[tuple[str, str] | None, optional(ENDS, BETWEEN, metavar="A B")] = None,
    way: Annotated[
        Literal["straight", "spherical"],
        typer.Option("--path", help="A line from latent to latent, or a great circle.", rich_help_panel=BETWEEN),
    ] = "straight",
    data_dir: DataDir = None,
    seed: Seed = 0,
    device: Device = "auto",
    out: Out = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Draw images from the prior, means above draws; or images between two others."""
    console.set_quiet(quiet)
    if between:
        sample_between.check(context, between)
    else:
        without_effect(context, "without --between", "way", "data_dir")
    opened = open_run(run)
    if between:
        sample_between.check_run(context, opened)

    from vaecli.analysis.images import label_number

    place = resolve_device(device)
    number = None if digit is None else label_number(digit, opened.class_names)
    if number is not None and not opened.model.conditional:
        raise UsageError(
            f"{{label}}: {opened.name} was trained without labels and draws whatever label comes; "
            "expected a conditional model, trained with: vaecli train --labels full",
            label=digit,
        )
    if between:
        path = sample_between.draw(opened, between, n, way, number, data_dir, seed, place, out)
    else:
        path = _draw(opened, n, kind, number, seed, place, out)
    console.written("sample", names_and_folders([opened]), [path], as_json)


def _draw(run: Run, n: int, kind: str, label: int | None, seed: int, device: torch.device, out: Path | None) -> Path:
    """Draws samples from the prior, and gives the path of the picture."""
    from vaecli.analysis.sampling import sample as draw_samples
    from vaecli.plotting.grids import Panel, save_panels

    model, names = run.model.to(device), run.class_names
    if label is None and n * model.labels > MOST:
        raise UsageError(
            f"--n {n}: {run.name} has {model.labels:,} labels, expected at most {MOST:,} samples of all; "
            f"take --n {max(1, MOST // model.labels)}, or one label with {{label=}}"
        )
    path = picture_path(out, run.path, "sample.png")
    samples = draw_samples(model, n, labels=() if label is None else (label,), seed=seed)
    about = "" if not samples.labels else f" of {names[label]}" if label is not None else f", {names[0]} to {names[-1]} by row"
    columns = n if len(samples.labels) > 1 else min(n, 10)
    rows = {"mean": samples.mean, "draw": samples.draw}
    save_panels(
        path,
        [
            [Panel(f"samples from the prior{about}: {name}s", images, columns, model.image_shape)]
            for name, images in rows.items()
            if kind in (name, "both")
        ],
    )
    return path
