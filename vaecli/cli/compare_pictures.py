"""The pictures of ``vaecli compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vaecli.cli import console
from vaecli.cli.output_paths import picture_path
from vaecli.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vaecli.data.images import Images
    from vaecli.runs.run import Run


def draw(
    runs: Sequence[Run], names: Sequence[str], images: Iterable[Images], n: int, samples: int | None, seed: int, out: Path | None
) -> list[Path]:
    """Draws reconstructions, samples and loss curves of runs side by side, and gives the paths of the pictures.

    Args:
        runs: with their models on the device of `images`.
        names: of the runs, all distinct.
        images: those that each run reconstructs.
        n: how many of them.
        samples: how many are drawn from the prior; `n` if not given.
        seed: of latents and pixels drawn at random.
        out: the folder of the pictures; that of the first run if not given.
    """
    from vaecli.analysis.comparison import loss_curve, show_run
    from vaecli.plotting.panels import save_reconstructions, save_samples
    from vaecli.plotting.plots import save_curves

    shown, curves = [], []
    for run, name, originals in zip(runs, names, images, strict=True):
        shown.append(show_run(run, name, originals, n, seed, samples))
        try:
            curves.append(loss_curve(run, name))
        except CheckpointError as error:
            console.note(f"{error}; its loss curve is left out")
    paths = [picture_path(out, runs[0].path, f"compare-{kind}.png") for kind in ("reconstructions", "samples")]
    save_reconstructions(paths[0], shown)
    save_samples(paths[1], shown)
    if curves:
        paths.append(picture_path(out, runs[0].path, "compare-losses.png"))
        save_curves(paths[-1], curves)
    return paths
