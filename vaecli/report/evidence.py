"""The evidence on figures: runs, images, and what is measured of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vaecli.config import Config
from vaecli.data import Images
from vaecli.evaluation.encode import encode
from vaecli.evaluation.importance import Evaluation, evaluate
from vaecli.model import VAE
from vaecli.report.classifier import EPOCHS, Classifier, train_classifier
from vaecli.report.differences import Compared, compared
from vaecli.report.shared import Shared
from vaecli.runs.run import Run
from vaecli.seeding import generator

NEIGHBOURS = 10
SAMPLES = 1000

QUICK_TEST, QUICK_TRAIN = 1000, 10_000
"""Images that a quick pass measures with, and trains the classifier with."""


@dataclass(frozen=True)
class Evidence:
    """The runs, numbers and images by which a figure is judged.

    Attributes:
        seeds: for each seed, the runs that the figure shows, then those that they are measured against.
        measured: the numbers that the command which draws it prints as JSON.
        test: the test images of those runs.
        train: reads the training images.
        quick: whether in a quick pass.
        shared: with the evidence on other figures.
    """

    seeds: Sequence[Sequence[Run]]
    measured: dict[str, Any]
    test: Images
    train: Callable[[], Images]
    quick: bool = False
    shared: Shared = field(default_factory=Shared)

    @property
    def runs(self) -> Sequence[Run]:
        """The runs with the first seed."""
        return self.seeds[0]

    def classifier(self) -> Classifier:
        """The classifier of this data set."""
        test = self.test

        def trained() -> Classifier:
            train = self.train()
            return train_classifier(train[:QUICK_TRAIN] if self.quick else train, test, 1 if self.quick else EPOCHS)

        return self.shared.once(("classifier", self.runs[0].config.dataset), trained)

    def compare(self, values: Callable[[Run], Tensor], first: int = 0, second: int = 1) -> Compared:
        """The comparison of two of the runs by the values of each, shape (N,), for all seeds."""
        return compared([(values(runs[first]), values(runs[second])) for runs in self.seeds])

    def once(self, name: str, run: Run, compute: Callable[[], Tensor]) -> Tensor:
        """What is computed of a run under a name; computed once for all figures."""
        return self.shared.once((name, run.path), compute)


def evidence(seeds: Sequence[Sequence[Run]], measured: dict[str, Any], shared: Shared, quick: bool) -> Evidence:
    """The evidence on a figure of these runs."""
    config = seeds[0][0].config if seeds[0] else Config()
    test = shared.images(config, "test")
    return Evidence(seeds, measured, test[:QUICK_TEST] if quick else test, lambda: shared.images(config, "train"), quick, shared)


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


def sampled(model: VAE, count: int = SAMPLES) -> tuple[Tensor, Tensor]:
    """The means of samples from the prior, shape (count, D), and the labels asked for, each as often as the others: (count,)."""
    labels = torch.arange(count) % max(1, model.labels)
    z = model.prior.sample(count, generator("cpu", "report"))
    return model.likelihood(z, model.condition(labels)).mean, labels


def reconstructed(model: VAE, images: Images) -> Tensor:
    """The means of images decoded from their posterior means, shape (N, D)."""
    parts = []
    for start in range(0, len(images), 1000):
        part = images[start : start + 1000]
        x, y = model.observe(part.pixels, generator("cpu", "report")), model.condition(part.labels)
        parts.append(model.likelihood(model.posterior(x, y).mean, y).mean)
    return torch.cat(parts)


def agreements(evidence: Evidence) -> Callable[[Run], Tensor]:
    """Gives the `agreement` of the test images' posterior means with their labels, of a run."""
    test = evidence.test
    return lambda run: evidence.once("agreement", run, lambda: agreement(encode(run.model, test).mean, test.labels)).double()


def evaluations(evidence: Evidence) -> Callable[[Run], Evaluation]:
    """Gives the ELBO of the test images, and its parts, of a run."""
    return lambda run: evidence.shared.once(("evaluation", run.path), lambda: evaluate(run.model, evidence.test))


def reconstructions(evidence: Evidence) -> Callable[[Run], Tensor]:
    """Gives the `reconstructed` test images, of a run."""
    return lambda run: evidence.once("reconstructed", run, lambda: reconstructed(run.model, evidence.test))


def recognitions(evidence: Evidence) -> Callable[[Run], Tensor]:
    """Gives whether the classifier takes each reconstruction for what its image is, of a run."""
    means, labels = reconstructions(evidence), evidence.test.labels
    return lambda run: evidence.once("recognised", run, lambda: evidence.classifier().right(means(run), labels))


def samples(evidence: Evidence) -> Callable[[Run], Tensor]:
    """Gives the means of samples from the prior, of a run."""
    return lambda run: evidence.once("samples", run, lambda: sampled(run.model)[0])


def surprises(classes: Tensor, count: int) -> Tensor:
    """Minus the log of the share of each picture's class among the pictures, shape (N,): its mean is the entropy of the classes.

    Args:
        classes: of N pictures.
        count: of classes.
    """
    shares = torch.bincount(classes, minlength=count).double() / len(classes)
    return -shares[classes].log()
