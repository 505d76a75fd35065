"""Only regular files are read, and no more of them than is expected."""

import sys
import tracemalloc
from pathlib import Path

import pytest

from tests.helpers import put
from vaecli.reading import read_file

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="makes devices and sockets as Linux has them")


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder", "socket", "holes"])
def test_only_regular_files_of_the_size_expected_are_read(tmp_path, kind):
    put(tmp_path / "file", kind)
    with pytest.raises(
        OSError, match="found more than the 100 bytes" if kind == "holes" else f"found a {kind}, not a regular file"
    ):
        read_file(tmp_path / "file", 100)


def test_a_file_of_the_system_without_length_is_read_as_empty():
    """Some of these make their readers wait."""
    assert read_file(Path("/proc/version"), 100) == b""


def test_a_small_file_takes_little_memory_whatever_it_may_have(tmp_path):
    (tmp_path / "file").write_bytes(b"a" * 100)
    tracemalloc.start()
    try:
        assert read_file(tmp_path / "file", 1 << 28) == b"a" * 100
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
