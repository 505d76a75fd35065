"""``vaecli sample``."""

from typing import Annotated

import typer

from vaecli.cli import console
from vaecli.cli.options import (
    AsJson,
    Device,
    Out,
    Quiet,
    Run,
    Seed,
    check_device,
    example,
    names_and_folders,
    open_run,
    picture_path,
)
from vaecli.errors import UsageError

KINDS = ("mean", "draw", "both")
HELP = example("vaecli sample --n 20 --kind mean")


def sample(
    run: Run = None,
    n: Annotated[
        int, typer.Option(min=1, max=10_000, help="Latents to draw from the prior; of a conditional model, for each digit.")
    ] = 10,
    kind: Annotated[
        str, typer.Option(metavar="[mean|draw|both]", help="The decoder's means, draws from its pixels, or means above draws.")
    ] = "both",
    digit: Annotated[
        int | None,
        typer.Option(min=0, help="The label, of a conditional model; every label in turn if not given.", show_default=False),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    out: Out = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Draw images from the prior: means above, draws below."""
    console.set_quiet(quiet)
    if kind not in KINDS:
        raise UsageError(f"--kind {kind}: expected one of {', '.join(KINDS)}")

    checkpoint = open_run(run)
    where = check_device(device)

    import torch

    from vaecli.cli.images import check_digit, class_names
    from vaecli.plotting.grids import Panel, save_panels
    from vaecli.seeding import generator

    model = checkpoint.model.to(where)
    names = class_names(checkpoint.config)
    if digit is not None:
        check_digit(digit, checkpoint.config)
        if not model.conditional:
            raise UsageError(
                f"--digit {digit}: {checkpoint.name} was trained without labels and draws whatever digit comes; "
                "expected a conditional model, trained with: vaecli train --labels full"
            )
    path = picture_path(out, checkpoint.folder, "sample.png")
    noise = generator(where, "sample", seed)
    labels = [None] if not model.conditional else [digit] if digit is not None else list(range(len(names)))
    with torch.inference_mode():
        # one row a label: every column is the same z, so that only the label changes within it
        z = model.prior.rsample((n,), noise).repeat(len(labels), 1)
        y = None if labels == [None] else model.condition(torch.tensor(labels, device=where).repeat_interleave(n))
        likelihood = model.likelihood(z, y)
        pictures = {"mean": likelihood.mean, "draw": likelihood.sample(generator=noise)}
    about = "" if labels == [None] else f" of {names[digit]}" if digit is not None else f", {names[0]} to {names[-1]} by row"
    shown = [each for each in ("mean", "draw") if kind in (each, "both")]
    columns = n if len(labels) > 1 else min(n, 10)
    save_panels(path, [[Panel(f"samples from the prior{about}: {each}s", pictures[each], columns)] for each in shown])
    if as_json:
        console.result_json("sample", names_and_folders([checkpoint]), [path])
    else:
        console.files_written([path])
