"""Pictures at their places in the latent space."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vaecli.analysis.latents import Cloud
from vaecli.arguments import Filled, checked
from vaecli.data.images import Images
from vaecli.errors import UsageError
from vaecli.image_shape import ImageShape
from vaecli.plotting.formats import save_figure
from vaecli.plotting.grids import short
from vaecli.plotting.palette import Colour
from vaecli.plotting.plots import axis_captions, class_legend, kinds, title

SIDE = 1000
"""Pixels per side of the axes."""

LEAST, MOST = 28, 64
"""Pixels of a picture's longer side: a smaller one is enlarged by a whole number, a larger one is shrunk."""

_LEFT, _BELOW, _ABOVE = 80, 65, 50
_DPI = 100
_EDGE = 8
_APART = 2
_FRAME: Colour = (0.75, 0.75, 0.75, 1.0)


@checked
def save_thumbnails(path: Path, runs: Annotated[Sequence[tuple[str, Cloud, Images]], Filled], split: str = "test") -> None:
    """Pictures where their latents lie in the plane, framed in their label's colour, for runs side by side.

    Those that would cover one that is there already are left out.

    Args:
        path: a file that ends in .png, .pdf or .svg.
        runs: the name, the cloud in two dimensions, and the images of each run, in the cloud's order.
        split: the name of the images in the titles.

    Raises:
        VaecliError: the file cannot be written, or an argument is wrong.
    """
    for name, cloud, images in runs:
        if len(cloud.columns) != 2 or len(cloud.points) != len(images):
            raise UsageError(
                f"{{runs=}}: found {len(cloud.points):,} points of {len(cloud.columns)} coordinates and {len(images):,} images for "
                f"{name}, expected two coordinates for each image"
            )
    right = max(_legend_width(cloud) for _, cloud, _ in runs)
    width, height = (_LEFT + SIDE + right) * len(runs), _BELOW + SIDE + _ABOVE
    figure = Figure(figsize=(width / _DPI, height / _DPI))
    for index, (name, cloud, images) in enumerate(runs):
        left = index * (_LEFT + SIDE + right) + _LEFT
        axes = figure.add_axes((left / width, _BELOW / height, SIDE / width, SIDE / height))
        shown = draw_thumbnails(axes, cloud, images)
        title(axes, f"{name}: {shown:,} of {len(images):,} {split} images at their posterior means")
    save_figure(path, figure, _DPI)


def draw_thumbnails(axes: Axes, cloud: Cloud, images: Images) -> int:
    """Pictures at their latents in axes, with their captions and a legend, as `save_thumbnails`; gives how many are shown."""
    page, chosen, (low, high) = _page(cloud, images)
    for _, class_name, colour in kinds(cloud):
        axes.scatter([], [], s=7, color=colour, label=class_name, marker="s")
    (x0, y0), (x1, y1) = low.tolist(), high.tolist()
    axes.imshow(page, extent=(x0, x1, y0, y1), interpolation="none", aspect="auto")
    axes.set_xlabel(axis_captions(cloud)[0])
    axes.set_ylabel(axis_captions(cloud)[1])
    class_legend(axes, cloud)
    return len(chosen)


def spread_out(places: Tensor, width: int, height: int) -> list[int]:
    """The boxes that are drawn if each in turn is left out where it would cover an earlier one.

    Args:
        places: their middles, shape (N, 2).
        width: of each box.
        height: of each box.

    Returns:
        Their positions among `places`, in order.
    """
    size, chosen = torch.tensor([width, height]), list[int]()
    taken = places.new_empty(len(places), 2)
    for index, place in enumerate(places):
        if not ((taken[: len(chosen)] - place).abs() < size).all(1).any():
            taken[len(chosen)] = place
            chosen.append(index)
    return chosen


def shown_size(shape: ImageShape) -> tuple[int, int]:
    """The width and the height, in pixels, of a picture of this shape."""
    side = max(shape.width, shape.height)
    if side > MOST:
        return max(1, round(shape.width * MOST / side)), max(1, round(shape.height * MOST / side))
    scale = -(-LEAST // side)
    return shape.width * scale, shape.height * scale


def _page(
    cloud: Cloud, images: Images
) -> tuple["np.ndarray[tuple[int, ...], np.dtype[np.uint8]]", list[int], tuple[Tensor, Tensor]]:
    """The pixels of the axes, the images there, and the latents at its lower left and upper right corner."""
    frame = 2 if cloud.labelled else 1
    size = torch.tensor(shown_size(images.shape))
    box = size + 2 * frame
    points = cloud.points.double()
    low, high = points.amin(0), points.amax(0)
    low, high = torch.where(low == high, low - 0.5, low), torch.where(low == high, high + 0.5, high)
    margin = box / 2 + _EDGE
    per_pixel = (high - low) / (SIDE - 2 * margin)
    low, high = low - margin * per_pixel, high + margin * per_pixel
    corners = ((points - low) / per_pixel - box / 2).round().long()
    corners[:, 1] = SIDE - corners[:, 1] - box[1]  # rows of pixels go down
    width, height = (box + _APART).tolist()
    order = corners.sum(1).argsort(stable=True)  # from one corner on, which leaves fewer gaps than any order by chance
    chosen = order[spread_out(corners[order], width, height)].tolist()
    colours = {label: tuple(round(255 * part) for part in colour[:3]) for label, _, colour in kinds(cloud)}
    page = Image.new("RGB", (SIDE, SIDE), (255, 255, 255))
    for index in chosen:
        colour = colours[int(cloud.labels[index])] if cloud.labelled else tuple(round(255 * part) for part in _FRAME[:3])
        left, top = corners[index].tolist()
        page.paste(colour, (left, top, left + int(box[0]), top + int(box[1])))
        page.paste(_picture(images.pixels[index], images.shape, (int(size[0]), int(size[1]))), (left + frame, top + frame))
    return np.asarray(page), chosen, (low, high)


def _legend_width(cloud: Cloud) -> int:
    """Pixels to the right of the axes, about as many as the legend takes."""
    if not cloud.labelled:
        return 30
    return 80 + 8 * max(len("and 9,999 more"), *(len(short(name)) for _, name, _ in kinds(cloud)))


def _picture(pixels: Tensor, shape: ImageShape, size: tuple[int, int]) -> Image.Image:
    values = pixels.cpu().view(shape.channels, shape.height, shape.width).expand(3, -1, -1).permute(1, 2, 0).contiguous()
    picture = Image.fromarray(values.numpy())
    shrunk = size[0] < shape.width or size[1] < shape.height
    return picture.resize(size, Image.Resampling.BOX if shrunk else Image.Resampling.NEAREST)
