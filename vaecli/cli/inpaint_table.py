"""The table of ``vaecli inpaint``: its columns and rows."""

import math
from collections.abc import Mapping, Sequence

from rich.table import Table

from vaecli.cli import console

HEADINGS = {
    "log_p_missing_given_seen": "log p(missing | seen)",
    "predictive_score": "predictive score",
    "log_p_missing": "log p(missing)",
    "mean_image": "mean image",
    "mean_image_of_label": "mean image of label",
    "log_p_seen": "log p(seen)",
    "bound_log_p_seen": "bound on log p(seen)",
}
"""The columns of numbers, by their names in JSON."""


def table(rows: Sequence[Mapping[str, float]], means: Mapping[str, float]) -> Table:
    """The numbers of each image and their means, in nats; columns without a mean are left out."""
    headings = {name: heading for name, heading in HEADINGS.items() if not math.isnan(means.get(name, math.nan))}
    images = console.new_table(["nats"], headings.values())
    for name, row in [*((f"image {index}", row) for index, row in enumerate(rows, 1)), (f"mean of {len(rows)}", means)]:
        images.add_row(name, *(f"{row[column]:.2f}" for column in headings))
    return images
