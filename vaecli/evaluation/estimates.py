"""Numbers measured of a model, each with its errors."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor


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
class Measured:
    """The measurements of a model on images, each with its errors.

    Attributes:
        images: how many images.
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
    """

    images: int
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

    @property
    def bits_per_dim(self) -> dict[str, Any] | None:
        """`bits_per_dim` of ``elbo``, of ``exact`` where there is one, and under ``L`` of each bound by k; None for densities."""
        if self.dimensions is None:
            return None
        single = {"elbo": self.elbo} | ({} if self.exact is None else {"exact": self.exact})
        bounds = {str(k): bits_per_dim(bound.mean, self.dimensions) for k, bound in self.bounds.items()}
        return {name: bits_per_dim(estimate.mean, self.dimensions) for name, estimate in single.items()} | {"L": bounds}

    def to_json(self) -> dict[str, Any]:
        """JSON values, the bounds under ``L`` by k."""
        single = {"elbo": self.elbo, "reconstruction": self.reconstruction, "kl": self.kl}
        single |= {} if self.exact is None else {"exact": self.exact}

        def values(name: str) -> dict[str, Any]:
            means = {key: getattr(estimate, name) for key, estimate in single.items()}
            bounds = {str(k): getattr(estimate, name) for k, estimate in self.bounds.items()}
            return _without_none(means) | {"L": _without_none(bounds)}

        def accuracies(name: str) -> dict[str, Any]:
            exact = {} if self.exact_accuracy is None else {"exact": getattr(self.exact_accuracy, name)}
            return exact | {"L": {str(k): getattr(accuracy, name) for k, accuracy in self.bound_accuracy.items()}}

        json = {**values("mean"), "active_units": self.active_units, "images": self.images}
        json |= {name: values(name) for name in ("standard_error", "monte_carlo_error")}
        if self.bits_per_dim:
            json["bits_per_dim"] = self.bits_per_dim
        if self.convergence:
            json["convergence"] = asdict(self.convergence)
        if self.bound_accuracy or self.exact_accuracy:
            json["accuracy"] = accuracies("share")
            json["standard_error"]["accuracy"] = accuracies("standard_error")
        return json


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
