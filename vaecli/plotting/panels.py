"""Pictures of images that models decode: reconstructions, samples, fills, a decoder over the plane."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from vaecli.analysis.comparison import Decoded, Shown
from vaecli.analysis.inpainting import Inpainting
from vaecli.analysis.interpolation import Interpolation
from vaecli.analysis.latents import Manifold
from vaecli.image_shape import ImageShape
from vaecli.plotting.grids import Panel, save_panels, short, side_by_side

MISSING = 0.35
"""The grey of pixels that are not seen."""

FILM = 20
"""Images of a filmstrip in a row at the most."""


def save_reconstructions(path: Path, runs: Sequence[Shown]) -> None:
    """Images, and beside them their reconstructions by each run: means and draws.

    The images are shown again before a run of another data set, binarisation or likelihood.

    Raises:
        VaecliError: the file cannot be written.
    """
    panels, before = [], None
    for shown in runs:
        config = shown.run.config
        if before != (before := (config.dataset, config.image_shape, config.binarize, config.likelihood)):
            panels.append(Panel("\noriginal", shown.x, 1, config.image_shape))
        panels.append(_pairs(f"{shown.name}\nmean, draw", shown.reconstructions, config.image_shape))
    save_panels(path, [panels])


def save_samples(path: Path, runs: Sequence[Shown]) -> None:
    """Samples from the prior of each run: means and draws.

    Raises:
        VaecliError: the file cannot be written.
    """
    captions = [f"{shown.name}\n{_samples_are(shown)}" for shown in runs]
    shown_with_captions = zip(captions, runs, strict=True)
    save_panels(path, [[_pairs(text, shown.samples, shown.run.config.image_shape) for text, shown in shown_with_captions]])


def save_manifolds(path: Path, runs: Sequence[tuple[str, Manifold]]) -> None:
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


def save_filmstrip(path: Path, strip: Interpolation, captions: Sequence[str], way: str, shape: ImageShape) -> None:
    """An image, the means on the way from it to another, and that one; a long way goes on below.

    Args:
        path: a file that ends in .png, .pdf or .svg.
        strip: the images, each of this shape.
        captions: of the two ends, one or two lines each.
        way: ``straight`` or ``spherical``.
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
    middle = Panel(f"decoded on a {way} way between\ntheir posterior means", strip.mean, columns, shape)
    save_panels(path, [[first, middle, last]])


def save_inpainting(path: Path, filled: Inpainting) -> None:
    """Images with a part missing: each row an original, what is seen of it, some fills, and the mean of many.

    Raises:
        VaecliError: the file cannot be written.
    """
    columns = [("original", filled.x), ("seen", torch.where(filled.seen, filled.x, MISSING))]
    columns += [(f"fill {index}", fill) for index, fill in enumerate(filled.fills, 1)]
    save_panels(path, side_by_side([*columns, ("mean of fills", filled.mean_fill)], filled.shape))


def _samples_are(shown: Shown) -> str:
    if not shown.run.model.conditional:
        return "mean, draw"
    first = ", ".join(short(name, 16) for name in shown.run.class_names[:2])
    return f"mean, draw; {first}{', ...' if len(shown.run.class_names) > 1 else ''} by row"


def _pairs(caption: str, images: Decoded, shape: ImageShape) -> Panel:
    return Panel(caption, torch.stack((images.mean, images.draw), 1).flatten(0, 1), 2, shape)
