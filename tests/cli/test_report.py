"""Wrong usage of `vaecli report`."""

from tests.helpers import one_line


def test_a_figure_that_is_not_there_is_refused(vaecli):
    for wrong in ("15", "x", " ", "1,,2"):
        assert "expected numbers of figures, 1 to 14" in one_line(vaecli("report", "--only", wrong), 2)


def test_an_unknown_device_is_refused_before_anything_is_done(vaecli, tmp_path):
    assert "'gpu' is not one of 'auto', 'cpu'" in one_line(vaecli("report", "--only", "5", "--device", "gpu"), 2)
    assert not (tmp_path / "report").exists()
