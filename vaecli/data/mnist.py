"""MNIST (LeCun, Cortes & Burges), which travels inside the package: no network, no cache."""

from pathlib import Path

from vaecli.data.dataset import Dataset

FOLDER = Path(__file__).parent / "mnist_idx"

MNIST = Dataset(
    class_names=tuple("0123456789"),
    digests={
        "train": "16d4db30f8b8fd2767fcc73cd64bbb263e29a44395aef09dbf0ea27086ed7da4",
        "test": "5a8be49da49b33bc2d6a0e195891ccd3901a8a383d19a73c9915bf4c7c1aeba1",
    },
    find=lambda: FOLDER,
    box=20,
    centred_by_mass=True,
)
