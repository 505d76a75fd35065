"""Images as byte tensors with their labels, and where they come from."""

from vaecli.data.images import Images
from vaecli.data.load import Read, Source, load_images, read_once, read_split

__all__ = ["Images", "Read", "Source", "load_images", "read_once", "read_split"]
