"""The shape of images. No torch, so that settings can name it."""

from dataclasses import dataclass

from vaecli.errors import UsageError

COLOURS = {"grey": 1, "rgb": 3}
"""The channels of an image, by the name of its colours."""

FEWEST = 16
"""Images that are measured at once at the least, however large: matrix products of fewer read all weights for little work."""


@dataclass(frozen=True)
class ImageShape:
    """The shape of every image of a data set.

    An image is passed on as a flat vector: channel by channel, each row by row from the top left.

    Attributes:
        channels: 1 for grey, 3 for red, green and blue.
        height: pixels.
        width: pixels.

    Raises:
        UsageError: there are no such images.

    Example:
        >>> ImageShape(3, 64, 64).size
        12288
    """

    channels: int
    height: int
    width: int

    def __post_init__(self) -> None:
        sides = (self.channels, self.height, self.width)
        if not all(type(side) is int and side >= 1 for side in sides) or self.channels not in COLOURS.values():
            raise UsageError("{shape}: expected 1 or 3 channels, and a height and width from 1", shape=sides)

    @property
    def size(self) -> int:
        """The length of the vector: values of all channels."""
        return self.channels * self.height * self.width

    def scaled_batch(self, images: int) -> int:
        """How many images of this shape take the memory of so many of 28 x 28 grey pixels; 1 at the least."""
        return max(1, images * 28 * 28 // self.size)

    def measured_batch(self, images: int) -> int:
        """As `scaled_batch`, where nothing is kept for a gradient: `FEWEST` at the least, if `images` are not fewer."""
        return max(min(images, FEWEST), self.scaled_batch(images))

    def __str__(self) -> str:
        colour = "" if self.channels == 1 else f" x {self.channels}"
        return f"{self.height} x {self.width}{colour}"


GREY_28 = ImageShape(1, 28, 28)
"""The shape of MNIST's images."""
