"""Everything that `vaecli compare` measures of one model, with how sure each number is."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from vaecli.data.images import CLASSES, Images
from vaecli.errors import UsageError
from vaecli.evaluation import PROPOSALS, evaluate, importance_bound
from vaecli.model import VAE
from vaecli.quadrature import check_size, exact_log_prob


@dataclass(frozen=True)
class Wanted:
    """What to measure beside the ELBO.

    Attributes:
        particles: the k of each L_k.
        proposal: what their particles are drawn from, one of PROPOSALS.
        repeats: how often each L_k is estimated, with other particles.
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


@dataclass
class Measured:
    """Means over images, in nats, with their uncertainty.

    Attributes:
        mean: by name: ``elbo``, ``reconstruction``, ``kl``, ``L_k`` for each k, ``exact``.
        standard_error: of each mean, from its spread over images; of a single image there is none.
        monte_carlo_error: of each L_k, from its spread over repeats, or from its own weights where there is one repeat
            (of L_1 there is none then).
        active_units: latent dimensions that images spread over.
        images: how many images.
        grid: points a side of the finest grid of ``exact``, and ``moved``, by how much the last halving moved the mean.
        unresolved: images whose exact value had not settled.
        accuracy: share of images whose most probable label is the true one, where labels were summed out.
    """

    active_units: int
    images: int
    mean: dict[str, float] = field(default_factory=dict)
    standard_error: dict[str, float] = field(default_factory=dict)
    monte_carlo_error: dict[str, float] = field(default_factory=dict)
    grid: dict[str, float] = field(default_factory=dict)
    unresolved: int = 0
    accuracy: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, values: Tensor) -> None:
        """Takes in one value an image."""
        self.mean[name] = float(values.mean())
        if len(values) > 1:
            self.standard_error[name] = float(values.std() / math.sqrt(len(values)))

    def to_json(self) -> dict[str, Any]:
        """JSON values, the bounds under ``L`` by k."""

        def grouped(values: dict[str, float]) -> dict[str, Any]:
            bounds = {name.removeprefix("L_"): value for name, value in values.items() if name.startswith("L_")}
            return {name: value for name, value in values.items() if not name.startswith("L_")} | {"L": bounds}

        told: dict[str, Any] = {**grouped(self.mean), "active_units": self.active_units, "images": self.images}
        told["standard_error"] = grouped(self.standard_error)
        told["monte_carlo_error"] = grouped(self.monte_carlo_error)
        return told | ({"grid": self.grid} if self.grid else {}) | ({"accuracy": grouped(self.accuracy)} if self.accuracy else {})


def measure(model: VAE, images: Images, wanted: Wanted, on_share: Callable[[float, str], None] | None = None) -> Measured:
    """Measures a model on images.

    Args:
        model: on the same device as `images`.
        images: with their labels, which a conditional model is told unless they are to be summed out.
        wanted: what to measure.
        on_share: told the share of one part that is done, and which.

    Raises:
        UsageError: labels are to be summed out of a model without any, or a grid is asked for of more than two latents.
    """
    wanted.check(model)
    value = evaluate(model, images)
    measured = Measured(value.active_units, len(images))
    for name in ("elbo", "reconstruction", "kl"):
        measured.add(name, getattr(value, name))

    def tell(share: float, what: str) -> None:
        if on_share:
            on_share(share, what)

    for k in wanted.particles:
        name = f"L_{k}"
        runs = []
        for repeat in range(wanted.repeats):

            def bound(some: Images, k: int = k, repeat: int = repeat, name: str = name) -> Tensor:
                found = importance_bound(model, some, k, wanted.proposal, repeat, lambda done: tell(done / len(some), name))
                return torch.stack((found.value, found.variance))

            runs.append(_over_labels(bound, images, wanted, measured, name))
        values = torch.stack([run[0] for run in runs])
        measured.add(name, values.mean(0))
        if len(runs) > 1:
            measured.monte_carlo_error[name] = float(values.mean(1).std() / math.sqrt(len(runs)))
        elif k > 1:  # one weight tells nothing of its spread
            measured.monte_carlo_error[name] = float(runs[0][1].sum().sqrt() / len(images))
    if wanted.exact:

        def exact(some: Images) -> Tensor:
            found = exact_log_prob(model, some, lambda side, share: tell(share, f"grid of {side}"))
            measured.grid = {"side": max(found.side, measured.grid.get("side", 0)), "moved": float(found.moved.mean())}
            measured.unresolved += found.unresolved
            return torch.stack((found.log_prob, torch.zeros_like(found.log_prob)))

        measured.add("exact", _over_labels(exact, images, wanted, measured, "exact")[0])
    return measured


def _over_labels(log_prob: Callable[[Images], Tensor], images: Images, wanted: Wanted, measured: Measured, name: str) -> Tensor:
    """Values and their variances, shape (2, N): of log p(x|y), or, labels summed out, of log p(x) = log sum_y p(x|y) / 10."""
    if not wanted.marginal_labels:
        return log_prob(images)
    each = torch.stack([log_prob(replace(images, labels=torch.full_like(images.labels, y))) for y in range(CLASSES)])
    values, variances = each.unbind(1)
    weights = values.softmax(0)
    measured.accuracy[name] = float((values.argmax(0) == images.labels.cpu()).double().mean())
    return torch.stack((values.logsumexp(0) - math.log(CLASSES), (weights.square() * variances).sum(0)))
