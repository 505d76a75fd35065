"""The colours of classes, however many there are."""

from collections.abc import Sequence

from matplotlib import colormaps

Colour = tuple[float, float, float, float]

UNKNOWN_COLOUR: Colour = (0.55, 0.55, 0.55, 1.0)
"""The colour of images whose label is not known, beside those with one."""

TEN: Sequence[Colour] = tuple(colormaps["tab10"](index) for index in range(10))


def class_colours(classes: int) -> list[Colour]:
    """A colour for each of so many classes: distinct ones up to twenty, beyond that along a rainbow."""
    if classes <= 10:
        return list(TEN[:classes])
    if classes <= 20:
        return [colormaps["tab20"](index) for index in range(classes)]
    return [colormaps["turbo"](0.03 + 0.94 * index / (classes - 1)) for index in range(classes)]
