"""Default numbers of images, and of steps of inference; formats of latents; names of bounds. No torch, for ``--help``."""

from vaecli.errors import UsageError

CLOUD_IMAGES = 5000
"""Images of a cloud."""

VARIANCE_IMAGES = 200
"""Images whose posterior variances are shown."""

COMPARED_IMAGES = 5
"""Images that runs are compared by."""

STARTS = 8
"""Prior draws that the inference of an image's latents starts from."""

STEPS = 2000
"""Gradient steps of that inference at the most."""

LATENT_SUFFIXES = (".npz", ".csv", ".safetensors")
"""Formats of files of latents."""

LIKELY_SHOWN = 5
"""Images in the table of the least and the most likely ones, of each."""

LIKELY_PICTURED = 10
"""Images in their picture."""


def particles_of(by: str) -> int:
    """The particles of a bound by its name: 50 for ``L_50``.

    Raises:
        UsageError: there is no such bound.
    """
    number = by.removeprefix("L_")
    if by == number or not (number.isascii() and number.isdecimal() and len(number) < 8 and 1 <= int(number) <= 1_000_000):
        raise UsageError("{by}: expected L_K with K particles, up to 1,000,000, such as L_50, or ais", by=by)
    return int(number)
