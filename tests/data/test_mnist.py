"""MNIST out of the package: whole, or one line that says what to do."""

import shutil

import pytest

from tests.helpers import damage
from vaecli.data import mnist
from vaecli.errors import DataError


@pytest.mark.parametrize("kind", ["a byte off", "cut short", "missing"])
def test_damaged_files_of_the_package_are_one_line(tmp_path, kind):
    folder = shutil.copytree(mnist.FOLDER, tmp_path / "mnist")
    assert len(mnist.read("test", folder)) == 10_000
    damage(kind, folder / "t10k-labels-idx1-ubyte.xz")
    with pytest.raises(DataError, match=rf"^{folder}: a file of the test split is missing or damaged.*; install vaecli again$"):
        mnist.read("test", folder)
