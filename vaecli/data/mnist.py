"""MNIST (LeCun, Cortes & Burges), which travels inside the package: no network, no cache."""

from pathlib import Path

from vaecli.data.idx import read_folder
from vaecli.data.images import Images

CLASS_NAMES = tuple("0123456789")

FOLDER = Path(__file__).parent / "mnist_idx"


def load(split: str, data_dir: Path | None = None) -> Images:
    """The 60,000 training or 10,000 test digits.

    Args:
        split: ``train`` or ``test``.
        data_dir: a folder of IDX files to read instead of the package's own.

    Raises:
        DataError: `data_dir` does not hold such files.
    """
    return read_folder(data_dir or FOLDER, split, CLASS_NAMES)
