"""The palette, as people with and without a colour deficiency see it."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib import color_sequences
from matplotlib.colors import to_rgba

from vaecli.plotting.palette import TEN, UNKNOWN_COLOUR, class_colours

SEEN = {
    "all cones": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
"""Linear RGB as it is seen: Machado, Oliveira & Fernandes 2009, table 1, severity 1."""

TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])


def lab(colour, seen):
    """The colour in CIELAB, in which one unit is about the least difference that is noticed."""
    rgb = np.array(colour[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(seen @ linear, 0, 1) / (0.95047, 1, 1.08883)
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def least(colours, seen):
    return min(np.linalg.norm(one - other) for one, other in combinations([lab(colour, seen) for colour in colours], 2))


@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
def test_ten_classes_can_be_told_apart(seen):
    assert least(TEN, seen) > 15
    assert least([*TEN, UNKNOWN_COLOUR], seen) > 10


@pytest.mark.parametrize("kind", ["protanopia", "deuteranopia"])
def test_they_are_further_apart_than_those_that_are_common(kind):
    common = [to_rgba(colour) for colour in color_sequences["tab10"]]
    assert least(TEN, SEEN[kind]) > 2 * least(common, SEEN[kind])


def test_any_number_of_classes_have_a_colour_each():
    assert class_colours(10) == list(TEN)
    for classes in (1, 2, 11, 20, 21, 200):
        assert len(set(class_colours(classes))) == classes
    assert least(class_colours(20), SEEN["all cones"]) > 5
