"""What the page knows of runs: their decoders, their test images, and where the posteriors of these lie."""

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

import contourpy
import numpy as np
import torch
from PIL import Image, features
from torch import Tensor

from vaecli import registry
from vaecli.analysis.latents import principal_directions
from vaecli.data.images import UNKNOWN, Images
from vaecli.data.picture import Drawing
from vaecli.errors import UsageError, VaecliError
from vaecli.evaluation.encode import features_of
from vaecli.evaluation.grid import Grid
from vaecli.evaluation.importance import ACTIVE
from vaecli.explorer.networks import base64_of, decoder_of, encoder_of
from vaecli.image_shape import ImageShape
from vaecli.model import VAE, check_finite, observed_images
from vaecli.plotting.palette import UNKNOWN_COLOUR, class_colours, hex_of
from vaecli.runs.run import Run, names_of

POINTS = 2000
"""Test images that are shown, if no number is given and they are small."""

_FEW_VALUES, _MOST_PIXELS = 1 << 21, 1 << 26
"""Of all images of a run: values that are shown by default, and pixels that a browser can hold."""

LIKELIHOODS = ("Bernoulli", "Beta", "ContinuousBernoulli", "DiscretizedLogistic")
"""The classes that assets/likelihoods.js has."""

HELD = tuple(1 - math.exp(-(sigmas**2) / 2) for sigmas in (1, 2, 3))
"""Shares of a prior's mass that its contours hold: those of a standard normal's circles of 1, 2 and 3 sigma, in a plane."""

_CONTOUR_SIDE = 160
"""Points per side of the grid that contours are found on."""

_LARGEST_DRAWN = 64
"""Pixels per side of the largest images that a person can draw."""


