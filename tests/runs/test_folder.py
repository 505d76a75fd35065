"""The lock of a run's folder, as Windows has it: on a file in the folder."""

import sys

import filelock  # noqa: F401 - before the platform changes: it is for the real one
import pytest

from vaecli.errors import VaecliError
from vaecli.runs.folder import locked_folder


def test_on_windows_the_lock_is_a_file_that_its_holder_removes(tmp_path, monkeypatch):
    """Shows the order of the steps; that Windows removes no open file cannot be shown elsewhere."""
    monkeypatch.setattr(sys, "platform", "win32")
    with locked_folder(tmp_path / "run", ()) as folder:
        for _ in range(2):
            with pytest.raises(VaecliError, match="another vaecli trains this run"), locked_folder(tmp_path / "run", ()):
                pass
            assert (tmp_path / "run" / ".lock").exists()  # else the next one would lock another file
        folder.write("file", b"data")
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["file"]
    with locked_folder(tmp_path / "empty", ()):
        assert (tmp_path / "empty" / ".lock").exists()
    assert not (tmp_path / "empty").exists()


def test_on_windows_what_a_killed_process_left_locks_nobody_out(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    (tmp_path / ".lock").touch()
    with locked_folder(tmp_path, ()) as folder:
        assert folder.locked
    assert list(tmp_path.iterdir()) == []
