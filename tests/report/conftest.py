import shutil

import pytest

from tests.helpers import DATA


@pytest.fixture
def drawn(reported, tmp_path, vaecli, monkeypatch):
    """Runs the command line in a copy of the report's folder."""
    monkeypatch.setenv("VAECLI_DATA_DIR", str(DATA))
    shutil.copytree(reported, tmp_path, dirs_exist_ok=True)
    return vaecli
