"""Images as byte tensors with their labels, and where they come from."""

from vaecli.data.images import SIDE, Images
from vaecli.data.load import Read, Source, load_images, read_once

__all__ = ["SIDE", "Images", "Read", "Source", "load_images", "read_once"]
