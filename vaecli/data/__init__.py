"""Images as byte tensors with their labels, and where they come from."""

from vaecli.data.images import SIDE, Images
from vaecli.data.load import Source, load_images

__all__ = ["SIDE", "Images", "Source", "load_images"]
