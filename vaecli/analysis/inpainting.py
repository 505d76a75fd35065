"""Inpainting: fills and scores of the missing part of images, given the part that is seen."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from vaecli.analysis.defaults import STARTS, STEPS
from vaecli.analysis.inpainting_inference import fit, infer
from vaecli.analysis.masks import Half, half
from vaecli.arguments import Count, Seed, Within, checked
from vaecli.data.images import UNKNOWN, Images
from vaecli.display import png, rows_of
from vaecli.distributions.normal import DiagonalNormal
from vaecli.distributions.pixels import PixelLikelihood
from vaecli.errors import UsageError
from vaecli.evaluation.ais import annealed_from
from vaecli.evaluation.encode import posterior_of_each
from vaecli.evaluation.quadrature import GridPosterior, exact_posterior, grid_covers
from vaecli.evaluation.schedule import AIS
from vaecli.image_shape import ImageShape
from vaecli.model import VAE, check_finite
from vaecli.seeding import generator
from vaecli.threads import fast_arithmetic

MISSING = 0.35
"""The grey of pixels that are not seen, in pictures."""

AVERAGED = 200
"""Fills of which the mean is one."""

LARGEST = 32 * 32
"""Values of an image at the most for exact log p: on the fine grids that larger ones need, an image takes many minutes."""


@dataclass(frozen=True)
class ExactParts:
    """log p of the parts of N images, by quadrature over one or two latents; nats, float64, shape (N,).

    Attributes:
        observed: log p(seen).
        missing: log p(missing).
        missing_given_seen: log p(missing | seen).
        unconverged: the images whose value still moved on the finest grid, boolean.
        side: points per side of the finest grid that any image needed.
    """

    observed: Tensor
    missing: Tensor
    missing_given_seen: Tensor
    unconverged: Tensor
    side: int


@dataclass(frozen=True)
class Scores:
    """What the inferred latents of N images are worth; nats, shape (N,).

    Attributes:
        bound: the ELBO of the seen part, a lower bound on log p(seen).
        score: log E_q[p(missing | z)]; not a bound on log p(missing | seen), neither lower nor upper.
        bound_error: Monte Carlo error of the bound.
        score_error: Monte Carlo error of the score, by the jackknife.
        steps: gradient steps of each image.
    """

    bound: Tensor
    score: Tensor
    bound_error: Tensor
    score_error: Tensor
    steps: Tensor


@dataclass(frozen=True)
class AnnealedParts:
    """log p(missing | seen) of N images as the difference of two annealed estimates, of log p(x) and log p(seen).

    Attributes:
        missing_given_seen: nats, float64, shape (N,). Both estimates are lower bounds in expectation; their difference is none.
        error: its Monte Carlo error, by the jackknife over chains, shape (N,); None for a single chain.
        acceptance: share of the moves of each image that were accepted, shape (N,); NaN without moves.
        schedule: of both.
    """

    missing_given_seen: Tensor
    error: Tensor | None
    acceptance: Tensor
    schedule: AIS


@dataclass(frozen=True)
class Inpainting:
    """N partly seen images, the fills of their missing part, and what these are worth.

    Attributes:
        x: the images as the likelihood sees them, shape (N, D).
        observed: which pixels are seen, boolean, shape (D,).
        posterior: p(z | seen) itself where `exact` is there, else q(z | seen), loc and log sigma of shape (N, latent_dim).
        mean_image: log p of the missing part where each pixel has the training images' mean, nats, shape (N,).
        mean_image_of_label: the same with the mean of the images of its label; NaN where there is none.
        exact: log p itself; None for more than two latents, and for images of more than LARGEST values.
        scores: of the inferred latents; None where `exact` is there.
        annealed: log p by annealing, where it was asked for.
        fills: the images with their missing part filled in, shape (draws, N, D).
        mean_fill: the images with the mean of AVERAGED fills, shape (N, D).
        shape: of an image, of D values.
    """

    x: Tensor
    observed: Tensor
    posterior: DiagonalNormal | GridPosterior
    mean_image: Tensor
    mean_image_of_label: Tensor
    exact: ExactParts | None
    scores: Scores | None
    annealed: AnnealedParts | None
    fills: Tensor
    mean_fill: Tensor
    shape: ImageShape

    def grid(self) -> Tensor:
        """What a notebook shows, bytes of shape (3, height, width): images, what is seen of them, a fill, and the mean of many."""
        seen = torch.where(self.observed, self.x, MISSING)
        return rows_of(self.x, seen, *self.fills[:1], self.mean_fill, shape=self.shape)

    def _repr_png_(self) -> bytes:
        return png(self.grid())

    def numbers(self) -> dict[str, Tensor]:
        """The numbers of all images, under the names that JSON has for them."""
        numbers = {"mean_image": self.mean_image, "mean_image_of_label": self.mean_image_of_label}
        if self.scores:
            numbers |= {"predictive_score": self.scores.score, "bound_log_p_seen": self.scores.bound}
        if self.annealed:
            numbers["ais_log_p_missing_given_seen"] = self.annealed.missing_given_seen
        if self.exact:
            numbers["log_p_seen"], numbers["log_p_missing"] = self.exact.observed, self.exact.missing
            numbers["log_p_missing_given_seen"] = self.exact.missing_given_seen
        return numbers

    def errors(self) -> dict[str, Tensor]:
        """The Monte Carlo errors of those `numbers` that are estimates, under their names."""
        errors = dict[str, Tensor]()
        if self.scores:
            errors |= {"predictive_score": self.scores.score_error, "bound_log_p_seen": self.scores.bound_error}
        if self.annealed and self.annealed.error is not None:
            errors["ais_log_p_missing_given_seen"] = self.annealed.error
        return errors

    def rows(self) -> list[dict[str, float]]:
        """The `numbers` of each image."""
        return _rows(self.numbers(), len(self.x))

    def error_rows(self) -> list[dict[str, float]]:
        """The `errors` of each image."""
        return _rows(self.errors(), len(self.x))

    def means(self) -> dict[str, float]:
        """The mean over images of each of the `numbers`."""
        return {name: float(values.double().mean()) for name, values in self.numbers().items()}

    def errors_of_means(self) -> dict[str, float]:
        """The Monte Carlo errors of the `means`: images have noise of their own."""
        return {name: float(values.double().norm()) / len(values) for name, values in self.errors().items()}

    @property
    def unconverged(self) -> int | None:
        """The number of images whose exact values still moved on the finest grid; None without exact values."""
        return None if self.exact is None else int(self.exact.unconverged.sum())


def _rows(numbers: dict[str, Tensor], count: int) -> list[dict[str, float]]:
    return [{name: float(values[row]) for name, values in numbers.items()} for row in range(count)]


def has_exact_posterior(model: VAE) -> bool:
    """Whether `inpaint` integrates over the latents, and infers nothing: there are one or two, and at most LARGEST values."""
    return grid_covers(model) and model.image_shape.size <= LARGEST


@checked
@fast_arithmetic()
def inpaint(
    model: VAE,
    images: Images,
    train: Images,
    *,
    observed: Half | Tensor = "top",
    draws: Count = 3,
    kind: Literal["mean", "draw"] = "mean",
    starts: Annotated[int, Within(0, 10_000)] = STARTS,
    steps: Count = STEPS,
    ais: bool | AIS = False,
    seed: Seed = 0,
    on_image: Callable[[int], None] | None = None,
) -> Inpainting:
    """Fills in the missing part of images: finds the latents of the part that is seen, then decodes them.

    With one or two latents p(z | seen) is known on a grid; with more, or images of more than LARGEST values, it is approximated by
    variational inference. An image's numbers do not depend on the images after it, to the bit.

    Args:
        model: on the same device as `images`.
        images: with their labels, which a conditional model sees.
        train: the images that the model was trained on; their mean stands in the missing pixels when the encoder suggests a start,
            and is the guess to beat.
        observed: the half that is seen, or a boolean tensor of shape (D,).
        draws: fills of each image.
        kind: fill with the pixels' means given a latent, or with pixels drawn by them.
        starts: of inference, from the best of 1,000 prior draws, beside one at the encoder's mean.
        steps: of inference, at most this many gradient steps for each image.
        ais: also estimate log p(missing | seen) by annealed importance sampling where it is not exact: True, or the schedule.
        seed: of all that is drawn at random.
        on_image: called with the number of images that are done.

    Raises:
        UsageError: there is no such half, `observed` has all pixels or none, or `ais` is asked for where log p is exact.

    Example:
        >>> run = vaecli.load("baseline")
        >>> digits = vaecli.load_images("mnist", "test", limit=1)
        >>> filled = vaecli.inpaint(run.model, digits, run.images("train"), observed="left")
        >>> filled.fills.shape
        torch.Size([3, 1, 784])
    """
    device = images.pixels.device
    observed = (half(observed, model.image_shape) if isinstance(observed, str) else observed).to(device)
    if observed.shape != (model.image_shape.size,) or observed.all() or not observed.any():
        size = model.image_shape.size
        raise UsageError(
            f"{{observed=}}: expected a boolean tensor of {size:,} values, of which some are seen and some are missing"
        )
    schedule = (AIS() if ais is True else ais) or None
    if schedule and has_exact_posterior(model):
        raise UsageError("{ais=}: found a model of one or two latents, whose log p is exact without it; leave it out")
    train = train.to(device)
    x, mean = model.observe(images.pixels), model.mean_image(train)
    exact, scores, annealed = None, None, None
    posterior: DiagonalNormal | GridPosterior
    if has_exact_posterior(model):
        exact, posterior = _exact(model, x, images.labels, observed, mean)
    else:
        posterior, scores = _inferred(model, x, images.labels, observed, mean, seed, starts, steps, on_image)
        if schedule:
            whole = fit(model, x, images.labels, torch.ones_like(observed), mean, seed, starts, steps)
            annealed = _annealed(model, x, images.labels, observed, (posterior, whole), schedule, seed)
    guesses = mean_image_scores(model, train, x, images.labels, ~observed)
    fills, mean_fill = complete(model, images.labels, posterior, seed, draws, kind, on_image if exact else None)
    fills, mean_fill = torch.where(observed, x, fills), torch.where(observed, x, mean_fill)
    return Inpainting(x, observed, posterior, *guesses, exact, scores, annealed, fills, mean_fill, model.image_shape)


@torch.inference_mode()
def _exact(model: VAE, x: Tensor, labels: Tensor, observed: Tensor, mean_image: Tensor) -> tuple[ExactParts, GridPosterior]:
    encoded = posterior_of_each(model, torch.where(observed, x, mean_image), labels)
    exact, posterior = exact_posterior(model, x, labels, observed, encoded)
    of_seen, of_missing, of_both = exact.log_prob
    check_finite(exact.log_prob)
    return ExactParts(of_seen, of_missing, of_both - of_seen, exact.unconverged, exact.side), posterior


def _inferred(
    model: VAE, x: Tensor, labels: Tensor, observed: Tensor, mean_image: Tensor, seed: int, starts: int, steps: int,
    on_image: Callable[[int], None] | None,
) -> tuple[DiagonalNormal, Scores]:  # fmt: skip
    found = infer(model, x, labels, observed, mean_image, seed, starts, steps, on_image)
    check_finite(found.posterior.loc, found.posterior.log_scale, found.bound, found.score)
    return found.posterior, Scores(found.bound, found.score, found.bound_variance.sqrt(), found.score_variance.sqrt(), found.steps)


def _annealed(
    model: VAE, x: Tensor, labels: Tensor, observed: Tensor, posteriors: tuple[DiagonalNormal, DiagonalNormal], schedule: AIS,
    seed: int,
) -> AnnealedParts:  # fmt: skip
    """Annealing from the posteriors given the seen pixels and given all."""
    of_seen, of_both = (
        annealed_from(model, x, labels, q, pixels, schedule, what)
        for q, pixels, what in zip(
            posteriors, (observed, torch.ones_like(observed)), (f"seen {seed}", f"whole {seed}"), strict=True
        )
    )
    variances = of_seen.variance, of_both.variance
    error = None if variances[0] is None or variances[1] is None else (variances[0] + variances[1]).sqrt()
    acceptance = (of_seen.acceptance + of_both.acceptance) / 2
    return AnnealedParts(of_both.value - of_seen.value, error, acceptance, schedule)


@torch.inference_mode()
def complete(
    model: VAE, labels: Tensor, posterior: DiagonalNormal | GridPosterior, seed: int, draws: int, kind: str,
    on_image: Callable[[int], None] | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Whole images from the posteriors of N images, with noise by image.

    Args:
        model: the model.
        labels: shape (N,); only a conditional model sees them.
        posterior: from `infer` or `exact_posterior`.
        seed: of all noise.
        draws: how many of each image.
        kind: ``mean`` for the pixels' means given a latent, ``draw`` for pixels drawn by them.
        on_image: called with the number of images that are done.

    Returns:
        The draws, shape (draws, N, D), and the mean image over AVERAGED latents, shape (N, D).
    """
    filled, average = [], []
    for index in range(len(labels)):
        noise = generator(labels.device, "inpaint", seed, index, "fill")
        y = model.condition(labels[index : index + 1])
        latents = _draws(posterior, index, draws + AVERAGED, noise)
        likelihood = model.likelihood(latents[:draws], y)
        filled.append(likelihood.mean if kind == "mean" else likelihood.sample(generator=noise))
        means = [model.likelihood(part, y).mean.sum(0) for part in latents[draws:].split(model.image_shape.scaled_batch(AVERAGED))]
        average.append((means[0] if len(means) == 1 else torch.stack(means).sum(0)) / AVERAGED)
        if on_image:
            on_image(index + 1)
    return torch.stack(filled, 1), torch.stack(average)


