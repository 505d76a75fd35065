from dataclasses import replace

import pytest

from tests.helpers import write_idx
from vaecli.runs.train import train


@pytest.fixture
def own(tmp_path, digits):
    """A folder of a person's own images: real digits, upside down."""
    folder = tmp_path / "my digits!"
    for split in ("train", "t10k"):
        write_idx(folder, split, replace(digits, pixels=digits.pixels.flip(1)))
    return folder


@pytest.fixture
def fit(request, tmp_path, small_mnist):
    """Trains a run with the settings that the test's module calls SMALL, if not given others."""

    def run(name="run", config=request.module.SMALL, **more):
        return train(config, tmp_path / name, data_dir=small_mnist, threads=1, **more)

    return run
