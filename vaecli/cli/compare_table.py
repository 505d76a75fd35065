"""The table of ``vaecli compare``: its columns, their order, and the remarks on its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vaecli.cli import console
from vaecli.errors import UsageError
from vaecli.registry import unknown

if TYPE_CHECKING:
    from rich.table import Table

    from vaecli.analysis.comparison import Row
    from vaecli.runs.run import Run

SORTS = ("run", "epochs", "test_elbo", "reconstruction", "kl", "L", "exact", "parameters", "seconds")
"""The columns that rows can be sorted by."""


def sort_key(sort: str, particles: list[int]) -> Callable[[dict[str, Any]], Any]:
    """The key that sorts rows by a column, the best first.

    Raises:
        UsageError: there is no such column.
    """
    if sort not in SORTS:
        raise UsageError(unknown(f"--sort {sort}", sort, SORTS))
    if sort == "L" and not particles:
        raise UsageError("--sort L: expected a bound in the table to sort by; give one with --k 50")

    def key(row: dict[str, Any]) -> Any:
        value = row["L"][str(particles[-1])] if sort == "L" else row.get(sort.removeprefix("test_"))
        if value is None:
            return float("inf")
        return -value if sort in ("test_elbo", "reconstruction", "L", "exact") else value

    return key


def table(rows: list[dict[str, Any]], particles: list[int], split: str) -> Table:
    """The rows as a table: settings that differ, then numbers.

    -ELBO, -L_k and -log p(x) have their standard errors over images; bits/dim are those of the tightest of them.
    """
    differing = [name for name in dict.fromkeys(name for row in rows for name in row["settings"])
                 if name != "epochs" and len({str(row["settings"].get(name)) for row in rows}) > 1]  # fmt: skip
    exact = any("exact" in row for row in rows)
    numbers = ["epochs", f"{split} -ELBO", "reconstruction", "KL", *(f"-L_{k}" for k in particles)]
    numbers += ["-log p(x)"] if exact else []
    discrete = any("bits_per_dim" in row for row in rows)
    numbers += ["bits/dim"] if discrete else []
    numbers += ["active units", "parameters", "seconds"]
    runs = console.new_table(["run", *(name.replace("_", " ") for name in differing)], numbers)
    for row in rows:
        settings = [row["settings"].get(name, "") for name in differing]
        errors = row["standard_error"]
        cells = [
            str(row["epochs"]),
            with_error(-row["elbo"], errors.get("elbo")),
            f"{row['reconstruction']:.2f}",
            f"{row['kl']:.2f}",
            *(with_error(-row["L"][str(k)], errors["L"].get(str(k))) for k in particles),
        ]
        cells += [with_error(-row["exact"], errors.get("exact")) + _unconverged(row)] if exact else []
        cells += [_bits(row.get("bits_per_dim"))] if discrete else []
        cells += [str(row["active_units"]), f"{row['parameters']:,}", "" if row["seconds"] is None else f"{row['seconds']:.1f}"]
        text = [",".join(map(str, value)) if isinstance(value, list) else str(value) for value in settings]
        runs.add_row(row["run"], *text, *cells)
    return runs


def with_error(value: float, error: float | None) -> str:
    """A number with its standard error, where that is known."""
    return f"{value:.2f}" if error is None else f"{value:.2f} ±{error:.2f}"


def _bits(bits: dict[str, Any] | None) -> str:
    """Bits per dimension of the tightest bound: log p(x) itself, else L_k of the largest k, else the ELBO; empty for a density."""
    if bits is None:
        return ""
    tightest = bits["L"][max(bits["L"], key=int)] if bits["L"] else bits["elbo"]
    return f"{bits.get('exact', tightest):.3f}"


def _unconverged(row: dict[str, Any]) -> str:
    count = row["convergence"]["unconverged"]
    return f" ({count:,} unconverged)" if count else ""


def _by_name(values: dict[str, Any]) -> dict[str, float]:
    """Numbers by the names of their columns: ``L_50`` for that of L_50."""
    return {name: value for name, value in values.items() if not isinstance(value, dict)} | {
        f"L_{k}": value for k, value in values["L"].items()
    }


def remarks(row: dict[str, Any]) -> list[str]:
    """Sentences on a row: divergence, Monte Carlo error, convergence and accuracy."""
    sentences = []
    if row.get("diverged_epoch"):
        sentences.append(f"diverged in epoch {row['diverged_epoch']}, measured as it was before")
    if row["images"] == 1:
        sentences.append("measured on one image, of which no standard error is known")
    errors = {"ELBO" if name == "elbo" else name: error for name, error in _by_name(row["monte_carlo_error"]).items()}
    sentences.append("Monte Carlo error in nats: " + ", ".join(f"{name} {error:.2g}" for name, error in errors.items()))
    if "convergence" in row:
        convergence = row["convergence"]
        sentences.append(
            f"log p(x) on a grid of up to {convergence['side']:,} points per side, whose last halving moved an image by "
            f"{convergence['refinement_error']:.5f} nats on average"
        )
        if convergence["unconverged"]:
            sentences.append(
                f"-log p(x) is not exact: {convergence['unconverged']:,} of {row['images']:,} images had not converged on the "
                "finest grid"
            )
    if "accuracy" in row:
        accuracy_errors = _by_name(row["standard_error"]["accuracy"])
        sentences += [
            f"the most probable label is the true one for {100 * value:.2f} ±{100 * accuracy_errors[name]:.2f} % "
            f"of the images with a label by {name}"
            for name, value in _by_name(row["accuracy"]).items()
        ]
    return [f"{row['run']}: {sentence}" for sentence in sentences]


def cautions(rows: Sequence[Row], marginal_labels: bool) -> list[str]:
    """The reasons why nats of these runs are not comparable, and which of them are."""
    sentences = []
    runs = [row.run for row in rows]
    configs = [run.config for run in runs]
    test_images = {run.provenance.data.test for run in runs if run.provenance}
    if len({config.dataset for config in configs}) > 1 or len(test_images) > 1:
        sentences.append("Nats are not comparable between these runs: they are of different images.")
    of_pixels: dict[str, list[str]] = {}
    for row in rows:
        of_pixels.setdefault(_pixels(row.run), []).append(row.name)
    if len(of_pixels) > 1:
        groups = "; ".join(f"{pixels} ({', '.join(names)})" for pixels, names in of_pixels.items())
        sentences.append(f"Nats and bits/dim are comparable only between runs of the same pixels. There are {groups}.")
    if not all(run.model.pixel_likelihood.discrete for run in runs):
        sentences.append("The log of a density may be positive, and so -ELBO negative; a density has no bits/dim.")
    if not marginal_labels and len({config.labels == "none" for config in configs}) > 1:
        sentences.append("Runs with labels are measured on log p(x | y), the others on log p(x).")
    return sentences


def _pixels(run: Run) -> str:
    """What the numbers of a run are probabilities or densities of."""
    config = run.config
    if not run.model.pixel_likelihood.discrete:
        return f"densities of grey pixels, on the scale of {config.likelihood}"
    if config.binarize == "none":
        return "probabilities of 256 levels"
    return f"probabilities of black and white pixels, --binarize {config.binarize}"
