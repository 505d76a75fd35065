"""The loss log: a row is added after each epoch, whatever moment a kill comes at."""

import shutil
from dataclasses import replace

import pytest

from tests.helpers import log_rows
from vaecli.config import Config
from vaecli.errors import CheckpointError
from vaecli.runs import state
from vaecli.runs.find import LOSS, MODEL, TRAINING, read_log
from vaecli.runs.folder import RunFolder
from vaecli.runs.state import load_training

SMALL = Config(hidden=(5,), batch_size=200, epochs=4, precision="fp32")


def test_a_row_is_added_to_the_file(fit, monkeypatch):
    written, added = [], []
    write, append = RunFolder.write, RunFolder.append
    monkeypatch.setattr(RunFolder, "write", lambda folder, name, data: (written.append(name), write(folder, name, data)))
    monkeypatch.setattr(RunFolder, "append", lambda folder, name, data: (added.append(data), append(folder, name, data)))
    run = fit()
    assert written.count(LOSS) == 1, "only the first row makes the file"
    assert (run.path / LOSS).read_bytes().endswith(b"".join(added))
    assert [data.count(b"\n") for data in added] == [1, 1, 1]
    assert [row["epoch"] for row in run.log] == [1, 2, 3, 4]


def test_killed_at_any_moment_it_goes_on_as_if_it_never_was(fit, tmp_path, monkeypatch):
    """A kill leaves what the calls before wrote, since each writes whole or not at all, and any part of a row."""
    moments = []
    write, append = RunFolder.write, RunFolder.append

    def kept(folder, data=b""):
        copy = shutil.copytree(folder.path, tmp_path / f"killed-{len(moments)}")
        if data:
            with (copy / LOSS).open("ab") as file:
                file.write(data)
        moments.append(copy)

    def before_write(folder, name, data):
        kept(folder)
        write(folder, name, data)

    def within_append(folder, name, data):
        for part in b"", data[:1], data[:-1], data:
            kept(folder, part)
        append(folder, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write", before_write)
        patch.setattr(RunFolder, "append", within_append)
        whole = fit("whole")
    assert len(moments) == 1 + 4 * 3 + 1 + 3 * 4  # the settings; three files an epoch; the log; three rows
    for killed in moments[1:]:
        if (killed / LOSS).exists():
            assert len(read_log(killed)) <= 4, "a torn row is no row"
        again = fit(killed.name, resume=True)
        assert again.sha256 == whole.sha256
        assert log_rows(again.path) == log_rows(whole.path)
        assert (again.path / MODEL).read_bytes() == (whole.path / MODEL).read_bytes()


@pytest.mark.parametrize("more", [b"5,1", b"5,1,1,1,1,1,1,1\n", b"5,1,1,1,1,1,1,1\n6,1,1,1", b"\0" * 50], ids=len)
def test_what_the_log_has_beyond_the_state_is_not_believed(fit, more):
    run = fit()
    before = (run.path / LOSS).read_bytes()
    (run.path / LOSS).write_bytes(before + more)
    again = fit(resume=True)
    assert (again.path / LOSS).read_bytes() == before


def test_a_torn_row_is_left_out(fit):
    run = fit()
    whole = (run.path / LOSS).read_bytes()
    (run.path / LOSS).write_bytes(whole[:-1])
    assert [row["epoch"] for row in run.log] == [1, 2, 3]
    (run.path / LOSS).write_bytes(whole[: whole.index(b"\n") + 5])
    with pytest.raises(CheckpointError, match=f"{LOSS}: lacks the columns"):
        read_log(run.path)


class TestLongLogs:
    """Those of more rows than a state has."""

    @pytest.fixture(autouse=True)
    def _few_rows(self, monkeypatch):
        monkeypatch.setattr(state, "KEPT_ROWS", 2)

    @pytest.fixture
    def run(self, fit):
        return fit(config=replace(SMALL, epochs=3))

    def test_the_state_has_the_last_rows_and_the_file_all(self, run):
        held = load_training(run.path)
        (run.path / LOSS).unlink()
        alone = load_training(run.path)
        assert [row["epoch"] for row in held.log] == ["1", "2", "3"] and held.lost_rows == 0
        assert [row["epoch"] for row in alone.log] == ["2", "3"] and alone.lost_rows == 1

    @pytest.mark.parametrize("cut", [0, 3, None], ids=["whole", "within the last row", "before the last row"])
    def test_going_on_keeps_all_rows(self, run, fit, cut):
        data = (run.path / LOSS).read_bytes()
        end = data[:-1].rindex(b"\n") + 1 if cut is None else len(data) - cut
        (run.path / LOSS).write_bytes(data[:end])
        again = fit(resume=True)
        assert log_rows(again.path) == log_rows(fit("whole").path)
        assert not any(LOSS in note for note in again.notes)

    @pytest.mark.parametrize("how", ["gone", "another", "damaged"])
    def test_a_log_that_lacks_earlier_rows_begins_later_and_it_is_said(self, run, fit, how):
        log = run.path / LOSS
        if how == "gone":
            log.unlink()
        else:
            lines = log.read_text().splitlines()
            lines[1] = "7" + lines[1][1:] if how == "another" else "rubbish"
            log.write_text("\n".join(lines) + "\n")
        again = fit(resume=True)
        assert f"its {LOSS} no longer has the rows before epoch 2; the log begins there now" in "\n".join(again.notes)
        assert [row["epoch"] for row in again.log] == [2, 3, 4]
        assert again.sha256 == fit("whole").sha256
        assert (again.path / TRAINING).exists()
        assert [row["epoch"] for row in fit(config=replace(SMALL, epochs=5), resume=True).log] == [2, 3, 4, 5]
