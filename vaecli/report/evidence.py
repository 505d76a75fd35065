"""The evidence on figures: runs, images, and what is measured of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vaecli.config import Config
from vaecli.data import Images
from vaecli.evaluation.encode import encode
from vaecli.model import VAE
from vaecli.report.differences import Difference
from vaecli.report.shared import Shared
from vaecli.runs.run import Run
from vaecli.seeding import generator

NEIGHBOURS = 10
SAMPLES = 1000


@dataclass(frozen=True)
class Evidence:
    """The runs, numbers and images by which a figure is judged.

    Attributes:
        trained: the runs that it shows.
        also: the runs that it is measured against.
        measured: the numbers that the command which draws it prints as JSON.
        test: the test images of those runs.
        train: reads the training images.
        shared: with the evidence on other figures.
    """

    trained: Sequence[Run]
    also: Sequence[Run]
    measured: dict[str, Any]
    test: Images
    train: Callable[[], Images]
    shared: Shared = field(default_factory=Shared)


def evidence(trained: Sequence[Run], also: Sequence[Run], measured: dict[str, Any], shared: Shared) -> Evidence:
    """The evidence on a figure of these runs."""
    config = trained[0].config if trained else Config()
    return Evidence(trained, also, measured, shared.images(config, "test"), lambda: shared.images(config, "train"), shared)


def agreement(points: Tensor, labels: Tensor) -> Tensor:
    """Whether most of a point's 10 nearest neighbours have its own label, for points (N, D) with labels (N,): booleans (N,)."""
    agreed = []
    for rows in torch.arange(len(points)).split(1000):
        nearest = torch.cdist(points[rows], points).topk(NEIGHBOURS + 1, largest=False).indices[:, 1:]
        agreed.append(labels[nearest].mode(1).values == labels[rows])
    return torch.cat(agreed)


def entropies(p: Tensor) -> Tensor:
    """The entropy in nats of independent pixels that are white with probability p, shape (N, D): shape (N,)."""
    p = p.double().clamp(1e-12, 1 - 1e-12)
    return -(p * p.log() + (1 - p) * (1 - p).log()).sum(-1)


def sampled(model: VAE) -> Tensor:
    """The means of samples from the prior, shape (SAMPLES, D)."""
    return model.likelihood(model.prior.rsample((SAMPLES,), generator("cpu", "report"))).mean


def reconstructed(model: VAE, images: Images) -> Tensor:
    """The means of images decoded from their posterior means, shape (N, D)."""
    x = model.observe(images.pixels, generator("cpu", "report"))
    return model.likelihood(model.posterior(x, model.condition(images.labels)).loc, model.condition(images.labels)).mean


def agreements(evidence: Evidence, *runs: Run) -> list[Tensor]:
    """The `agreement` of the test images' posterior means with their labels, for each run."""
    test = evidence.test
    return [
        evidence.shared.once(("agreement", run.path), lambda run=run: agreement(encode(run.model, test).loc, test.labels))  # type: ignore[misc]
        for run in runs
    ]


def table(evidence: Evidence, name: str) -> tuple[float, float, Difference]:
    """A column's values of two runs, and the second minus the first.

    The error is that of means over different images; these are means over the same ones, so the true error is smaller.
    """
    first, second = evidence.measured["table"]
    error = math.hypot(*(row["standard_error"].get(name, math.inf) for row in (first, second)))
    return first[name], second[name], Difference(second[name] - first[name], error)
