"""Inpainting: fills and scores of the missing part of images, given the part that is seen."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from vaecli.analysis.defaults import STARTS, STEPS
from vaecli.analysis.inpainting_inference import infer
from vaecli.analysis.masks import Half, half
from vaecli.arguments import Count, Seed, Within, checked
from vaecli.data.images import UNKNOWN, Images
from vaecli.distributions.normal import DiagonalNormal
from vaecli.distributions.pixels import PixelLikelihood
from vaecli.errors import UsageError
from vaecli.evaluation.quadrature import exact_log_prob_of_parts, grid_covers
from vaecli.image_shape import ImageShape
from vaecli.model import VAE, check_finite
from vaecli.seeding import generator
from vaecli.threads import fast_arithmetic

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
    """

    observed: Tensor
    missing: Tensor
    missing_given_seen: Tensor
    unconverged: Tensor


@dataclass(frozen=True)
class Inpainting:
    """N partly seen images, the fills of their missing part, and its scores in nats, each of shape (N,).

    Attributes:
        x: the images as the likelihood sees them, shape (N, D).
        observed: which pixels are seen, boolean, shape (D,).
        posterior: q(z | seen), loc and log sigma of shape (N, latent_dim).
        bound: the ELBO of the seen part, a lower bound on log p(seen).
        score: log E_q[p(missing | z)]; not a bound on log p(missing | seen), neither lower nor upper.
        mean_image: log p of the missing part where each pixel has the training images' mean.
        mean_image_of_label: the same with the mean of the images of its label; NaN where there is none.
        exact: log p itself; None for more than two latents, and for images of more than LARGEST values.
        steps: gradient steps of each image.
        fills: the images with their missing part filled in, shape (draws, N, D).
        mean_fill: the images with the mean of 200 fills, shape (N, D).
        shape: of an image, of D values.
    """

    x: Tensor
    observed: Tensor
    posterior: DiagonalNormal
    bound: Tensor
    score: Tensor
    mean_image: Tensor
    mean_image_of_label: Tensor
    exact: ExactParts | None
    steps: Tensor
    fills: Tensor
    mean_fill: Tensor
    shape: ImageShape

    def numbers(self) -> dict[str, Tensor]:
        """The numbers of all images, under the names that JSON has for them."""
        numbers = {
            "predictive_score": self.score,
            "bound_log_p_seen": self.bound,
            "mean_image": self.mean_image,
            "mean_image_of_label": self.mean_image_of_label,
        }
        if self.exact is None:
            return numbers
        return numbers | {
            "log_p_seen": self.exact.observed,
            "log_p_missing": self.exact.missing,
            "log_p_missing_given_seen": self.exact.missing_given_seen,
        }

    def rows(self) -> list[dict[str, float]]:
        """The `numbers` of each image."""
        numbers = self.numbers()
        return [dict(zip(numbers, row, strict=True)) for row in zip(*(values.tolist() for values in numbers.values()), strict=True)]

    def means(self) -> dict[str, float]:
        """The mean over images of each of the `numbers`."""
        return {name: float(values.double().mean()) for name, values in self.numbers().items()}

    @property
    def unconverged(self) -> int | None:
        """The number of images whose exact values still moved on the finest grid; None without exact values."""
        return None if self.exact is None else int(self.exact.unconverged.sum())


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
    seed: Seed = 0,
    on_image: Callable[[int], None] | None = None,
) -> Inpainting:
    """Fills in the missing part of images: infers the latents from the part that is seen, then decodes them.

    An image's numbers do not depend on the images after it, to the bit.

    Args:
        model: on the same device as `images`.
        images: with their labels, which a conditional model sees.
        train: the images that the model was trained on; their mean stands in the missing pixels when the encoder suggests a start,
            and is the guess to beat.
        observed: the half that is seen, or a boolean tensor of shape (D,).
        draws: fills of each image.
        kind: fill with the pixels' means given a latent, or with pixels drawn by them.
        starts: from the best of 1,000 prior draws, beside one at the encoder's mean.
        steps: at most this many gradient steps for each image.
        seed: of all that is drawn at random.
        on_image: called with the number of images that are done.

    Raises:
        UsageError: there is no such half, or `observed` has all pixels or none.

    Example:
        >>> run = vaecli.load("baseline")
        >>> digits = vaecli.load_images("mnist", "test", limit=1)
        >>> filled = vaecli.inpaint(run.model, digits, run.images("train"), observed="left", starts=1, steps=25)
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
    train = train.to(device)
    x = model.observe(images.pixels)
    inferred = infer(model, x, images.labels, observed, model.mean_image(train), seed, starts, steps, on_image)
    check_finite(inferred.posterior.loc, inferred.posterior.log_scale, inferred.bound, inferred.score)
    scores = mean_image_scores(model, train, x, images.labels, ~observed)
    affordable = grid_covers(model) and model.image_shape.size <= LARGEST
    exact = _exact(model, x, images.labels, observed, inferred.posterior) if affordable else None
    fills, mean_fill = complete(model, images.labels, inferred.posterior, seed, draws, kind)
    fills, mean_fill = torch.where(observed, x, fills), torch.where(observed, x, mean_fill)
    return Inpainting(
        x, observed, inferred.posterior, inferred.bound, inferred.score, *scores, exact, inferred.steps, fills, mean_fill,
        model.image_shape,
    )  # fmt: skip


def _exact(model: VAE, x: Tensor, labels: Tensor, observed: Tensor, posterior: DiagonalNormal) -> ExactParts:
    exact = exact_log_prob_of_parts(model, x, labels, observed, posterior)
    of_seen, of_missing, of_both = exact.log_prob
    return ExactParts(of_seen, of_missing, of_both - of_seen, exact.unconverged)


@torch.inference_mode()
def complete(model: VAE, labels: Tensor, posterior: DiagonalNormal, seed: int, draws: int, kind: str) -> tuple[Tensor, Tensor]:
    """Whole images from the posteriors of N images, with noise by image.

    Args:
        model: the model.
        labels: shape (N,); only a conditional model sees them.
        posterior: from `infer`.
        seed: of all noise.
        draws: how many of each image.
        kind: ``mean`` for the pixels' means given a latent, ``draw`` for pixels drawn by them.

    Returns:
        The draws, shape (draws, N, D), and the mean image over 200 latents, shape (N, D).
    """
    filled, average = [], []
    for index in range(len(labels)):
        noise = generator(posterior.loc.device, "inpaint", seed, index, "fill")
        y = model.condition(labels[index : index + 1])
        q = DiagonalNormal(posterior.loc[index], posterior.log_scale[index])
        likelihood = model.likelihood(q.rsample((draws,), noise), y)
        filled.append(likelihood.mean if kind == "mean" else likelihood.sample(generator=noise))
        latents = q.rsample((200,), noise)
        means = [model.likelihood(part, y).mean.sum(0) for part in latents.split(model.image_shape.scaled_batch(200))]
        average.append(means[0] / 200 if len(means) == 1 else torch.stack(means).sum(0) / 200)
    return torch.stack(filled, 1), torch.stack(average)


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
