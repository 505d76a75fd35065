"""Numbers measured of a model, each with its errors."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from vaecli.display import table, text
from vaecli.evaluation.schedule import AIS


@dataclass(frozen=True)
class Estimate:
    """A mean over images, in nats, with its errors.

    Attributes:
        mean: over the images.
        standard_error: of the mean, from its spread over images; None for a single image.
        monte_carlo_error: of the mean, its standard deviation over other draws of the particles; None where none are drawn. It is
            made from a variance for each image: of the ELBO and the reconstruction over five draws, of L_k over its repeats or,
            for a single one, by the jackknife. A few images may carry most of their sum: its own standard error is added to it.
    """

    mean: float
    standard_error: float | None = None
    monte_carlo_error: float | None = None

    def __str__(self) -> str:
        return f"{self.mean:.2f}" if self.standard_error is None else f"{self.mean:.2f} ± {self.standard_error:.2f}"

    @staticmethod
    def of(values: Tensor, variance: Tensor | None = None) -> "Estimate":
        """The mean of one value per image; `variance` is the Monte Carlo variance of each."""
        error = float(values.std() / math.sqrt(len(values))) if len(values) > 1 else None
        if variance is None:
            return Estimate(float(values.mean()), error)
        total = variance.sum() + variance.square().sum().sqrt()  # each image's variance is about as uncertain as it is large
        return Estimate(float(values.mean()), error, float(total.sqrt() / len(values)))


def bits_per_dim(log_prob: float, dimensions: int) -> float:
    """The bits that each value of an image takes, -log p(x) / (D log 2).

    Van den Oord, Kalchbrenner & Kavukcuoglu 2016, arXiv:1601.06759, section 5.1.

    Args:
        log_prob: of an image's D discrete values, or a bound on it, in nats.
        dimensions: D, which counts the colours of a pixel one by one.
    """
    return -log_prob / (dimensions * math.log(2))


@dataclass(frozen=True)
class Accuracy:
    """The share of images whose most probable label is the true one, of those whose label is known.

    Attributes:
        share: of those images.
        images: how many they are.
    """

    share: float
    images: int

    @property
    def standard_error(self) -> float:
        """The binomial standard error of the share, not 0 where all or none are right (Agresti & Coull 1998)."""
        count = self.images + 4
        share = (self.share * self.images + 2) / count
        return math.sqrt(share * (1 - share) / count)


@dataclass(frozen=True)
class Convergence:
    """The convergence of the exact values of N images.

    Attributes:
        side: points per side of the finest grid that any image needed.
        refinement_error: by how much the last halving of their grids moved the images, in nats, the mean over images.
        unconverged: images whose value still moved by more than quadrature's TOLERANCE on the finest grid allowed, or whose
            posterior is narrower than its cells.
    """

    side: int
    refinement_error: float
    unconverged: int


@dataclass(frozen=True)
class Weights:
    """What the weights of L_k say of it, each the median over images unless stated.

    Attributes:
        effective_sample_size: (sum w)^2 / sum w^2, of k.
        largest: the share of the sum that the largest weight carries.
        k_hat: the shape of the tail (`pareto_k`).
        untrusted: the share of images whose k-hat is above 0.7, whose estimate is a bound and no more. This and ``k_hat`` are None
            for k below 21.
    """

    effective_sample_size: float
    largest: float
    k_hat: float | None
    untrusted: float | None


@dataclass(frozen=True)
class Annealing:
    """How annealed importance sampling was done.

    Attributes:
        schedule: its temperatures, chains and leapfrog steps.
        acceptance: the share of moves that were accepted; None where there were none.
    """

    schedule: AIS
    acceptance: float | None


@dataclass(frozen=True)
class Certificate:
    """Both bounds on log p(x) of images that the model drew, by the same schedule.

    Attributes:
        images: how many.
        lower: in expectation, as `Measured.ais` is.
        upper: likewise.
        gap: upper less lower; its standard error is that of a mean of differences over images.
    """

    images: int
    lower: Estimate
    upper: Estimate
    gap: Estimate


@dataclass(frozen=True)
class Measured:
    """The measurements of a model on images, each with its errors.

    Attributes:
        images: how many images.
        observed: SHA-256 of the images as the model sees them, binarised if it does, with their labels.
        active_units: latent dimensions that images spread over.
        elbo: the ELBO, a lower bound on log p(x).
        reconstruction: E_q[log p(x|z)].
        kl: KL(q(z|x) || p(z)).
        bounds: the importance-weighted bound L_k, by k.
        exact: log p(x) by quadrature; None where it was not asked for.
        convergence: of `exact`.
        bound_accuracy: of the labels that L_k makes most probable, by k, where labels were summed out.
        exact_accuracy: of the labels that `exact` makes most probable, likewise.
        dimensions: the number of values of an image, D, where they are discrete and have bits per dimension; None for densities.
        kl_is_exact: whether the KL is in closed form, and not estimated with the particle of the ELBO.
        weights: what the weights of each L_k say of it, by k.
        ais: log p(x) by annealed importance sampling, a lower bound in expectation; None where it was not asked for.
        annealing: how ``ais`` was done.
        bdmc: how far the same schedule is from both sides on images that the model draws; None where it was not asked for.
        per_image: each image's numbers by name, float64, shape (N,); two measurements are equal whatever it holds.
    """

    images: int
    observed: str
    active_units: int
    elbo: Estimate
    reconstruction: Estimate
    kl: Estimate
    bounds: dict[int, Estimate]
    exact: Estimate | None = None
    convergence: Convergence | None = None
    bound_accuracy: dict[int, Accuracy] = field(default_factory=dict)
    exact_accuracy: Accuracy | None = None
    dimensions: int | None = None
    kl_is_exact: bool = True
    weights: dict[int, Weights] = field(default_factory=dict)
    ais: Estimate | None = None
    annealing: Annealing | None = None
    bdmc: Certificate | None = None
    per_image: dict[str, Tensor] = field(default_factory=dict, compare=False, repr=False)

    @property
    def _single(self) -> dict[str, Estimate]:
        optional = {"exact": self.exact, "ais": self.ais}
        return {"elbo": self.elbo, "reconstruction": self.reconstruction, "kl": self.kl} | _without_none(optional)

    @property
    def bits_per_dim(self) -> dict[str, Any] | None:
        """`bits_per_dim` of ``elbo``, of ``exact`` and ``ais`` if there, and under ``L`` of each bound by k; None for densities."""
        if self.dimensions is None:
            return None
        single = {name: value for name, value in self._single.items() if name in ("elbo", "exact", "ais")}
        bounds = {str(k): bits_per_dim(bound.mean, self.dimensions) for k, bound in self.bounds.items()}
        return {name: bits_per_dim(estimate.mean, self.dimensions) for name, estimate in single.items()} | {"L": bounds}

    def _repr_html_(self) -> str:
        """What a notebook shows: each number with its errors."""
        estimates = {name: value for name, value in self._single.items() if name in ("elbo", "reconstruction", "kl")}
        estimates |= {f"L_{k}": bound for k, bound in self.bounds.items()}
        estimates |= {name: value for name, value in self._single.items() if name not in estimates}
        bits = self.bits_per_dim or {}
        bits |= {f"L_{k}": value for k, value in bits.get("L", {}).items()}

        def row(name: str, estimate: Estimate) -> list[str]:
            errors = (estimate.standard_error, estimate.monte_carlo_error)
            numbers = [f"{estimate.mean:.2f}", *("" if error is None else f"{error:.2f}" for error in errors)]
            return [name, *numbers, f"{bits[name]:.3f}" if name in bits else ""]

        headings = ["", "nats", "± over images", "± over draws", "bits/dim"]
        words = f"{self.images:,} image{'s' * (self.images != 1)}, {self.active_units} active units"
        return text(words) + table(headings, [row(name, estimate) for name, estimate in estimates.items()])

    def to_json(self) -> dict[str, Any]:
        """JSON values, the bounds under ``L`` by k."""

        def values(name: str) -> dict[str, Any]:
            means = {key: getattr(estimate, name) for key, estimate in self._single.items()}
            bounds = {str(k): getattr(estimate, name) for k, estimate in self.bounds.items()}
            return _without_none(means) | {"L": _without_none(bounds)}

        def accuracies(name: str) -> dict[str, Any]:
            exact = {} if self.exact_accuracy is None else {"exact": getattr(self.exact_accuracy, name)}
            return exact | {"L": {str(k): getattr(accuracy, name) for k, accuracy in self.bound_accuracy.items()}}

        json = {**values("mean"), "active_units": self.active_units, "images": self.images, "observed": self.observed}
        json |= {name: values(name) for name in ("standard_error", "monte_carlo_error")}
        json |= {} if self.kl_is_exact else {"kl_is_exact": False}
        if self.bits_per_dim:
            json["bits_per_dim"] = self.bits_per_dim
        if self.convergence:
            json["convergence"] = asdict(self.convergence)
        json["weights"] = {str(k): _without_none(asdict(weights)) for k, weights in self.weights.items()}
        if self.annealing:
            json["annealing"] = asdict(self.annealing.schedule) | _without_none({"acceptance": self.annealing.acceptance})
        if self.bdmc:
            sides = {name: getattr(self.bdmc, name).mean for name in ("lower", "upper", "gap")}
            error = _without_none({"gap_standard_error": self.bdmc.gap.standard_error})
            json["bdmc"] = {"images": self.bdmc.images} | sides | error
        if self.bound_accuracy or self.exact_accuracy:
            json["accuracy"] = accuracies("share")
            json["standard_error"]["accuracy"] = accuracies("standard_error")
        return json


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
