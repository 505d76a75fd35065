"""``vaecli sample``."""

from typing import Annotated, Literal

import typer

from vaecli.cli import console
from vaecli.cli.declare import example, label_option
from vaecli.cli.options import AsJson, Device, Out, Quiet, RunName, Seed
from vaecli.cli.output_paths import picture_path
from vaecli.cli.runs import names_and_folders, open_run, resolve_device
from vaecli.errors import UsageError

HELP = example("vaecli sample --n 20 --kind mean")


def sample(
    run: RunName = None,
    n: Annotated[
        int, typer.Option(min=1, max=10_000, help="Latents to draw from the prior; of a conditional model, for each digit.")
    ] = 10,
    kind: Annotated[
        Literal["mean", "draw", "both"], typer.Option(help="The decoder's means, draws from its pixels, or means above draws.")
    ] = "both",
    digit: Annotated[
        int | None, label_option("The label, of a conditional model; every label in turn if not given.", panel=None)
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    out: Out = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Draw images from the prior: means above, draws below."""
    console.set_quiet(quiet)
    opened = open_run(run)

    from vaecli.analysis.images import check_label
    from vaecli.analysis.sampling import sample as draw_samples
    from vaecli.plotting.grids import Panel, save_panels

    model = opened.model.to(resolve_device(device))
    names = opened.class_names
    if digit is not None:
        check_label(digit, names)
        if not model.conditional:
            raise UsageError(
                f"--digit {digit}: {opened.name} was trained without labels and draws whatever digit comes; "
                "expected a conditional model, trained with: vaecli train --labels full"
            )
    path = picture_path(out, opened.path, "sample.png")
    samples = draw_samples(model, n, labels=() if digit is None else (digit,), seed=seed)
    about = "" if not samples.labels else f" of {names[digit]}" if digit is not None else f", {names[0]} to {names[-1]} by row"
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
    console.written("sample", names_and_folders([opened]), [path], as_json)
