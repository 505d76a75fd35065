"""The evidence on figures: runs, images, and what is measured of them."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from vaecli.config import Config
from vaecli.data import Images, Read, Source, read_once
from vaecli.evaluation.encode import encode
from vaecli.evaluation.importance import Evaluation, evaluate
from vaecli.model import VAE
from vaecli.report.classifier import EPOCHS, Classifier, train_classifier
from vaecli.report.verdicts import PairedDifference, paired_difference
from vaecli.runs.run import Run
from vaecli.seeding import generator

Result = TypeVar("Result")

NEIGHBOURS = 10
SAMPLES = 1000

QUICK_TEST, QUICK_TRAIN = 1000, 10_000
"""Images that a quick pass measures with, and trains the classifier with."""


@dataclass(frozen=True)
class Shared:
    """The images that were read and the results that were computed so far, once for all figures.

    Attributes:
        read: reads a split, once.
    """

    read: Read = field(default_factory=read_once)
    _results: dict[Hashable, Any] = field(default_factory=dict)

    def images(self, config: Config, split: str) -> Images:
        """A split of a run's data set, from the data set's own place."""
        return Source(config, None, self.read).images(split)

    def once(self, key: Hashable, compute: Callable[[], Result]) -> Result:
        """The result of `compute` when it was first called for this key: what is computed, of which run, and with what."""
        if key not in self._results:
            self._results[key] = compute()
        result: Result = self._results[key]
        return result


@dataclass(frozen=True)
class Evidence:
    """The runs and images by which a figure is judged, and what is measured of a run, once for all figures.

    Attributes:
        seeds: for each seed, the runs that the figure shows, then those that they are measured against.
        test: the test images of those runs.
        train: reads the training images.
        quick: whether in a quick pass.
        shared: with the evidence on other figures.
    """

    seeds: Sequence[Sequence[Run]]
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

        def trained() -> Classifier:
            train = self.train()
            return train_classifier(train[:QUICK_TRAIN] if self.quick else train, self.test, 1 if self.quick else EPOCHS)

        return self.shared.once(("classifier", self.runs[0].config.dataset), trained)

    def compare(self, values: Callable[[Run], Tensor], first: int = 0, second: int = 1) -> PairedDifference:
        """The comparison of two of the runs by the values of each, shape (N,), for all seeds."""
        return paired_difference([(values(runs[first]), values(runs[second])) for runs in self.seeds])

    def agreement(self, run: Run) -> Tensor:
        """The `agreement` of the test images' posterior means with their labels: 0 or 1, shape (N,)."""
        test = self.test
        return self.shared.once(("agreement", run.path), lambda: agreement(encode(run.model, test).mean, test.labels)).double()

    def evaluation(self, run: Run) -> Evaluation:
        """The ELBO of the test images, and its parts."""
        return self.shared.once(("evaluation", run.path), lambda: evaluate(run.model, self.test))

    def reconstructions(self, run: Run) -> Tensor:
        """The `reconstructed` test images, shape (N, D)."""
        return self.shared.once(("reconstructed", run.path), lambda: reconstructed(run.model, self.test))

    def recognised(self, run: Run) -> Tensor:
        """Whether the classifier takes each reconstruction for what its image is: 0 or 1, shape (N,)."""
        means, labels = self.reconstructions(run), self.test.labels
        return self.shared.once(("recognised", run.path), lambda: self.classifier().right(means, labels))

    def samples(self, run: Run) -> Tensor:
        """The means of samples from the prior, shape (SAMPLES, D)."""
        return self.shared.once(("samples", run.path), lambda: sampled(run.model)[0])


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
        x, y = model.observe(part.pixels), model.condition(part.labels)
        parts.append(model.likelihood(model.posterior(x, y).mean, y).mean)
    return torch.cat(parts)


def surprises(classes: Tensor, count: int) -> Tensor:
    """Minus the log of the share of each picture's class among the pictures, shape (N,): its mean is the entropy of the classes.

    Args:
        classes: of N pictures.
        count: of classes.
    """
    shares = torch.bincount(classes, minlength=count).double() / len(classes)
    return -shares[classes].log()
