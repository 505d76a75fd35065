"""The colours of classes and of runs, however many there are, on white paper and on a dark page."""

from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.colors import LinearSegmentedColormap, to_rgba

Colour = tuple[float, float, float, float]

UNKNOWN_COLOUR: Colour = (0.55, 0.55, 0.55, 1.0)
"""The colour of images whose label is not known, beside those with one."""

TWENTY: Sequence[Colour] = tuple(
    map(
        to_rgba,
        ["#3689b7", "#b50011", "#156f4d", "#ab7b03", "#5d0cff", "#72c392", "#863e78", "#c5b516", "#d83664", "#a9abff",
         "#404eb3", "#ff8679", "#867236", "#ed39ae", "#9f9552", "#a67dfe", "#a9233e", "#de9dc1", "#7758f6", "#a45f85"],
    )
)  # fmt: skip
"""Colours that people with full colour vision tell apart, and people without one of the three kinds of cones.

They were found by a search for the greatest least difference (CIEDE2000) between any two, as each of these people sees
them (Machado, Oliveira & Fernandes, "A physiologically-based model for simulation of color vision deficiency", 2009), with a
contrast of at least 2 to white and to the dark page. The first ten differ by 14 from each other and from `UNKNOWN_COLOUR`,
those of matplotlib's tab10 by 1.3; all twenty by 8.
"""

TEN = TWENTY[:10]

_MANY = LinearSegmentedColormap.from_list("many", [colormaps["viridis"](0.25 + 0.51 * step / 255) for step in range(256)], 4096)


def hex_of(colour: Colour) -> str:
    """A colour as HTML has it."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour[:3])


def class_colours(classes: int) -> list[Colour]:
    """A colour for each of so many classes: distinct ones up to twenty, beyond that from dark to light, neighbours alike."""
    if classes <= len(TWENTY):
        return list(TWENTY[:classes])
    return [_MANY(index / (classes - 1)) for index in range(classes)]
