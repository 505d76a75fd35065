"""The table of ``vaecli compare``: its columns, their order, and the remarks on its rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vaecli.cli.tables import Table
from vaecli.command_line import as_option
from vaecli.errors import UsageError
from vaecli.registry import unknown

if TYPE_CHECKING:
    from vaecli.analysis.comparison import Row
    from vaecli.analysis.differences import Difference

SORTS = ("run", "epochs", "test_elbo", "reconstruction", "kl", "L", "exact", "ais", "parameters", "seconds")
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
        return -value if sort in ("test_elbo", "reconstruction", "L", "exact", "ais") else value

    return key


def table(rows: list[dict[str, Any]], particles: list[int], split: str) -> Table:
    """The rows as a table: settings that differ, then numbers.

    -ELBO, -L_k, -AIS and -log p(x) have their standard errors over images; bits/dim are those of the tightest of them. Beside -L_k
    stands the share of images whose weights are not to be trusted, where k is large enough to say.
    """
    differing = [name for name in dict.fromkeys(name for row in rows for name in row["settings"])
                 if name != "epochs" and len({str(row["settings"].get(name)) for row in rows}) > 1]  # fmt: skip
    exact, ais, bdmc = (any(name in row for row in rows) for name in ("exact", "ais", "bdmc"))
    numbers = ["epochs", f"{split} -ELBO", "reconstruction", "KL"]
    tailed = [k for k in particles if any("untrusted" in row["weights"][str(k)] for row in rows)]
    for k in particles:
        numbers += [f"-L_{k}"] + (["k-hat > 0.7"] if k in tailed else [])
    numbers += ["-AIS"] if ais else []
    numbers += ["BDMC gap"] if bdmc else []
    numbers += ["-log p(x)"] if exact else []
    discrete = any("bits_per_dim" in row for row in rows)
    numbers += ["bits/dim"] if discrete else []
    numbers += ["active units", "parameters", "seconds"]
    runs = Table.of(["run", *(name.replace("_", " ") for name in differing)], numbers)
    for row in rows:
        settings = [row["settings"].get(name, "") for name in differing]
        errors = row["standard_error"]
        cells = [
            str(row["epochs"]),
            with_error(-row["elbo"], errors.get("elbo")),
            f"{row['reconstruction']:.2f}",
            f"{row['kl']:.2f}",
        ]
        for k in particles:
            cells.append(with_error(-row["L"][str(k)], errors["L"].get(str(k))))
            cells += [_percent(row["weights"][str(k)].get("untrusted"))] if k in tailed else []
        cells += [with_error(-row["ais"], errors.get("ais"))] if ais else []
        cells += [with_error(row["bdmc"]["gap"], row["bdmc"].get("gap_standard_error"))] if bdmc else []
        cells += [with_error(-row["exact"], errors.get("exact")) + _unconverged(row)] if exact else []
        cells += [_bits(row.get("bits_per_dim"))] if discrete else []
        cells += [str(row["active_units"]), f"{row['parameters']:,}", "" if row["seconds"] is None else f"{row['seconds']:.1f}"]
        text = [",".join(map(str, value)) if isinstance(value, list) else str(value) for value in settings]
        runs.add_row(row["run"], *text, *cells)
    return runs


def differences_table(differences: Sequence[Difference]) -> Table:
    """The differences of runs, or of groups of runs by seed, from the first: negative where they are better."""
    by = differences[0].heading
    runs = Table.of(["run"], ["seeds", by, f"less that of {differences[0].run}", "± over images", "± over seeds"])
    for it in differences:
        errors = (it.standard_error, it.seeds_standard_error)
        apart = [f"{-it.value:+.2f}", *("" if error is None else f"{error:.2g}" for error in errors)] if it.by_seed else [""] * 3
        runs.add_row(it.run, str(len(it.runs)), f"{-it.mean:.2f}", *apart)
    return runs


def about_differences(rows: Sequence[Row], differences: Sequence[Difference]) -> list[str]:
    """What the errors of differences leave out, in sentences."""
    if not differences:
        return []
    by, sentences = differences[0].by, []
    if any(it.by_seed and it.seeds_standard_error is None for it in differences):
        sentences.append("A difference with no error over seeds is that of these runs: other seeds may give another one.")
    if by in ("elbo", "ais") or by.startswith("L_"):
        untrusted = by.startswith("L_") and any(row.measured.weights[int(by[2:])].untrusted for row in rows)
        closer = "; where k-hat is above 0.7, as here, compare with --ais --by ais" if untrusted else ""
        bound = differences[0].heading
        sentences.append(f"{bound} is a bound; its distance from -log p(x), which may differ between runs, is in no error{closer}.")
    return sentences


def flat(difference: dict[str, Any]) -> dict[str, Any]:
    """A difference as a row of a .csv: lists as words."""
    return {name: " ".join(map(str, value)) if isinstance(value, tuple) else value for name, value in difference.items()}


def with_error(value: float, error: float | None) -> str:
    """A number with its standard error, where that is known."""
    return f"{value:.2f}" if error is None else f"{value:.2f} ±{error:.2f}"


def _bits(bits: dict[str, Any] | None) -> str:
    """Bits per dimension of log p(x), else of the tighter of AIS and the largest k's L_k, else of the ELBO; empty for a density."""
    if bits is None:
        return ""
    tightest = min(bits["L"][max(bits["L"], key=int)] if bits["L"] else bits["elbo"], bits.get("ais", math.inf))
    return f"{bits.get('exact', tightest):.3f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


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
    errors = {
        {"elbo": "ELBO", "kl": "KL", "ais": "AIS"}.get(name, name): error
        for name, error in _by_name(row["monte_carlo_error"]).items()
    }
    sentences.append("Monte Carlo error in nats: " + ", ".join(f"{name} {error:.2g}" for name, error in errors.items()))
    if not row.get("kl_is_exact", True):
        sentences.append("KL has no closed form for its prior and posterior: estimated with the particle of the ELBO")
    sentences += _bounds(row)
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


