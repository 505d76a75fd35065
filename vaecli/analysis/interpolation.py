"""The path from one image to another through the latent space."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from vaecli.arguments import Within, checked
from vaecli.data.images import Images
from vaecli.display import png, rows_of
from vaecli.errors import UsageError
from vaecli.image_shape import ImageShape
from vaecli.model import VAE

PathKind = Literal["straight", "spherical"]
Ends = Annotated[int, Within(2, 1_000_000)]

LEAST_ANGLE = 1e-6
"""Radians: vectors whose angle is within this of 0 or of pi are joined by a straight line."""


@dataclass(frozen=True)
class Interpolation:
    """Images decoded from n latents on the path from one image to another.

    Attributes:
        ends: the two images as the likelihood sees them, shape (2, D).
        z: the latents, from the posterior mean of the first to that of the second, shape (n, latent_dim).
        y: the labels as the decoder sees them, shape (n, labels); None for a model without labels.
        mean: the means of p(x | z, y), shape (n, D).
        shape: of each image.
    """

    ends: Tensor
    z: Tensor
    y: Tensor | None
    mean: Tensor
    shape: ImageShape

    def grid(self) -> Tensor:
        """What a notebook shows, bytes of shape (3, height, width): an image, the means on the path, and the other image."""
        return rows_of(torch.cat((self.ends[:1], self.mean, self.ends[1:])), shape=self.shape)

    def _repr_png_(self) -> bytes:
        return png(self.grid())


@checked
@torch.inference_mode()
def between(
    model: VAE, a: Images, b: Images, n: Ends = 10, path: PathKind = "straight", *, label: int | None = None
) -> Interpolation:
    """Images on the path from one image to another, through their posterior means.

    A conditional model's label goes with them, linearly from the one-hot vector of `a`'s label to that of `b`'s (zeros for an
    unknown one); where both have the same label it stays.

    Args:
        model: on the same device as the images.
        a: one image, with its label.
        b: another.
        n: latents, both ends included.
        path: ``straight``, or ``spherical`` along a great circle.
        label: decode all of them with this one instead.

    Raises:
        UsageError: `n` is below 2, there is no such path, or the model has no such label.

    Example:
        >>> digits = vaecli.load_images("mnist", "test", limit=2)
        >>> vaecli.between(vaecli.load("baseline").model, digits[:1], digits[1:], 5).mean.shape
        torch.Size([5, 784])
    """
    model.eval()
    for name, end in (("a", a), ("b", b)):
        if len(end) != 1:
            raise UsageError(f"{{{name}=}}: found {len(end):,} images, expected one")
    if label is not None and not 0 <= label < model.labels:
        raise UsageError(f"{{label}}: expected a label of the model, which has {model.labels}", label=label)
    device = a.pixels.device
    x = model.observe(torch.cat((a.pixels, b.pixels)))
    y = model.condition(torch.cat((a.labels, b.labels)))
    start, end = model.encode(x, y).mean.cpu()
    share = torch.linspace(0, 1, n)
    z = (straight if path == "straight" else spherical)(start, end, share).to(device)
    if y is not None:
        y = straight(y[0], y[1], share.to(device)) if label is None else model.condition(torch.full((n,), label, device=device))
    return Interpolation(x, z, y, model.decode(z, y).mean, model.image_shape)


def straight(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """The points (1 - t) a + t b for each t in `share`: shape (n, D)."""
    t = share.unsqueeze(1)
    return (1 - t) * a + t * b


def spherical(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """Points whose direction goes along the great circle from a to b, and whose length goes linearly: shape (n, D).

    The direction is sin((1 - t) w) / sin(w) a / |a| + sin(t w) / sin(w) b / |b|, with w the angle between a and b (White 2016,
    "Sampling generative networks", arXiv:1609.04468). Latents of many dimensions lie near a sphere, and a straight line leaves it.
    Without a single great circle the path is straight: if a or b is zero, or they are parallel or opposite.

    Args:
        a: shape (D,).
        b: shape (D,).
        share: each t, from 0 at a to 1 at b, shape (n,).
    """
    lengths = [vector.double().norm() for vector in (a, b)]
    u, v = (vector.double() / length for vector, length in zip((a, b), lengths, strict=True))
    angle = 2 * torch.atan2((u - v).norm(), (u + v).norm())  # exact near 0 and pi too, unlike the arc cosine
    if not LEAST_ANGLE < angle < math.pi - LEAST_ANGLE:  # False for NaN too, the angle of a vector of zeros
        return straight(a, b, share)
    t = share.double().unsqueeze(1)
    direction = (torch.sin((1 - t) * angle) * u + torch.sin(t * angle) * v) / torch.sin(angle)
    points: Tensor = ((1 - t) * lengths[0] + t * lengths[1]) * direction
    return points.to(a.dtype)
