"""What a finished run's own numbers say against its model, each in a short line. Numbers only: no model, no images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Warnings = dict[str, dict[str, float]]
"""By name, the numbers of each warning that holds; `sentence` puts them into words."""

FEW_STEPS = 800
"""Steps below which a run is short: the report's shortest runs take 900."""

ACTIVE_SHARE = 0.25
"""The share of latents below which the posterior has collapsed; of 50 latents about 20 are active on MNIST when all is well."""

GREY_SHARE = 0.1
"""The share of pixels between black and white from which binarising changes pictures; smooth edges of drawings have less."""


@dataclass(frozen=True)
class Facts:
    """The numbers of a run that is trained to its end; nats per image.

    Attributes:
        epochs: the epochs after which the run was measured, at least one.
        losses: the training loss up to each of them.
        measured: -ELBO of the images held out, after each of them.
        steps: of training; None where few are no fault, such as after weights that were trained before.
        latent_dim: latents.
        active_units: latents that are active.
        no_model: -log p of the images held out where every value of a pixel is as probable; 0 for densities.
        independent: likewise for independent pixels with the mean of the training images.
        grey: the share of pixels between black and white that were made black or white.
        kept: which of these measurements is of the weights that the run keeps; by default the last.
    """

    epochs: Sequence[int]
    losses: Sequence[float]
    measured: Sequence[float]
    steps: int | None
    latent_dim: int
    active_units: int
    no_model: float
    independent: float
    grey: float = 0.0
    kept: int = -1

    @property
    def loss(self) -> float:
        """-ELBO of the images held out, with the weights that the run keeps."""
        return self.measured[self.kept]


def warnings_of(facts: Facts) -> Warnings:
    """The warnings that hold, the gravest first."""
    checks: dict[str, Callable[[Facts], dict[str, float] | None]] = {
        "worse_than_no_model": _worse_than_no_model,
        "collapsed": _collapsed,
        "never_moved": _never_moved,
        "few_steps": _few_steps,
        "still_falling": _still_falling,
        "better_before": _better_before,
        "binarized_grey": _binarized_grey,
    }
    return {name: numbers for name, check in checks.items() if (numbers := check(facts)) is not None}


def sentence(name: str, numbers: Mapping[str, float]) -> str:
    """A warning in words, on one line."""
    return _SENTENCES[name](**numbers)


def known(name: str, numbers: Mapping[str, float]) -> bool:
    """Whether these are the name and the numbers of a warning."""
    return name in _NUMBERS and numbers.keys() == _NUMBERS[name]


def _worse_than_no_model(facts: Facts) -> dict[str, float] | None:
    best = min(facts.no_model, facts.independent)
    return {"loss": facts.loss, "no_model": best} if facts.loss > best else None


def _collapsed(facts: Facts) -> dict[str, float] | None:
    active, of = facts.active_units, facts.latent_dim
    return {"active_units": active, "latent_dim": of} if active < ACTIVE_SHARE * of and not _never_moved(facts) else None


def _never_moved(facts: Facts) -> dict[str, float] | None:
    """No fall, and no better than without a model, which a run that has nothing more to learn is."""
    first, last = facts.losses[0], facts.losses[-1]
    still = len(facts.losses) > 1 and first - last < 1e-3 * abs(first)
    return {"first": first, "last": last} if still and _worse_than_no_model(facts) else None


def _few_steps(facts: Facts) -> dict[str, float] | None:
    return {"steps": facts.steps} if facts.steps is not None and facts.steps < FEW_STEPS else None


def _still_falling(facts: Facts) -> dict[str, float] | None:
    """The last fifth of training has nearly its share of the whole fall, where a loss that flattens has a tenth.

    Not where an earlier epoch is kept, after which only the training loss fell.
    """
    intervals = len(facts.losses) - 1
    if intervals < 3 or _never_moved(facts) or facts.epochs[facts.kept] != facts.epochs[-1]:
        return None
    latest = max(1, round(intervals / 5))
    fall, lately = facts.losses[0] - facts.losses[-1], facts.losses[-1 - latest] - facts.losses[-1]
    if not lately > 0.8 * fall * latest / intervals > 0:
        return None
    return {"fall": fall, "lately": lately, "epochs": facts.epochs[-1] - facts.epochs[-1 - latest]}


def _better_before(facts: Facts) -> dict[str, float] | None:
    """By more than a fiftieth of what training gained, and a thousandth of the bound."""
    best = min(facts.measured)
    worse = facts.loss - best
    if worse <= max(0.02 * (facts.measured[0] - best), 1e-3 * abs(best)):
        return None
    epoch, kept = facts.epochs[list(facts.measured).index(best)], facts.epochs[facts.kept]
    return {"epoch": epoch, "loss": best, "kept_epoch": kept, "worse": worse}


def _binarized_grey(facts: Facts) -> dict[str, float] | None:
    return {"share": facts.grey} if facts.grey > GREY_SHARE else None


_SENTENCES: dict[str, Callable[..., str]] = {
    "worse_than_no_model": lambda loss, no_model: (
        f"Worse than no model: -ELBO {loss:.2f}, where pixels that know nothing of each other take {no_model:.2f} nats"
    ),
    "collapsed": lambda active_units, latent_dim: (
        f"{active_units:.0f} of {latent_dim:.0f} latents {'is' if active_units == 1 else 'are'} active: the posterior has "
        "collapsed onto the prior, and the decoder hardly uses the latents"
    ),
    "never_moved": lambda first, last: (
        f"The loss never moved: {first:.2f} at first, {last:.2f} at last; try a larger learning rate"
    ),
    "few_steps": lambda steps: (
        f"Only {steps:.0f} step{'' if steps == 1 else 's'} of training, where most models need 1,000 or more; "
        "try more epochs or smaller batches"
    ),
    "still_falling": lambda fall, lately, epochs: (
        f"The loss was still falling: by {lately:.2f} of {fall:.2f} in the last {_epochs(epochs)}; try more epochs"
    ),
    "better_before": lambda epoch, loss, kept_epoch, worse: (
        f"Epoch {epoch:.0f} was the best, -ELBO {loss:.2f}; epoch {kept_epoch:.0f}, which is kept, is {worse:.2f} worse"
    ),
    "binarized_grey": lambda share: (
        f"{share:.0%} of the pixels are neither black nor white, and were made so; "
        "the likelihood discretized-logistic keeps 256 levels"
    ),
}  # fmt: skip

NAMES = tuple(_SENTENCES)
"""The names of all warnings, the gravest first."""

_NUMBERS = {
    "worse_than_no_model": {"loss", "no_model"},
    "collapsed": {"active_units", "latent_dim"},
    "never_moved": {"first", "last"},
    "few_steps": {"steps"},
    "still_falling": {"fall", "lately", "epochs"},
    "better_before": {"epoch", "loss", "kept_epoch", "worse"},
    "binarized_grey": {"share"},
}


def _epochs(count: float) -> str:
    return "epoch" if count == 1 else f"{count:.0f} epochs"