def _bounds(row: dict[str, Any]) -> list[str]:
    """Sentences on bounds on log p(x) and what their errors leave out."""
    sentences = []
    shares = {k: weights["untrusted"] for k, weights in row["weights"].items() if weights.get("untrusted")}
    if shares:
        closer = "" if "ais" in row or "exact" in row else "; --ais comes closer"
        which = ", ".join(f"{_percent(share)} of the images (L_{k})" for k, share in shares.items())
        sentences.append(
            f"k-hat is above 0.7 for {which}: there -L_k is an upper bound, not an estimate of -log p(x), and its Monte Carlo "
            f"error is too small{closer}"
        )
    if "annealing" in row:
        how = row["annealing"]
        schedule = ", ".join(f"{name} {how[name]:,}" for name in ("temperatures", "chains", "leapfrog"))
        accepted = f"{100 * how['acceptance']:.0f} % of moves accepted; " if "acceptance" in how else ""
        error = "its error, from the spread of the chains, is" if how["chains"] > 1 else "one chain has no error, and is"
        sentences.append(
            f"AIS ({schedule}): {accepted}-AIS is at least -log p(x) in expectation; {error} blind to modes that no chain found"
        )
    if "bdmc" in row:
        both = row["bdmc"]
        gap = with_error(both["gap"], both.get("gap_standard_error"))
        sentences.append(
            f"BDMC: -log p(x) of {both['images']:,} images drawn from the model is between {-both['upper']:.2f} and "
            f"{-both['lower']:.2f} in expectation, a gap of {gap}; images unlike these may be farther off"
        )
    return sentences


def cautions(rows: Sequence[Row], marginal_labels: bool) -> list[str]:
    """The reasons why nats of these runs are not comparable, and which of them are."""
    from vaecli.analysis.comparison import pixels_of

    sentences = []
    for images, of in dict.fromkeys((row.measured.images, row.split_images or 0) for row in rows):
        if images < of:  # a sample without replacement knows the mean of all better
            sentences.append(
                f"Measured on {images:,} of {of:,} images, drawn by a fixed seed: ± is for other images like these, and "
                f"{math.sqrt(1 - images / of):.2f} of it for the mean of all {of:,}."
            )
    runs = [row.run for row in rows]
    configs = [run.config for run in runs]
    test_images = {run.provenance.data.test for run in runs if run.provenance}
    if len({config.dataset for config in configs}) > 1 or len(test_images) > 1:
        sentences.append("Nats are not comparable between these runs: they are of different images.")
    of_pixels: dict[str, list[str]] = {}
    for row in rows:
        of_pixels.setdefault(UsageError(pixels_of(row.run)).text(as_option), []).append(row.name)
    if len(of_pixels) > 1:
        groups = "; ".join(f"{pixels} ({', '.join(names)})" for pixels, names in of_pixels.items())
        sentences.append(f"Nats and bits/dim are comparable only between runs of the same pixels. There are {groups}.")
    if not all(run.model.pixel_likelihood.discrete for run in runs):
        sentences.append("The log of a density may be positive, and so -ELBO negative; a density has no bits/dim.")
    if not marginal_labels and len({config.labels == "none" for config in configs}) > 1:
        sentences.append("Runs with labels are measured on log p(x | y), the others on log p(x).")
    return sentences
