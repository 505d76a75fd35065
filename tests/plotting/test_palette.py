"""The colours of classes: told apart by people with any kind of cones, and seen on white and on dark pages."""

import numpy as np
import pytest
from matplotlib import colormaps

from vaecli.plotting.palette import TEN, TWENTY, UNKNOWN_COLOUR, class_colours

EYES = {
    "all three kinds of cones": np.eye(3),
    # Machado, Oliveira & Fernandes (2009), severity 1
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
DARK = (0x16 / 255, 0x18 / 255, 0x1C / 255)
"""The dark page."""


def linear(colours):
    s = np.array(colours, float)[..., :3]
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def lab(light):
    t = light @ XYZ.T / XYZ.sum(1)
    x, y, z = np.moveaxis(np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def ciede2000(first, second):
    """Sharma, Wu & Dalal (2005), of CIELAB colours, shape (..., 3)."""
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
    c = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 1.5 - 0.5 * np.sqrt(c**7 / (c**7 + 25.0**7))
    c1, c2 = np.hypot(a1 * g, b1), np.hypot(a2 * g, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1 * g)) % 360, np.degrees(np.arctan2(b2, a2 * g)) % 360
    turn = (h2 - h1 + 180) % 360 - 180
    middle = np.where(c1 * c2 == 0, h1 + h2, (h1 + turn / 2) % 360)
    lightness, c = (l1 + l2) / 2, (c1 + c2) / 2
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)
    angle = np.radians
    t = (
        1 - 0.17 * np.cos(angle(middle - 30)) + 0.24 * np.cos(angle(2 * middle))
        + 0.32 * np.cos(angle(3 * middle + 6)) - 0.2 * np.cos(angle(4 * middle - 63))
    )  # fmt: skip
    sl, sc, sh = 1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2), 1 + 0.045 * c, 1 + 0.015 * c * t
    rotate = -2 * np.sqrt(c**7 / (c**7 + 25.0**7)) * np.sin(angle(60 * np.exp(-(((middle - 275) / 25) ** 2))))
    dl, dc, dh = (l2 - l1) / sl, (c2 - c1) / sc, dh / sh
    return np.sqrt(dl**2 + dc**2 + dh**2 + rotate * dc * dh)


def least_difference(colours):
    """Between any two of them, to any eyes."""
    pairs = np.triu_indices(len(colours), 1)
    seen = [lab(np.clip(linear(colours) @ np.array(matrix).T, 0, 1)) for matrix in EYES.values()]
    return min(float(ciede2000(part[pairs[0]], part[pairs[1]]).min()) for part in seen)


def contrast(first, second):
    """Of WCAG, from 1 to 21."""
    high, low = sorted((float(linear(colour) @ XYZ[1]) for colour in (first, second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.5, 0), (61, -5, 29), 22.8977),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((90.8027, -2.0831, 1.441), (91.1528, -1.6435, 0.0447), 1.4441),
    ],
)
def test_the_difference_of_colours_is_the_published_one(first, second, expected):
    assert ciede2000(np.array(first, float), np.array(second, float)) == pytest.approx(expected, abs=1e-4)


def test_ten_classes_are_told_apart_by_any_eyes():
    """2.3 is just noticed side by side; scattered points need several times that. tab10 has pairs that look alike."""
    assert least_difference([colormaps["tab10"](index) for index in range(10)]) < 2
    assert least_difference([*TEN, UNKNOWN_COLOUR]) > 14


def test_twenty_classes_differ_at_least():
    assert least_difference([colormaps["tab20"](index) for index in range(20)]) < 2
    assert least_difference([*TWENTY, UNKNOWN_COLOUR]) > 8


@pytest.mark.parametrize("classes", [10, 20, 62])
def test_every_colour_is_seen_on_white_and_on_the_dark_page(classes):
    for colour in class_colours(classes):
        assert contrast(colour, (1, 1, 1)) > 2 < contrast(colour, DARK)


def test_any_number_of_classes_have_a_colour_each():
    for classes in (1, 2, 10, 11, 20, 21, 200):
        assert len(set(class_colours(classes))) == classes
    assert class_colours(3) == list(TEN[:3])
    lightness = [lab(linear(colour))[0] for colour in class_colours(62)]
    assert lightness == sorted(lightness)  # so that those who see no hue can follow the order
