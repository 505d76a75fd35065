"""What tests of commands share."""

import pytest

FEW = ["--epochs", "1", "--validation", "100"]


@pytest.fixture
def search(vaecli, small_mnist):
    """Runs `vaecli search` with runs of a second."""

    def run(*words):
        return vaecli("search", *FEW, "--data-dir", small_mnist, *words)

    return run
