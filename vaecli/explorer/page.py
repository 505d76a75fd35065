"""The page of the explorer: one HTML file that loads nothing else. And its parts, for pages that contain it."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from PIL import Image, ImageColor

from vaecli import __version__
from vaecli.arguments import Filled, checked
from vaecli.data.images import Images
from vaecli.errors import UsageError
from vaecli.explorer.payload import payload, png
from vaecli.runs.run import Run

SCRIPTS = (
    "numbers.js",
    "network.js",
    "likelihoods.js",
    "worker.js",
    "view.js",
    "path.js",
    "overlay.js",
    "paint.js",
    "pointer.js",
    "pictures.js",
    "controls.js",
    "brush.js",
    "drawing.js",
    "drawpad.js",
    "density.js",
    "eraser.js",
    "rubout.js",
    "explorer.js",
)
"""The script, in parts."""

_STILL = 480
"""Pixels per side of the picture that a browser without JavaScript shows."""


@dataclass(frozen=True)
class Component:
    """The explorer as parts of a page, which has the colours --paper, --ink, --quiet, --line and --link.

    Attributes:
        html: the markup.
        css: the style sheet of the explorer.
        script: the explorer's script, which starts by itself.
        data: the JSON that the script reads from the element ``latents``.
    """

    html: Markup
    css: Markup
    script: Markup
    data: Markup


@checked
def explore(runs: Annotated[Sequence[Run], Filled], images: Sequence[Images]) -> str:
    """An HTML page in which a person moves through the latent spaces of runs; it loads nothing else, and needs no network.

    Args:
        runs: on the CPU.
        images: of each run, those to show, such as the first 2,000 test images.

    Raises:
        VaecliError: an argument is wrong, or the page cannot compute a network, or a likelihood.

    Example:
        >>> run = vaecli.load("baseline")
        >>> html = vaecli.explore([run], [vaecli.load_images("mnist", "test", limit=2000)])
    """
    if len(images) != len(runs):
        raise UsageError(f"{{images=}}: found images for {len(images):,} runs, expected them for {len(runs):,}")
    for run, part in zip(runs, images, strict=True):
        run.check_beside("images", part)
    data, files = payload(runs, images), assets()
    parts = component(data)
    names = ", ".join(space["run"] for space in data["spaces"])
    return _render(
        files["page.html.j2"], names=names, version=__version__, component=parts.html, css=parts.css, script=parts.script,
        data=parts.data, page_css=Markup(files["page.css"]),
    )  # fmt: skip


def component(data: dict[str, Any]) -> Component:
    """The parts of a page that shows the explorer of `data`, made by `vaecli.explorer.payload.payload`."""
    files = assets()
    html = _render(files["component.html.j2"], still=_still(data), run=data["spaces"][0]["run"])
    script = '"use strict";\n' + "\n".join(files[name] for name in SCRIPTS)
    values = json.dumps(data).replace("<", "\\u003c")
    return Component(Markup(html), Markup(files["explorer.css"]), Markup(script), Markup(values))


def assets() -> dict[str, str]:
    """The templates, the style sheets and the parts of the script, by file name."""
    folder = resources.files("vaecli.explorer") / "assets"
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.is_file()}


def _render(template: str, **values: Any) -> str:
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(template).render(**values)


def _still(data: dict[str, Any]) -> str:
    """The points of the first run, as the address of a PNG inside the page."""
    space = data["spaces"][0]
    shown = data["images"][space["images"]]
    loc, labels = (_values(text, kind) for text, kind in ((space["loc"], "<f4"), (shown["labels"], "<i2")))
    places = loc.reshape(-1, space["latents"]) @ np.array(space["axes"], "float32")[:2].T
    if places.shape[1] == 1:
        places = np.column_stack((places, np.linspace(-1, 1, len(places)) * space["reach"]))
    colours = np.array([ImageColor.getrgb(colour) for colour in (*shown["colours"], shown["unknown"])], np.uint8)
    at = np.clip((places * [1, -1] / space["reach"] / 1.08 + 1) * _STILL / 2, 1, _STILL - 2).astype(int)
    canvas = np.full((_STILL, _STILL, 3), 255, np.uint8)
    for across in (-1, 0, 1):
        for down in (-1, 0, 1):
            canvas[at[:, 1] + down, at[:, 0] + across] = colours[labels]
    return png(Image.fromarray(canvas))


def _values(text: str, kind: str) -> Any:
    return np.frombuffer(base64.b64decode(text), kind)
