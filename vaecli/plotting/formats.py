"""The formats that pictures are written in; the same picture has the same bytes each time."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaecli.arguments import checked
from vaecli.errors import UsageError
from vaecli.files import write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

SUFFIXES = (".png", ".pdf", ".svg")

_WITHOUT_DATE: dict[str, dict[str, Any]] = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
_PIXELS_AN_INCH = 96


@checked
def check_suffix(path: Path) -> None:
    """Refuses a file in whose format no picture is written.

    Raises:
        UsageError: its suffix is none of SUFFIXES.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{{path}}: expected a file that ends in {', '.join(SUFFIXES)}", path=path)


def save_figure(path: Path, figure: Figure, dpi: float) -> None:
    """Writes a plot in the format of the path's suffix, one of SUFFIXES.

    Args:
        path: the file.
        figure: the plot.
        dpi: dots an inch of a PNG; the others are made of lines.

    Raises:
        VaecliError: the file cannot be written.
    """
    from matplotlib import rc_context

    check_suffix(path)
    kind = path.suffix.lower().removeprefix(".")
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "vaecli"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a run's name may have letters that the font lacks
        figure.savefig(file, format=kind, dpi=dpi, metadata=_WITHOUT_DATE[kind])
    write_file(path, file.getvalue())


def save_image(path: Path, image: Image) -> None:
    """Writes pixels in the format of the path's suffix, without loss; a PDF or SVG shows them unsmoothed, 96 to the inch.

    Raises:
        VaecliError: the file cannot be written.
    """
    check_suffix(path)
    if path.suffix.lower() == ".png":
        file = io.BytesIO()
        image.save(file, "PNG", optimize=True)
        write_file(path, file.getvalue())
        return

    from matplotlib.figure import Figure

    figure = Figure(figsize=(image.width / _PIXELS_AN_INCH, image.height / _PIXELS_AN_INCH))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(image, interpolation="none", aspect="auto")
    save_figure(path, figure, _PIXELS_AN_INCH)
