"""Pictures of images that models decode: reconstructions, samples, fills, a decoder over the plane."""

import math
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated

import torch

from vaecli.analysis.comparison import Decoded, Shown
from vaecli.analysis.defaults import LIKELY_PICTURED
from vaecli.analysis.inpainting import MISSING, Inpainting
from vaecli.analysis.interpolation import Interpolation
from vaecli.analysis.latents import Manifold
from vaecli.analysis.scores import Scores
from vaecli.arguments import Filled, checked
from vaecli.data.images import Images
from vaecli.image_shape import ImageShape
from vaecli.model import VAE
from vaecli.plotting.grids import Panel, save_panels, short, side_by_side

FILM = 20
"""Images of a filmstrip in a row at the most."""

_TALL, _ACROSS = 5, 12
"""Images below each other that are reconstructed, before more go on to the right; images side by side at the most."""

_FEW = 10
"""Samples that are shown as pairs of mean and draw at the most; more are shown in two square grids."""


@checked
def save_reconstructions(path: Path, runs: Annotated[Sequence[Shown], Filled]) -> None:
    """Images, and beside them their reconstructions by each run: means and draws.

    More than five images go on to the right, then below. The images are shown again before a run of another data set, binarisation
    or likelihood.

    Raises:
        VaecliError: the file cannot be written.
    """
    blocks = [_block(runs, slice(start, start + _TALL)) for start in range(0, len(runs[0].x), _TALL)]
    across = max(1, _ACROSS // sum(panel.columns for panel in blocks[0]))
    save_panels(path, [list(chain(*blocks[start : start + across])) for start in range(0, len(blocks), across)])


def _block(runs: Sequence[Shown], part: slice) -> list[Panel]:
    panels, before = [], None
    for shown in runs:
        config = shown.run.config
        if before != (before := (config.dataset, config.image_shape, config.binarize, config.likelihood)):
            panels.append(Panel("\noriginal", shown.x[part], 1, config.image_shape))
        decoded = Decoded(shown.reconstructions.mean[part], shown.reconstructions.draw[part])
        panels.append(_pairs(f"{shown.name}\nmean, draw", decoded, config.image_shape))
    return panels


@checked
def save_samples(path: Path, runs: Annotated[Sequence[Shown], Filled]) -> None:
    """Samples from the prior of each run: means and draws, side by side for ten samples or fewer, else in two square grids.

    Raises:
        VaecliError: the file cannot be written.
    """
    if len(runs[0].samples.mean) > _FEW:
        rows = [[_square(shown, kind) for shown in runs] for kind in ("mean", "draw")]
        save_panels(path, rows if len(runs) > 1 else [list(chain(*rows))])
        return
    captions = [f"{shown.name}\n{_samples_are(shown)}" for shown in runs]
    shown_with_captions = zip(captions, runs, strict=True)
    save_panels(path, [[_pairs(text, shown.samples, shown.run.config.image_shape) for text, shown in shown_with_captions]])


@checked
def save_manifolds(path: Path, runs: Annotated[Sequence[tuple[str, Manifold]], Filled]) -> None:
    """The decoder over the plane, for runs with their names.

    Raises:
        VaecliError: the file cannot be written.
    """
    panels = []
    for name, manifold in runs:
        of = f"{short(manifold.class_name)}, " if manifold.class_name else ""
        caption = f"{name}: {of}the decoder over prior quantiles, z1 to the right, z2 up"
        panels.append(Panel(caption, manifold.mean, manifold.side, manifold.shape))
    save_panels(path, [panels])


@checked
def save_filmstrip(path: Path, strip: Interpolation, captions: Sequence[str], kind: str, shape: ImageShape) -> None:
    """An image, the means on the path from it to another, and that one; a long path goes on below.

    Args:
        path: a file that ends in .png, .pdf or .svg.
        strip: the images, each of this shape.
        captions: of the two ends, one or two lines each.
        kind: of the path, ``straight`` or ``spherical``.
        shape: of an image.

    Raises:
        VaecliError: the file cannot be written.
    """
    first, last = (
        Panel("\n".join(short(line, 16) for line in f"{text}\n".split("\n")[:2]), end.unsqueeze(0), 1, shape)
        for text, end in zip(captions, strip.ends, strict=True)
    )
    rows = math.ceil(len(strip.mean) / FILM)
    columns = math.ceil(len(strip.mean) / rows)
    middle = Panel(f"decoded on a {kind} path between\ntheir posterior means", strip.mean, columns, shape)
    save_panels(path, [[first, middle, last]])


@checked
def save_inpainting(path: Path, filled: Inpainting) -> None:
    """Images with a part missing: each row an original, what is seen of it, some fills, and the mean of many.

    Raises:
        VaecliError: the file cannot be written.
    """
    columns = [("original", filled.x), ("seen", torch.where(filled.observed, filled.x, MISSING))]
    columns += [(f"fill {index}", fill) for index, fill in enumerate(filled.fills, 1)]
    save_panels(path, side_by_side([*columns, ("mean of fills", filled.mean_fill)], filled.shape))


@checked
def save_extremes(path: Path, sets: Annotated[Sequence[tuple[str, Images, Scores]], Filled], model: VAE) -> None:
    """The least and the most likely images of each set as the model sees them, with their ranks, numbers and names.

    Args:
        path: a file that ends in .png, .pdf or .svg.
        sets: names, images and their scores.
        model: on the device of the images.

    Raises:
        VaecliError: the file cannot be written.
    """
    rows = []
    for title, images, scores in sets:
        for which, places in zip(("least", "most"), scores.extremes(LIKELY_PICTURED), strict=True):
            panels: list[Panel] = []
            for place in places:
                lines = [f"rank {scores.rank[place]:,}", f"{-scores.log_p[place]:.1f}", short(Path(scores.names[place]).name, 12)]
                if not panels:
                    lines[:2] = f"{short(title)}: {which} likely", f"-{scores.heading} {lines[1]}"
                panels.append(Panel("\n".join(lines), model.observe(images.pixels[place : place + 1]), 1, images.shape))
            rows.append(panels)
    save_panels(path, [row for row in rows if row])


def _square(shown: Shown, kind: str) -> Panel:
    """The means, or the draws, of samples in a grid that is as wide as high, or has a column for each label."""
    names, shape = shown.run.class_names, shown.run.config.image_shape
    by_label = shown.run.model.conditional and len(names) <= _ACROSS
    images = getattr(shown.samples, kind)
    columns = len(names) if by_label else math.ceil(math.sqrt(len(images)))
    of = f"; {_first(names)} by column" if by_label else ""
    return Panel(f"{shown.name}\n{kind}s{of}", images, columns, shape)


def _samples_are(shown: Shown) -> str:
    return f"mean, draw; {_first(shown.run.class_names)} by row" if shown.run.model.conditional else "mean, draw"


def _first(names: Sequence[str]) -> str:
    return ", ".join(short(name, 16) for name in names[:2]) + (", ..." if len(names) > 2 else "")


def _pairs(caption: str, images: Decoded, shape: ImageShape) -> Panel:
    return Panel(caption, torch.stack((images.mean, images.draw), 1).flatten(0, 1), 2, shape)
