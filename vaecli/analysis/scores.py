"""How likely a model finds each image, to find outliers by, and how well that tells two sets of images apart."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vaecli.analysis.defaults import LIKELY_SHOWN, particles_of
from vaecli.arguments import checked
from vaecli.data.images import UNKNOWN, Images
from vaecli.display import table, text
from vaecli.errors import UsageError
from vaecli.evaluation.ais import annealed, chain_variance
from vaecli.evaluation.diagnostics import TRUSTED
from vaecli.evaluation.estimates import bits_per_dim
from vaecli.evaluation.importance import importance_bound, jackknife
from vaecli.evaluation.measure import check_measurable, over_labels
from vaecli.evaluation.schedule import AIS
from vaecli.model import VAE
from vaecli.threads import fast_arithmetic


@dataclass(frozen=True)
class Scores:
    """The log p(x) of N images by a model, each bounded from below.

    Attributes:
        by: the bound, ``L_50`` or the like, or ``ais``.
        log_p: the bound on log p(x), or on log p(x|y) where a conditional model was given labels: nats, float64, shape (N,). Of a
            density it may be positive.
        monte_carlo_error: the standard deviation of each over other particles or chains, float64, shape (N,); NaN for a single one.
        k_hat: the tail's shape of each image's weights (`pareto_k`), float64, shape (N,): above 0.7 the bound may be far from
            log p(x). NaN for ``ais``, and for k below 21.
        dimensions: the number of values of an image, D, where they are discrete and have bits per dimension; None for densities.
        label: int64, shape (N,), each an index into `class_names`, or -1 where it is not known.
        names: of the images' files; their numbers, from 0, where they are not files of their own.
        class_names: the names of the labels.
    """

    by: str
    log_p: Tensor
    monte_carlo_error: Tensor
    k_hat: Tensor
    dimensions: int | None
    label: Tensor
    names: tuple[str, ...]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.log_p)

    @property
    def heading(self) -> str:
        """The bound as tables and pictures call it."""
        return {"ais": "AIS"}.get(self.by, self.by)

    @property
    def order(self) -> Tensor:
        """The images' numbers, from the least likely to the most likely, int64, shape (N,)."""
        return self.log_p.argsort(stable=True)

    @property
    def rank(self) -> list[int]:
        """Of each image: 1 for the least likely, N for the most likely."""
        ranks: list[int] = (self.order.argsort() + 1).tolist()
        return ranks

    def extremes(self, most: int) -> tuple[list[int], list[int]]:
        """The numbers of the least likely images, and of the others that are the most likely, each `most` at the most.

        The first of each is the extreme one.
        """
        order: list[int] = self.order.tolist()
        least = order[: min(most, (len(order) + 1) // 2)]
        return least, order[len(least) :][::-1][:most]

    @property
    def untrusted(self) -> float:
        """The share of images whose k-hat is above 0.7."""
        return float((self.k_hat > TRUSTED).double().mean())

    def _repr_html_(self) -> str:
        """What a notebook shows: the least and the most likely images."""
        least, most = self.extremes(LIKELY_SHOWN)
        ranks = self.rank
        rows = [
            (ranks[number], self.names[number], f"{self.log_p[number]:.2f}", f"{self.monte_carlo_error[number]:.2f}")
            for number in (*least, *reversed(most))
        ]
        words = f"log p(x) of {len(self):,} image{'s' * (len(self) != 1)}, the least and the most likely"
        return text(words) + table(["rank", "image", f"{self.heading}, nats", "± over draws"], rows)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of a .csv, in the order of the images; None for what is not known. Rank 1 is the least likely image."""
        bits = [None if self.dimensions is None else bits_per_dim(value, self.dimensions) for value in self.log_p.tolist()]
        numbers = zip(self.log_p.tolist(), map(_known, self.monte_carlo_error.tolist()), bits, map(_known, self.k_hat.tolist()))  # noqa: B905
        names = ("log_p", "monte_carlo_error", "bits_per_dim", "k_hat")
        return [
            {"name": name, "label": label, "label_name": "" if label == UNKNOWN else self.class_names[label], "rank": rank}
            | dict(zip(names, row, strict=True))
            for name, label, rank, row in zip(self.names, self.label.tolist(), self.rank, numbers, strict=True)
        ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


@checked
@fast_arithmetic()
def score(
    model: VAE, images: Images, *, by: str | AIS = "L_50", marginal_labels: bool = False,
    on_image: Callable[[int], None] | None = None,
) -> Scores:  # fmt: skip
    """The log p(x) of each image by a model, a lower bound on it: the lower, the more the image is an outlier to the model.

    A likely image need not be like the training images: models of images with much detail find plain ones more likely (Nalisnick et
    al. 2019, arXiv:1810.09136). `auroc` measures that for two sets of images.

    An image's score depends on its pixels, its label and the model alone: images are measured one by one, with noise that is seeded
    by their pixels. So it is the same, to the bit, alone and among others, but differs from that of `vaecli.measure`, whose noise
    is another, by its Monte Carlo error.

    Args:
        model: on the same device as `images`.
        images: with their labels, which a conditional model is given unless they are to be summed out.
        by: ``L_K``, the importance-weighted bound with K particles, such as ``L_50``; ``ais``, closer to log p(x) and many times as
            slow, or a schedule, `vaecli.AIS`.
        marginal_labels: sum the label out of a conditional model: log p(x) instead of log p(x|y).
        on_image: called with how many images are done.

    Raises:
        UsageError: there is no such bound, or labels are to be summed out of a model without labels.

    Example:
        >>> model, digits = vaecli.load("baseline").model, vaecli.load_images("mnist", "test", limit=20)
        >>> scores = vaecli.score(model, digits)
        >>> int(scores.order[0])  # the least likely, an unusual 5
        8
    """
    name = by if isinstance(by, str) else "ais"
    bound = (
        partial(_annealed, schedule=AIS() if isinstance(by, str) else by)
        if name == "ais"
        else partial(_weighted, k=particles_of(name))
    )
    check_measurable(model, marginal_labels=marginal_labels)
    found = torch.empty(3, len(images), dtype=torch.float64)
    for number, digest in enumerate(images.digests):
        one = images[number : number + 1]
        if marginal_labels:
            one = _with_each_label(one, model.labels)
        found[:, number] = bound(model, one, digest)
        if on_image:
            on_image(number + 1)
    return Scores(
        name,
        found[0],
        found[1],
        found[2],
        images.shape.size if model.pixel_likelihood.discrete else None,
        images.labels.cpu(),
        images.names or tuple(map(str, range(len(images)))),
        images.class_names,
    )


def _with_each_label(image: Images, labels: int) -> Images:
    """An image with label 0, with label 1 and so on."""
    numbers = torch.arange(labels, device=image.pixels.device)
    return Images(image.pixels.expand(labels, -1), numbers, tuple(map(str, range(labels))), image.shape)


def _weighted(model: VAE, image: Images, digest: str, k: int) -> Tensor:
    """L_k of an image, whose labels are summed out where there is more than one, its error, and its k-hat: shape (3,)."""
    bound = importance_bound(model, image, k, repeat=int(digest, 16) >> 1)
    value = over_labels(bound.value)
    variance = jackknife(value[None], over_labels(bound.without.T)[:, None], bound.sizes)
    return torch.stack((value, variance[0].sqrt(), bound.weights.k_hat[bound.value.argmax()]))


def _annealed(model: VAE, image: Images, digest: str, schedule: AIS) -> Tensor:
    """The same by annealing, without a k-hat."""
    found = annealed(model, image, schedule, what=digest)
    value = over_labels(found.value)
    variance = chain_variance(value[None], over_labels(found.without.T)[:, None])
    unknown = torch.tensor(math.nan, dtype=torch.float64)
    return torch.stack((value, unknown if variance is None else variance[0].sqrt(), unknown))


@dataclass(frozen=True)
class Auroc:
    """How well the likelihood tells two sets of images apart.

    Attributes:
        value: the area under the ROC curve, which is the probability that a random image of the first set is more likely to the
            model than a random one of the second; equal ones count half. 1: all of them are; 0.5: nothing is told apart; below 0.5
            the second set is the more likely one.
        standard_error: over other images and particles, by DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44(3); None where a set
            is a single image. It is 0, and says nothing, where no image of one set lies among those of the other. Models trained
            with other seeds may differ by more.
    """

    value: float
    standard_error: float | None

    @staticmethod
    def of(first: Tensor, second: Tensor) -> "Auroc":
        """Of numbers of two sets, shapes (M,) and (N,)."""
        above, below = _placements(first, second), 1 - _placements(second, first)
        if min(len(first), len(second)) == 1:
            return Auroc(float(above.mean()), None)
        return Auroc(float(above.mean()), math.sqrt(above.var() / len(first) + below.var() / len(second)))


def _placements(values: Tensor, others: Tensor) -> Tensor:
    """For each value the share of the others that are below it; equal ones count half."""
    others = others.sort().values
    return (torch.searchsorted(others, values) + torch.searchsorted(others, values, right=True)) / (2.0 * len(others))


@checked
def auroc(scores: Scores, others: Scores) -> Auroc:
    """How well the likelihood tells two sets of images apart: the area under the ROC curve, with its standard error.

    Args:
        scores: of images that should be likely, such as test images.
        others: of images that should not, by the same model and bound.

    Raises:
        UsageError: the scores are by different bounds, or of images of different sizes.

    Example:
        >>> model, digits = vaecli.load("baseline").model, vaecli.load_images("mnist", "test", limit=100)
        >>> ones = digits.labels == 1  # plain images
        >>> vaecli.auroc(vaecli.score(model, digits[ones]), vaecli.score(model, digits[~ones])).value > 0.9
        True
    """
    if (scores.by, scores.dimensions) != (others.by, others.dimensions):
        raise UsageError(f"{{others=}}: found scores by {others.by}, expected {scores.by} of the same model")
    return Auroc.of(scores.log_p, others.log_p)
