"""``vaecli cache``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaecli.cli import console
from vaecli.cli.declare import OUTPUT, examples, flag_option
from vaecli.cli.options import AsJson, Quiet
from vaecli.cli.tables import Table, print_table

if TYPE_CHECKING:
    from vaecli.data.prepared import Kept

HELP = examples("vaecli cache --clear")
OF = "A folder of pictures, or one above it; all of them if not given."
CLEAR = "Remove them: those of the folder given, or all."


def cache(
    source: Annotated[Path | None, typer.Argument(metavar="DIR", help=OF, show_default=False)] = None,
    clear: Annotated[bool, flag_option("--clear", CLEAR, OUTPUT)] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """List the pictures that were prepared and are kept, or remove them."""
    console.set_quiet(quiet)

    from vaecli.data.prepared import cache_folder, entries_of

    root = cache_folder()
    kept = [it for it in (entries_of(root) if root else []) if source is None or Path(it.source).is_relative_to(source.resolve())]
    if clear:
        for entry in kept:
            entry.remove()
    if as_json:
        entries = [
            {"source": it.source, "shape": list(it.shape), "pictures": it.pictures, "bytes": it.bytes, "used": it.used}
            for it in kept
        ]
        console.result_json("cache", [], [], cache=None if root is None else str(root), cleared=clear, kept=entries)
        return
    if kept and not clear:
        print_table(_table(kept))
    total = sum(entry.bytes for entry in kept)
    if root is None:
        console.note("Prepared pictures are not kept (none)")
    else:
        console.note(f"{root}: {'removed' if clear else 'in all'} {total / 1e6:,.1f} MB")


def _table(kept: list[Kept]) -> Table:
    table = Table.of(["pictures of", "shape"], ["pictures", "MB", "last used"])
    for entry in sorted(kept, key=lambda it: -it.used):
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        shape = " x ".join(map(str, entry.shape))
        table.add_row(entry.source, shape, f"{entry.pictures:,}", f"{entry.bytes / 1e6:,.1f}", used)
    return table
