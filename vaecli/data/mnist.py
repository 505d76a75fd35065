"""MNIST (LeCun, Cortes & Burges), which travels inside the package: no network, no cache."""

from pathlib import Path

from vaecli.data.dataset import Dataset

FOLDER = Path(__file__).parent / "mnist_idx"

MNIST = Dataset(class_names=tuple("0123456789"), find=lambda: FOLDER, box=20, centred_by_mass=True)
