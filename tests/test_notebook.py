"""docs/notebook.ipynb: every cell runs, in a kernel of its own and an empty folder, and shows what the page shows."""

import os

import pytest

from tests.helpers import ROOT

nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
BOOK = ROOT / "docs" / "notebook.ipynb"


def kinds(cell):
    return [output.output_type if output.output_type != "stream" else output.name for output in cell.get("outputs", [])]


@pytest.mark.system
def test_the_notebook_runs_and_its_outputs_are_of_the_kinds_that_it_shows(tmp_path, monkeypatch):
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    shown, book = (nbformat.read(BOOK, 4) for _ in range(2))
    nbclient.NotebookClient(book, timeout=1800, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    for before, now in zip(shown.cells, book.cells, strict=True):
        assert set(kinds(now)) == set(kinds(before)), now.source
    tuned = "".join(output.text for output in book.cells[7].outputs).splitlines()
    assert tuned[0] == "images: 269 images to train on, 31 to test on, chosen by a hash of their pixels"
    scratch, tuned = (float(line.split()[-2]) for line in tuned[1:])
    assert tuned < scratch - 10  # it was 21 nats


def test_the_notebook_has_ten_cells_that_ran_without_an_error():
    book = nbformat.read(BOOK, 4)
    assert len(book.cells) == 10
    assert [cell.execution_count for cell in book.cells[1:]] == list(range(1, 10))
    assert not any("error" in kinds(cell) for cell in book.cells)
