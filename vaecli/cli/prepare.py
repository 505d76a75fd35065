"""``vaecli prepare``."""

from pathlib import Path
from typing import Annotated, Literal

from vaecli.cli import console
from vaecli.cli.declare import DATA, examples, optional
from vaecli.cli.options import AsJson, Quiet
from vaecli.cli.reading import reader
from vaecli.errors import UsageError

HELP = examples("vaecli prepare --data-dir PICTURES --image-size 64")


def prepare(
    data_dir: Annotated[
        Path | None, optional("Folder of your own pictures or tar shards of them, as for train --dataset folder.", DATA)
    ] = None,
    image_size: Annotated[
        int | None, optional("Height and width, in pixels; as train's if not given.", DATA, min=8, max=256)
    ] = None,
    colour: Annotated[Literal["grey", "rgb"] | None, optional("As train's if not given.", DATA)] = None,
    limit: Annotated[int | None, optional("Only the first N pictures to train on.", DATA, min=1, max=2_000_000)] = None,
    validation: Annotated[int | None, optional("Pictures that train holds out, beside these.", DATA, min=1, max=2_000_000)] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Unpack, scale and cut a folder of pictures ahead, once for all commands and processes of this machine."""
    console.set_quiet(quiet)
    if data_dir is None:
        raise UsageError("--data-dir: expected a folder of pictures; type vaecli prepare --data-dir PICTURES")

    from vaecli.config import Config
    from vaecli.data.load import Source
    from vaecli.data.prepared import cache_folder, entries_of

    root = cache_folder()
    if root is None:
        raise UsageError("--cache none: expected a folder to keep prepared pictures in; leave it out")
    config = Config(dataset="folder", image_size=image_size, colour=colour, limit=limit, validation=validation)
    read = reader()
    source = Source(Source(config, data_dir, read).settled(), data_dir, read)
    counts = {split: len(source.images(split)) for split in ("train", "test")}
    reading = source.images("train").reading
    assert reading is not None
    folder = str(reading.folder.resolve())
    kept = [entry for entry in entries_of(root) if entry.source == folder]
    total = sum(entry.bytes for entry in kept)
    if as_json:
        console.result_json("prepare", [], [], cache=str(root), pictures=counts, bytes=total)
        return
    console.note(f"{folder}: {counts['train']:,} pictures to train on and {counts['test']:,} to test on, {total / 1e6:,.1f} MB")
    console.result(str(root))
