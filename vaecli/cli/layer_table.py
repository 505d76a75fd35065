"""The table of ``vaecli train --dry-run``: encoder and decoder layer by layer."""

from pathlib import Path

from vaecli.cli import console
from vaecli.config import Config


def print_layers(config: Config, data_dir: Path | None, as_json: bool) -> None:
    """Prints the layers of a model with these settings, as a table or as JSON; of a person's own pictures in `data_dir`."""
    from vaecli.analysis.architecture import HEADINGS, architecture

    layers = architecture(config, data_dir)
    if as_json:
        console.result_json("train", [], [], **layers.to_json(), settings=config.to_json())
        return
    table = console.new_table(HEADINGS[:-2], HEADINGS[-2:])
    for row in layers.cells():
        table.add_row(*row)
    console.table(table)