def _draws(posterior: DiagonalNormal | GridPosterior, index: int, count: int, noise: torch.Generator) -> Tensor:
    """Latents of one image, shape (count, latent_dim)."""
    if isinstance(posterior, GridPosterior):
        return posterior.sample(index, count, noise)
    return DiagonalNormal(posterior.loc[index], posterior.log_scale[index]).rsample((count,), noise)


@torch.inference_mode()
def mean_image_scores(model: VAE, train: Images, x: Tensor, labels: Tensor, missing: Tensor) -> tuple[Tensor, Tensor]:
    """The scores of two guesses at the missing pixels of images x that ignore the seen ones, in nats: two tensors of shape (N,).

    The first is log p of the likelihood whose pixels have the mean of all training images, the second of those with the image's own
    label: NaN where that is not known, or does not occur among them.
    """

    def score(mean: Tensor, images: Tensor) -> Tensor:
        likelihood: PixelLikelihood = model.pixel_likelihood(model.pixel_likelihood.output_for(mean))
        return likelihood.marginal(missing).log_prob(images[:, missing])

    of_label = x.new_full((len(x),), math.nan)
    for label in labels[labels != UNKNOWN].unique().tolist():
        alike = train[train.labels == label]
        if len(alike):
            of_label[labels == label] = score(model.mean_image(alike), x[labels == label])
    return score(model.mean_image(train), x), of_label
