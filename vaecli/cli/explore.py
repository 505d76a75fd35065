"""``vaecli explore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from vaecli.cli import console
from vaecli.cli.declare import DATA, OUTPUT, examples, optional
from vaecli.cli.options import AsJson, DataDir, Quiet, RunNames, Split
from vaecli.cli.output_paths import check_page_out, page_path
from vaecli.cli.reading import reader
from vaecli.cli.runs import names_and_folders, open_runs

HELP = examples("vaecli explore baseline --out explore.html")
N = "Images of each run, the first of the split; if not given, 2,000, or fewer of large ones."
PLACE = "Folder, or .html file, for the page; explore.html in the first run's folder if not given."


def explore(
    runs: RunNames = None,
    n: Annotated[int | None, optional(N, DATA, min=1, max=100_000)] = None,
    split: Split = "test",
    data_dir: DataDir = None,
    out: Annotated[Path | None, optional(PLACE, OUTPUT, callback=check_page_out)] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write a page in which you move through the latent space of runs: one HTML file, which needs no network."""
    console.set_quiet(quiet)
    opened = open_runs(runs)

    from vaecli.data.images import first
    from vaecli.explorer.page import explore
    from vaecli.explorer.payload import points_of
    from vaecli.files import write_file

    counts = [points_of(run.config.image_shape, n) for run in opened]
    path = page_path(out, opened[0].path)
    read = reader()
    images = [run.images(split, data_dir, read, first(count)) for run, count in zip(opened, counts, strict=True)]
    for run, part in zip(opened, images, strict=True):
        if n and len(part) < n:
            console.note(f"{run.name}: {len(part):,} images, all that the {split} split has")
    with console.bar("runs", description="Computing the page"):
        page = explore(opened, images).encode()
    write_file(path, page)
    console.written("explore", names_and_folders(opened), [path], as_json, images=[len(part) for part in images], bytes=len(page))
