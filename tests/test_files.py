"""Files are whole or not there, keep their permissions, and leave nothing beside them."""

import csv
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from vaecli import files
from vaecli.errors import VaecliError
from vaecli.files import append_to, csv_bytes, write_file


@pytest.fixture
def fcntl():
    return pytest.importorskip("fcntl")  # Windows has none


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_writing_leaves_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "file"
    write_file(path, b"old")
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    (tmp_path / "folder").mkdir()
    with pytest.raises(VaecliError, match=r"folder: cannot be written \(is a directory\); what was there is untouched"):
        write_file(tmp_path / "folder", b"x")
    with pytest.raises(VaecliError, match="no such file or directory"):
        write_file(tmp_path / "none" / "file", b"x")
    assert names(tmp_path) == ["file", "folder"]


def test_bytes_are_added_all_or_none(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    append_to(path, b" and new")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(VaecliError, match=r"file: cannot be written \(no space left on device\); what was there is untouched"):
        append_to(path, b"and more")
    assert path.read_bytes() == b"old and new"
    with pytest.raises(VaecliError, match="no such file or directory"):
        append_to(tmp_path / "none", b"x")
    assert names(tmp_path) == ["file"]


def test_the_permissions_of_a_file_stay_and_a_new_one_has_the_masks(tmp_path):
    path = tmp_path / "file"
    before = os.umask(0o027)
    try:
        write_file(path, b"old")
        assert path.stat().st_mode & 0o777 == 0o640
        for mode in (0o600, 0o444, 0o666):
            path.chmod(mode)
            write_file(path, b"new")
            assert path.stat().st_mode & 0o777 == mode
    finally:
        os.umask(before)


@pytest.mark.system
def test_what_a_killed_writer_left_goes_with_the_next_writing(tmp_path):
    line = (
        "import os, signal, sys; from pathlib import Path; from vaecli import files\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write_file(Path(sys.argv[1]), b'half')"
    )
    path = tmp_path / "a[1].png"
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", line, str(path)], check=False)
        assert done.returncode == -signal.SIGKILL
        (left,) = names(tmp_path)  # each removes the one before it
        assert left.endswith(".part")
    write_file(path, b"whole")
    assert names(tmp_path) == [path.name]


def test_parts_of_living_writers_and_of_other_files_stay(tmp_path, fcntl):
    parts = [".a.png-abcdefgh.part", ".b.png-abcdefgh.part", ".a.png-b.png-abcdefgh.part", ".a.png-movie.part"]
    for part in parts:
        (tmp_path / part).write_bytes(b"half")
    with (tmp_path / parts[0]).open() as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        write_file(tmp_path / "a.png", b"whole")
        assert names(tmp_path) == sorted([*parts, "a.png"])
    write_file(tmp_path / "a.png", b"whole")
    assert names(tmp_path) == sorted([*parts[1:], "a.png"])


def test_a_part_that_is_removed_before_it_is_locked_is_begun_again(tmp_path, monkeypatch, fcntl):
    lock, removed = fcntl.flock, []

    def flock(handle, how):
        if not removed and not how & fcntl.LOCK_NB:
            removed.extend(tmp_path.iterdir())
            removed[0].unlink()
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    write_file(tmp_path / "file", b"whole")
    assert len(removed) == 1
    assert names(tmp_path) == ["file"]


def test_many_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([number]) * 1000 for number in range(100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda data: write_file(path, data), contents))
    assert path.read_bytes() in contents
    assert names(tmp_path) == ["file"]


def test_a_file_system_without_locks_is_written_all_the_same(tmp_path, monkeypatch, fcntl):
    def none(*_):
        raise OSError(37, "No locks available")

    left = tmp_path / ".file-abcdefgh.part"
    left.write_bytes(b"half")
    monkeypatch.setattr(fcntl, "flock", none)
    write_file(tmp_path / "file", b"whole")
    assert names(tmp_path) == [left.name, "file"]  # it may be a living writer's


def test_a_system_without_flock_as_windows_is_written_all_the_same(tmp_path, monkeypatch):
    left = tmp_path / ".file-abcdefgh.part"
    left.write_bytes(b"half")
    monkeypatch.setattr(files, "fcntl", None)
    for data in b"first", b"second":
        write_file(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == data
    assert names(tmp_path) == [left.name, "file"]


@pytest.mark.parametrize(
    ("text", "cell"),
    [("=1+1", "'=1+1"), ("+1+1", "'+1+1"), ("-a", "'-a"), ("@SUM(1)", "'@SUM(1)"), ("-1.5e3", "-1.5e3"), ("+2", "+2"),
     ("-inf", "-inf"), ("a=1", "a=1"), ("", ""), ("\t=1", "\\t=1"), ("\udcff", "\\udcff"), (-1.5, "-1.5"), (None, "")],
)  # fmt: skip
def test_no_cell_is_a_formula(text, cell):
    assert list(csv.reader([csv_bytes([{"a": text, "b": 1}]).decode().splitlines()[1]])) == [[cell, "1"]]


def test_writing_changes_no_setting_of_the_process(tmp_path, monkeypatch):
    """Another thread that makes a file meanwhile keeps to the mask."""

    def never(*arguments):
        raise AssertionError("a setting of the whole process was changed")

    for name in ("umask", "chdir"):
        monkeypatch.setattr(os, name, never)
    write_file(tmp_path / "file", b"old")
    write_file(tmp_path / "file", b"new")
