"""The evidence on figures: runs, images, and what is measured of them."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vaecli.config import Config
from vaecli.data import Images, Read, Source, read_once
from vaecli.evaluation.encode import encode
from vaecli.evaluation.importance import ROWS, Evaluation, evaluate
from vaecli.model import VAE
from vaecli.report.classifier import EPOCHS, Classifier, train_classifier
from vaecli.report.verdicts import PairedDifference, paired_difference
from vaecli.runs.run import Run
from vaecli.seeding import generator
from vaecli.threads import fast_arithmetic

Result = TypeVar("Result")

NEIGHBOURS = 10
SAMPLES = 1000

SCORED, PARTICLES = 2000, 100
"""Test images whose log p(x|z) is measured, and the particles of each that are weighted."""

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
        short: a sentence on a training that is too short for a verdict, or nothing.
    """

    seeds: Sequence[Sequence[Run]]
    test: Images
    train: Callable[[], Images]
    quick: bool = False
    shared: Shared = field(default_factory=Shared)
    short: str = ""

    @property
    def runs(self) -> Sequence[Run]:
        """The runs with the first seed."""
        return self.seeds[0]

    def classifier(self) -> Classifier:
        """The classifiers of this data set."""

        def trained() -> Classifier:
            train = self.train()
            return train_classifier(train[:QUICK_TRAIN] if self.quick else train, self.test, 1 if self.quick else EPOCHS)

        return self.shared.once(("classifier", self.runs[0].config.dataset), trained)

    def compare(self, values: Callable[[Run], Tensor], first: int = 0, second: int = 1) -> PairedDifference:
        """The comparison of two of the runs by the values of each, as in `paired_difference`, for all seeds."""
        return paired_difference([(values(runs[first]), values(runs[second])) for runs in self.seeds])

    def agreement(self, run: Run) -> Tensor:
        """The `agreement` of the test images' posterior means with their labels: 0 or 1, shape (N,)."""
        test = self.test
        return self.shared.once(("agreement", run.path), lambda: agreement(encode(run.model, test).mean, test.labels)).double()

    def evaluation(self, run: Run) -> Evaluation:
        """The ELBO of the test images, and its parts."""
        return self.shared.once(("evaluation", run.path), lambda: evaluate(run.model, self.test))

    def closeness(self, run: Run) -> Tensor:
        """The `closeness` of SCORED of the test images, drawn at random: the same of all runs."""

        def scored() -> Tensor:
            chosen = torch.randperm(len(self.test), generator=generator("cpu", "report", "images"))[:SCORED]
            return closeness(run.model, self.test[chosen])

        return self.shared.once(("closeness", run.path), scored)

    def reconstructions(self, run: Run) -> Tensor:
        """The `reconstructed` test images, shape (N, D)."""
        return self.shared.once(("reconstructed", run.path), lambda: reconstructed(run.model, self.test))

    def recognised(self, run: Run) -> Tensor:
        """Whether the classifiers take each reconstruction for what its image is: 0 or 1, shape (classifiers, N)."""
        means, labels = self.reconstructions(run), self.test.labels
        return self.shared.once(("recognised", run.path), lambda: self.classifier().right(means, labels))

    def samples(self, run: Run) -> Tensor:
        """The means of samples from the prior, shape (SAMPLES, D)."""
        return self.shared.once(("samples", run.path), lambda: sampled(run.model)[0])


def agreement(points: Tensor, labels: Tensor) -> Tensor:
    """Whether more than half of a point's 10 nearest neighbours have its label, for points (N, D), labels (N,): booleans (N,)."""
    agreed = []
    for rows in torch.arange(len(points)).split(1000):
        nearest = torch.cdist(points[rows], points).topk(NEIGHBOURS + 1, largest=False).indices[:, 1:]
        agreed.append((labels[nearest] == labels[rows, None]).sum(1) > NEIGHBOURS / 2)
    return torch.cat(agreed)


def entropies(p: Tensor) -> Tensor:
    """The entropy in nats of independent pixels that are white with probability p, shape (N, D): shape (N,)."""
    p = p.double().clamp(1e-12, 1 - 1e-12)
    return -(p * p.log() + (1 - p) * (1 - p).log()).sum(-1)


def steps(pictures: Tensor, width: int) -> Tensor:
    """The sum over pixels of the steps to the pixels on the right and below, of pictures (N, D) of one channel: shape (N,)."""
    across, down = (each.abs().sum((-1, -2)) for each in _differences(pictures, width))
    return torch.add(across, down)


def sharpness(pictures: Tensor, width: int) -> Tensor:
    """The sum over pixels of the squared steps to the pixels on the right and below, of pictures (N, D) of one channel: shape (N,).

    The energy of the gradient (Subbarao & Tyan 1998, "Selecting the optimal focus measure for autofocusing and depth-from-focus").
    An edge of height 1 has steps that sum to 1 however wide it is; their squares sum to 1 / w where it is blurred over w pixels.
    """
    across, down = (each.square().sum((-1, -2)) for each in _differences(pictures, width))
    return torch.add(across, down)


def _differences(pictures: Tensor, width: int) -> tuple[Tensor, Tensor]:
    rows = pictures.double().unflatten(-1, (-1, width))
    return rows.diff(dim=-1), rows.diff(dim=-2)


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


@fast_arithmetic()
def closeness(model: VAE, images: Images, particles: int = PARTICLES) -> Tensor:
    """The mean of log p(x|z) over the model's own posterior p(z|x) of images: nats, float64, shape (N,).

    Particles of q(z|x) are weighted by their importance, so the mean is the one of z that are drawn again from among them by their
    weights. The mean over q itself, the reconstruction of the ELBO, scores the proposal: where a model is trained by L_k, q may be
    wider than the posterior, which costs the bound little and log p(x|z) many nats.

    Args:
        model: on the CPU.
        images: with labels where the model is conditional.
        particles: drawn of q for each image.
    """
    noise, parts = generator("cpu", "report", "particles"), []
    at_once = model.image_shape.scaled_batch(max(1, ROWS // particles))
    for start in range(0, len(images), at_once):
        part = images[start : start + at_once]
        x, y = model.observe(part.pixels), model.condition(part.labels)
        drawn = model.log_weights(x, y, torch.randn(particles, len(part), model.latent_dim, generator=noise))
        parts.append((drawn.log_w.double().softmax(0) * drawn.likelihood.double()).sum(0))
    return torch.cat(parts)


def surprises(classes: Tensor, count: int) -> Tensor:
    """Minus the log of the share of each picture's class among the pictures: its mean over them is the entropy of the classes.

    Args:
        classes: of N pictures, shape (N,), or (classifiers, N).
        count: of classes.

    Returns:
        The shape of `classes`.
    """
    shares = nn.functional.one_hot(classes, count).double().mean(-2)
    return -shares.gather(-1, classes).log()
