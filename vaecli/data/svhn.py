"""Street View House Numbers, the cropped digits (Netzer et al. 2011, NIPS workshop on deep learning)."""

from vaecli.data.dataset import ReadListener
from vaecli.data.idx import MAX_ITEMS
from vaecli.data.images import Images
from vaecli.data.mat5 import read_mat
from vaecli.data.published import Archives
from vaecli.data.torchvision_sets import TorchvisionDataset
from vaecli.errors import DataError
from vaecli.image_shape import ImageShape

SHAPE = ImageShape(3, 32, 32)
NAMES = tuple("0123456789")


def read(archives: Archives, split: str, listen: ReadListener) -> Images:
    """A split from its MAT-file; torchvision's class needs SciPy for that."""
    path = archives[f"{split}_32x32.mat"]
    arrays = read_mat(path, {"X": (32, 32, 3, MAX_ITEMS), "y": (MAX_ITEMS, 1)})
    pixels, labels = arrays["X"], arrays["y"].long().flatten()
    if pixels.shape[:3] != (32, 32, 3) or len(labels) != pixels.shape[3]:
        raise DataError(
            f"{path}: found X of {tuple(pixels.shape)} and {len(labels)} labels, expected as many images of 32 x 32 x 3"
        )
    if not ((labels >= 1) & (labels <= 10)).all():
        raise DataError(f"{path}: found labels from {labels.min()} to {labels.max()}, expected 1 to 10, which is the digit 0")
    return Images(pixels.permute(3, 2, 0, 1).flatten(1), labels % 10, NAMES, SHAPE)


SVHN = TorchvisionDataset("svhn", "SVHN", SHAPE, read, NAMES)
