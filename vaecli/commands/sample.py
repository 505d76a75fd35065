"""``vaecli sample``."""

from typing import Annotated

import typer

from vaecli import console
from vaecli.commands.options import AsJson, Device, Out, Quiet, Run, Seed, check_device, example, open_run, picture_path
from vaecli.errors import UsageError

KINDS = ("mean", "draw", "both")
HELP = example("vaecli sample --n 20 --kind mean")


def sample(
    run: Run = None,
    n: Annotated[int, typer.Option(min=1, max=10_000, help="Latents to draw from the prior.")] = 10,
    kind: Annotated[
        str, typer.Option(metavar="[mean|draw|both]", help="The decoder's means, draws from its pixels, or means above draws.")
    ] = "both",
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

    import torch

    from vaecli.figures.grids import Panel, save_panels
    from vaecli.seeding import generator

    where = check_device(device)
    checkpoint = open_run(run)
    path = picture_path(out, checkpoint.folder, "sample.png")
    model = checkpoint.model.to(where)
    noise = generator(where, "sample", seed)
    with torch.inference_mode():
        z = model.prior.rsample((n,), noise)
        likelihood = model.likelihood(z)
        pictures = {"mean": likelihood.mean, "draw": likelihood.sample(generator=noise)}
    shown = [each for each in ("mean", "draw") if kind in (each, "both")]
    columns = min(n, 10)
    save_panels(path, [[Panel(f"samples from the prior: {each}s", pictures[each], columns)] for each in shown])
    console.files_written([path], as_json, run=str(checkpoint.folder))
