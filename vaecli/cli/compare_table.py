"""What ``vaecli compare`` says of its measurements: a table, a .csv, and the remarks beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.table import Table

from vaecli.errors import UsageError
from vaecli.registry import unknown

if TYPE_CHECKING:
    from vaecli.runs.run import Run

SORTS = ("run", "epochs", "test_elbo", "reconstruction", "kl", "L", "exact", "parameters", "seconds")
"""The columns that rows can be sorted by."""


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row without nesting, for a .csv: L_k, the errors of each number beside it, and how far exact values have converged."""
    plain = {name: value for name, value in row.items() if not isinstance(value, dict)}
    plain |= {f"L_{k}": value for k, value in row["L"].items()}
    plain |= _prefixed("exact", row.get("convergence", {}))
    for kind in ("accuracy", "standard_error", "monte_carlo_error"):
        plain |= _prefixed(kind, row.get(kind, {}))
    return plain | {
        name: " ".join(map(str, value)) if isinstance(value, list) else value for name, value in row["settings"].items()
    }


def _prefixed(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    """Numbers under names such as ``accuracy_L_50``, those of nested groups included."""
    plain: dict[str, Any] = {}
    for name, value in values.items():
        plain |= _prefixed(f"{prefix}_{name}", value) if isinstance(value, dict) else {f"{prefix}_{name}": value}
    return plain


def sort_key(sort: str, particles: list[int]) -> Callable[[dict[str, Any]], Any]:
    """What to sort rows by for the best to come first.

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
    """The rows as a table: settings that differ, then numbers; -ELBO, -L_k and -log p(x) with their standard errors over images."""
    differing = [name for name in dict.fromkeys(name for row in rows for name in row["settings"])
                 if name != "epochs" and len({str(row["settings"].get(name)) for row in rows}) > 1]  # fmt: skip
    exact = any("exact" in row for row in rows)
    numbers = ["epochs", f"{split} -ELBO", "reconstruction", "KL", *(f"-L_{k}" for k in particles)]
    numbers += ["-log p(x)"] if exact else []
    numbers += ["active units", "parameters", "seconds"]
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ["run", *(name.replace("_", " ") for name in differing)]:
        made.add_column(heading, overflow="fold")
    for heading in numbers:
        made.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        shown = [row["settings"].get(name, "") for name in differing]
        errors = row["standard_error"]
        cells = [
            str(row["epochs"]),
            _with_error(-row["elbo"], errors.get("elbo")),
            f"{row['reconstruction']:.2f}",
            f"{row['kl']:.2f}",
            *(_with_error(-row["L"][str(k)], errors["L"].get(str(k))) for k in particles),
        ]
        cells += [_with_error(-row["exact"], errors.get("exact")) + _unconverged(row)] if exact else []
        cells += [str(row["active_units"]), f"{row['parameters']:,}", "" if row["seconds"] is None else f"{row['seconds']:.1f}"]
        made.add_row(row["run"], *(",".join(map(str, value)) if isinstance(value, list) else str(value) for value in shown), *cells)
    return made


def _with_error(value: float, error: float | None) -> str:
    return f"{value:.2f}" if error is None else f"{value:.2f} ±{error:.2f}"


def _unconverged(row: dict[str, Any]) -> str:
    count = row["convergence"]["unconverged"]
    return f" ({count:,} unconverged)" if count else ""


def _by_name(values: dict[str, Any]) -> dict[str, float]:
    """L_k among the other numbers of its kind."""
    return {name: value for name, value in values.items() if not isinstance(value, dict)} | {
        f"L_{k}": value for k, value in values["L"].items()
    }


def remarks(row: dict[str, Any]) -> list[str]:
    """What a row says beyond its cells."""
    said = (
        [f"{row['run']}: diverged in epoch {row['diverged_epoch']}, measured as it was before"] if row.get("diverged_epoch") else []
    )
    errors = {"ELBO" if name == "elbo" else name: error for name, error in _by_name(row["monte_carlo_error"]).items()}
    said.append(f"{row['run']}: Monte Carlo error in nats: " + ", ".join(f"{name} {error:.2g}" for name, error in errors.items()))
    if "convergence" in row:
        found = row["convergence"]
        said.append(
            f"{row['run']}: log p(x) on a grid of up to {found['side']:,} points a side, whose last halving moved an image by "
            f"{found['refinement_error']:.5f} nats on average"
        )
        if found["unconverged"]:
            said.append(
                f"{row['run']}: -log p(x) is not exact: {found['unconverged']:,} of {row['images']:,} images had not converged on "
                "the finest grid"
            )
    if "accuracy" in row:
        accuracy_errors = _by_name(row["standard_error"]["accuracy"])
        said += [
            f"{row['run']}: the most probable label is the true one for {100 * value:.2f} ±{100 * accuracy_errors[name]:.2f} % "
            f"of the images by {name}"
            for name, value in _by_name(row["accuracy"]).items()
        ]
    return said


def cautions(checkpoints: list[Run], marginal_labels: bool) -> list[str]:
    """Why some of the table's nats may not be compared with others."""
    found = []
    configs = [each.config for each in checkpoints]
    own = {each.provenance.data.test for each in checkpoints if each.provenance}
    if len({each.dataset for each in configs}) > 1 or len(own) > 1:
        found.append("Nats are not comparable between these runs: they are of different images.")
    if len({each.likelihood for each in configs}) > 1:
        found.append(
            "Nats are not comparable between these runs: Bernoulli gives probabilities of black and white pixels, Beta and "
            "continuous-bernoulli give densities of grey ones, each on its own scale; densities may be positive."
        )
    elif len({each.binarize for each in configs}) > 1:
        found.append("Nats are not comparable between these runs: their pixels are binarised differently.")
    if not marginal_labels and len({each.labels == "none" for each in configs}) > 1:
        found.append("Runs with labels are measured on log p(x | y), the others on log p(x).")
    return found
