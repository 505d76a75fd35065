"""Everything that `vaecli compare` measures of one model, with how sure each number is."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from vaecli.data.images import CLASSES, Images
from vaecli.errors import UsageError
from vaecli.evaluation.importance import PROPOSALS, evaluate, importance_bound, jackknife
from vaecli.evaluation.quadrature import TOLERANCE, check_size, exact_log_prob
from vaecli.model import VAE

DRAWS = 5
"""Draws of the single particle of the ELBO and of L_1, from whose spread comes their Monte Carlo error."""


@dataclass(frozen=True)
class Wanted:
    """What to measure beside the ELBO.

    Attributes:
        particles: the k of each L_k.
        proposal: what their particles are drawn from, one of PROPOSALS.
        repeats: how often each L_k is estimated, with other particles; L_1 at least DRAWS times.
        exact: whether to integrate log p(x) over a grid (one or two latent dimensions).
        marginal_labels: whether to sum the label out of a conditional model: log p(x) instead of log p(x|y), and which label each
            image would be given.

    Raises:
        UsageError: there is no such proposal.
    """

    particles: tuple[int, ...] = ()
    proposal: str = "posterior"
    repeats: int = 1
    exact: bool = False
    marginal_labels: bool = False

    def __post_init__(self) -> None:
        """Checks the proposal."""
        if self.proposal not in PROPOSALS:
            raise UsageError(f"--proposal {self.proposal}: expected one of {', '.join(PROPOSALS)}")

    def check(self, model: VAE) -> None:
        """Refuses a model of which this cannot be measured, before any work.

        Raises:
            UsageError: labels are to be summed out of a model without any, or a grid is asked for of more than two latents.
        """
        if self.marginal_labels and not model.conditional:
            raise UsageError("--marginal-labels: the run was trained without labels, expected a conditional one (--labels full)")
        if self.exact:
            check_size(model)


@dataclass(frozen=True)
class Convergence:
    """How far the exact values of N images have converged.

    Attributes:
        side: points a side of the finest grid that any image needed.
        refinement_error: by how much the last halving of their grids moved the images, in nats, the mean over images.
        unconverged: images whose value still moved by more than quadrature's TOLERANCE on the finest grid allowed, or whose
            posterior is narrower than its cells.
    """

    side: int
    refinement_error: float
    unconverged: int


@dataclass
class Measured:
    """Means over images, in nats, with their uncertainty.

    Attributes:
        active_units: latent dimensions that images spread over.
        images: how many images.
        mean: by name: ``elbo``, ``reconstruction``, ``kl``, ``L_k`` for each k, ``exact``.
        standard_error: of each mean, from its spread over images; of a single image there is none.
        monte_carlo_error: of each mean that is an estimate, its standard deviation over other draws of the particles. It is made
            from a variance for each image: of the ELBO and the reconstruction over DRAWS draws, of L_k over its repeats or, where
            there is one, by the jackknife. A few images may carry most of their sum, so its own standard error is added to it.
        accuracy: share of images whose most probable label is the true one, where labels were summed out.
        convergence: of ``exact``, where that was measured.
    """

    active_units: int
    images: int
    mean: dict[str, float] = field(default_factory=dict)
    standard_error: dict[str, float] = field(default_factory=dict)
    monte_carlo_error: dict[str, float] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    convergence: Convergence | None = None

    def add(self, name: str, values: Tensor, variance: Tensor | None = None) -> None:
        """Takes in one value an image, and the Monte Carlo variance of each."""
        self.mean[name] = float(values.mean())
        if len(values) > 1:
            self.standard_error[name] = float(values.std() / math.sqrt(len(values)))
        if variance is not None:
            total = variance.sum() + variance.square().sum().sqrt()  # each image's variance is about as uncertain as it is large
            self.monte_carlo_error[name] = float(total.sqrt() / len(values))

    @property
    def accuracy_error(self) -> dict[str, float]:
        """The binomial standard error of each accuracy, not 0 where all or none are right (Agresti & Coull 1998)."""
        count = self.images + 4
        shares = {name: (share * self.images + 2) / count for name, share in self.accuracy.items()}
        return {name: math.sqrt(share * (1 - share) / count) for name, share in shares.items()}

    def to_json(self) -> dict[str, Any]:
        """JSON values, the bounds under ``L`` by k."""

        def grouped(values: dict[str, float]) -> dict[str, Any]:
            bounds = {name.removeprefix("L_"): value for name, value in values.items() if name.startswith("L_")}
            return {name: value for name, value in values.items() if not name.startswith("L_")} | {"L": bounds}

        told: dict[str, Any] = {**grouped(self.mean), "active_units": self.active_units, "images": self.images}
        told["standard_error"] = grouped(self.standard_error)
        told["monte_carlo_error"] = grouped(self.monte_carlo_error)
        if self.convergence:
            told["convergence"] = asdict(self.convergence)
        if self.accuracy:
            told["accuracy"] = grouped(self.accuracy)
            told["standard_error"]["accuracy"] = grouped(self.accuracy_error)
        return told


def measure(model: VAE, images: Images, wanted: Wanted, on_share: Callable[[float, str], None] | None = None) -> Measured:
    """Measures a model on images.

    Args:
        model: on the same device as `images`.
        images: with their labels, which a conditional model is given unless they are to be summed out.
        wanted: what to measure.
        on_share: called with the share of one part that is done, and which part.

    Raises:
        UsageError: labels are to be summed out of a model without any, or a grid is asked for of more than two latents.
    """
    wanted.check(model)
    value = evaluate(model, images, DRAWS)
    measured = Measured(value.active_units, len(images))
    measured.add("elbo", value.elbo, value.variance)
    measured.add("reconstruction", value.reconstruction, value.variance)
    measured.add("kl", value.kl)

    def tell(share: float, what: str) -> None:
        if on_share:
            on_share(share, what)

    for k in wanted.particles:
        _measure_bound(model, images, wanted, k, measured, tell)
    if wanted.exact:
        _measure_exact(model, images, wanted, measured, tell)
    return measured


def _measure_bound(
    model: VAE, images: Images, wanted: Wanted, k: int, measured: Measured, tell: Callable[[float, str], None]
) -> None:
    name = f"L_{k}"
    repeats = wanted.repeats if k > 1 else max(wanted.repeats, DRAWS)
    values = []
    by_label = torch.zeros(CLASSES if wanted.marginal_labels else 1, len(images), dtype=torch.float64)
    for repeat in range(repeats):
        found = [
            importance_bound(model, some, k, wanted.proposal, repeat, lambda done: tell(done / len(images), name))
            for some in _with_each_label(images, wanted)
        ]
        estimates = torch.stack([each.value for each in found])
        values.append(_over_labels(estimates))
        by_label += estimates / repeats
    value = torch.stack(values)
    if repeats > 1:
        variance = value.var(0) / repeats
    else:
        variance = jackknife(value[0], _over_labels(torch.stack([each.without for each in found])), found[0].sizes)
    measured.add(name, value.mean(0), variance)
    if wanted.marginal_labels:
        measured.accuracy[name] = _accuracy(by_label, images)


def _measure_exact(model: VAE, images: Images, wanted: Wanted, measured: Measured, tell: Callable[[float, str], None]) -> None:
    found = [
        exact_log_prob(model, some, lambda side, share: tell(share, f"grid of {side}")) for some in _with_each_label(images, wanted)
    ]
    by_label = torch.stack([each.log_prob for each in found])
    shares = by_label.softmax(0)
    # a label of a smaller share may be wrong by its whole share and moves the image by less than quadrature's tolerance
    unconverged = (torch.stack([each.unconverged for each in found]) & (shares > TOLERANCE)).any(0)
    moved = (shares * torch.stack([each.moved for each in found])).sum(0)
    measured.add("exact", _over_labels(by_label))
    measured.convergence = Convergence(max(each.side for each in found), float(moved.mean()), int(unconverged.sum()))
    if wanted.marginal_labels:
        measured.accuracy["exact"] = _accuracy(by_label, images)


def _with_each_label(images: Images, wanted: Wanted) -> list[Images]:
    """The images with their own labels; or all with label 0, all with label 1 and so on, where labels are to be summed out."""
    if not wanted.marginal_labels:
        return [images]
    return [replace(images, labels=torch.full_like(images.labels, y)) for y in range(CLASSES)]


def _over_labels(log_prob: Tensor) -> Tensor:
    """The log p(x) = log (1/Y) sum_y p(x|y), for values of log p(x|y) of shape (Y, ...); of one label it is its own."""
    return log_prob.logsumexp(0) - math.log(len(log_prob))


def _accuracy(log_prob: Tensor, images: Images) -> float:
    """The share of N images whose label is that of the highest log p(x|y), of shape (Y, N)."""
    return float((log_prob.argmax(0) == images.labels.cpu()).double().mean())
