"""What tests of studies share."""

import tempfile
from pathlib import Path

import pytest

from tests.studies.postgresql import Server


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory(prefix="vaecli-postgresql-", ignore_cleanup_errors=True) as folder:
        made = Server(Path(folder))
        yield made
        made("pg_ctl", "-w", "-m", "immediate", "stop")