def points_of(shape: ImageShape, n: int | None = None) -> int:
    """How many test images of a shape are shown: `n`, or a default that leaves the page small.

    Raises:
        UsageError: a browser cannot hold so many.
    """
    pixels = shape.height * shape.width
    if n is None:
        return max(1, min(POINTS, _FEW_VALUES // shape.size))
    if n * pixels > _MOST_PIXELS:
        raise UsageError(f"{{n}}: expected at most {_MOST_PIXELS // pixels} images of {shape}, which a browser can hold", n=n)
    return n


def payload(runs: Sequence[Run], images: Sequence[Images]) -> dict[str, Any]:
    """JSON values for the page's script; numbers as base64, images as PNG or lossless WebP.

    Args:
        runs: on the CPU.
        images: the images that are shown of each run.

    Raises:
        VaecliError: the page cannot compute a network, or a likelihood.
    """
    sheets: dict[str, int] = {}
    shown: list[dict[str, Any]] = []
    spaces = []
    for run, name, part in zip(runs, names_of(runs), images, strict=True):
        seen = observed_images(part, run.model.binarize)
        if seen.digest not in sheets:
            sheets[seen.digest] = len(shown)
            shown.append(_images(seen))
        spaces.append(_space(run, name, seen) | {"images": sheets[seen.digest]})
    return {"images": shown, "spaces": spaces}


@torch.inference_mode()
def _space(run: Run, name: str, images: Images) -> dict[str, Any]:
    model = run.model.eval()
    x = model.observe(images.pixels)
    likelihood = model.pixel_likelihood.__name__
    if likelihood not in LIKELIHOODS or registry.find("likelihood", str(run.config.likelihood)).provider:
        raise VaecliError(
            f"{name}: found the likelihood {likelihood}, expected one that the page computes: {', '.join(LIKELIHOODS)}"
        )
    y = model.condition(images.labels)
    q = model.posterior_of(features_of(model, x, y), y)
    check_finite(q.mean, q.stddev)
    few = torch.arange(0, len(x), max(1, len(x) // 200))
    z, y_few = q.mean[few], None if y is None else y[few]
    model.decode(z, y_few)  # refuses values that are no finite numbers
    loc, scale = (values[:, : model.prior.decoded] for values in (q.mean, q.stddev))
    axes, shares = _axes(loc)
    values = {
        "run": name,
        "latents": loc.shape[1],
        "classes": list(run.class_names) if model.conditional else [],
        "unknown": model.conditional and run.config.labels != "full",
        "likelihood": likelihood,
        "discrete": model.pixel_likelihood.discrete,
        "prior": run.config.prior,
        "standardNormal": registry.STANDARD in registry.find("prior", run.config.prior).capabilities,
        "decoder": decoder_of(model, z, y_few),
        "loc": base64_of(loc),
        "logScale": base64_of(scale.log().half()),
        "axes": axes.tolist(),
        "shares": shares,
        "active": (loc.var(0, correction=0) > ACTIVE).nonzero().flatten().tolist(),
        "reach": max(3.0, float((loc @ axes[:2].T).abs().flatten()[:1_000_000].quantile(0.999))),
    }
    if not values["standardNormal"] and model.latent_dim == model.prior.decoded == 2:
        values["contours"] = contours(model, 1.08 * float(values["reach"]))
    drawn = _drawn(run, images)
    return values | ({"drawn": drawn, "encoder": encoder_of(model, x[few], y_few)} if drawn else {})


def _drawn(run: Run, images: Images) -> dict[str, Any] | None:
    """How the page prepares what a person draws, as `vaecli.data` prepares their pictures; None where they cannot draw."""
    shape, posterior = images.shape, registry.find("posterior", run.config.posterior)
    if registry.DIAGONAL not in posterior.capabilities or run.model.prior.decoded < run.model.latent_dim:
        return None
    if shape.channels > 1 or shape.height != shape.width or shape.height > _LARGEST_DRAWN:
        return None
    drawing = getattr(registry.load("dataset", run.config.dataset), "drawing", None)
    made = {"binarize": run.config.binarize, "light": bool(images.pixels.float().mean() > 127)}
    return made | ({"box": drawing.box, "byMass": drawing.centred_by_mass} if isinstance(drawing, Drawing) else {})


@torch.inference_mode()
def contours(model: VAE, reach: float) -> list[list[list[list[float]]]]:
    """The lines around the smallest regions of a plane of latents that hold the shares HELD of the prior's mass.

    Args:
        model: of two latents.
        reach: half the length of an edge of the square that is looked at.

    Returns:
        For each share lines of points (z1, z2); none for a share that the square does not hold.
    """
    grid = Grid(2, _CONTOUR_SIDE, reach)
    log_density = model.prior().log_prob(grid.points(model.device)).double().cpu()
    highest = log_density.sort(descending=True).values
    held = (highest.exp() * grid.cell**2).cumsum(0)
    axis = grid.points(torch.device("cpu"))[:_CONTOUR_SIDE, 1].numpy()
    # the first coordinate goes down the rows of the grid, and right on the page
    lines = contourpy.contour_generator(axis, axis, log_density.view(_CONTOUR_SIDE, -1).T.numpy())
    levels = [float(highest[int((held < share).sum())]) if share < float(held[-1]) else None for share in HELD]
    return [[] if level is None else [np.asarray(line).round(3).tolist() for line in lines.lines(level)] for level in levels]


def _axes(loc: Tensor) -> tuple[Tensor, list[float]]:
    """Up to three directions that the page shows, shape (., latent_dim): the latents, or principal components of more than two."""
    latents = loc.shape[1]
    if latents <= 2:
        return torch.eye(latents), []
    directions, shares = principal_directions(loc, 3)
    return directions.T.float(), shares.tolist()


def _images(images: Images) -> dict[str, Any]:
    shape, count = images.shape, len(images)
    columns = math.ceil(math.sqrt(count * shape.height / shape.width))
    return {
        "sheet": sheet(images.pixels, shape, columns),
        "columns": columns,
        "shape": [shape.channels, shape.height, shape.width],
        "labels": base64_of(images.labels.to(torch.int16)),
        "names": list(images.class_names),
        "files": list(images.names),
        "colours": [hex_of(colour) for colour in class_colours(len(images.class_names))],
        "unknown": hex_of(UNKNOWN_COLOUR),
        "anyUnknown": bool((images.labels == UNKNOWN).any()),
    }


def sheet(pixels: Tensor, shape: ImageShape, columns: int) -> str:
    """Images side by side, `columns` in a row, as the address of a picture inside the page that keeps every byte."""
    rows = -(-len(pixels) // columns)
    tiles = torch.zeros(rows * columns, shape.size, dtype=torch.uint8)
    tiles[: len(pixels)] = pixels
    grid = tiles.view(rows, columns, shape.channels, shape.height, shape.width).permute(0, 3, 1, 4, 2)
    values = grid.reshape(rows * shape.height, columns * shape.width, shape.channels).numpy()
    picture = Image.fromarray(values.squeeze(-1) if shape.channels == 1 else values)
    if shape.channels == 1 and bool(((pixels == 0) | (pixels == 255)).all()):
        picture = picture.convert("1", dither=Image.Dither.NONE)
    return min(png(picture), webp(picture), key=len) if features.check("webp") else png(picture)


def png(picture: Image.Image) -> str:
    """A picture as the address of a PNG inside the page."""
    return _inside(picture, "PNG", optimize=True)


def webp(picture: Image.Image) -> str:
    """A picture as the address of a WebP inside the page that keeps every byte."""
    return _inside(picture.convert("RGB"), "WEBP", lossless=True, quality=100, method=4)


def _inside(picture: Image.Image, kind: str, **options: Any) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
