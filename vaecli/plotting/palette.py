"""The colours of classes and of runs, however many there are."""

from collections.abc import Sequence

from matplotlib import color_sequences, colormaps
from matplotlib.colors import to_rgba

Colour = tuple[float, float, float, float]

UNKNOWN_COLOUR: Colour = (0.35, 0.35, 0.35, 1.0)
"""The colour of images whose label is not known, beside those with one."""

TEN: Sequence[Colour] = tuple(map(to_rgba, color_sequences["petroff10"]))
"""Ten colours that people with a colour deficiency can tell apart too (Petroff 2021, arXiv:2107.02270)."""

_DARKER = 0.55


def hex_of(colour: Colour) -> str:
    """A colour as HTML has it."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour[:3])


def class_colours(classes: int) -> list[Colour]:
    """A colour for each of so many classes: up to twenty, ten and these darkened; beyond that, colours along a rainbow."""
    if classes <= 20:
        darkened = [(_DARKER * red, _DARKER * green, _DARKER * blue, 1.0) for red, green, blue, _ in TEN]
        return [*TEN, *darkened][:classes]
    return [colormaps["turbo"](0.03 + 0.94 * index / (classes - 1)) for index in range(classes)]
