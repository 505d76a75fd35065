from dataclasses import replace

import pytest

from tests.helpers import write_idx


@pytest.fixture
def own(tmp_path, digits):
    """A folder of a person's own images: real digits, upside down."""
    folder = tmp_path / "my digits!"
    for split in ("train", "t10k"):
        write_idx(folder, split, replace(digits, pixels=digits.pixels.flip(1)))
    return folder
