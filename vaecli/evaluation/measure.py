"""Everything that `vaecli compare` measures of one model, each number with its errors."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Annotated

import torch
from torch import Tensor

from vaecli.arguments import Count, Within, checked
from vaecli.data.images import UNKNOWN, Images
from vaecli.errors import UsageError
from vaecli.evaluation.ais import Annealed, annealed, bracketed, chain_variance
from vaecli.evaluation.diagnostics import Diagnostics
from vaecli.evaluation.estimates import Accuracy, Annealing, Certificate, Convergence, Estimate, Measured, Weights
from vaecli.evaluation.importance import Proposal, evaluate, importance_bound, jackknife
from vaecli.evaluation.quadrature import TOLERANCE, check_size, exact_log_prob
from vaecli.evaluation.schedule import AIS
from vaecli.model import VAE, check_finite, observed_images
from vaecli.processes import Processes, joined
from vaecli.threads import fast_arithmetic

DRAWS = 5
"""Draws of the single particle of the ELBO and of L_1; the Monte Carlo error comes from their spread."""


@checked
def check_measurable(model: VAE, *, exact: bool = False, marginal_labels: bool = False) -> None:
    """Refuses a model that cannot be measured so, before any work.

    Raises:
        UsageError: labels are to be summed out of a model without labels, or exact values are asked for with more than two latents.
    """
    if marginal_labels and not model.conditional:
        raise UsageError("{marginal_labels=}: the run was trained without labels, expected a conditional one ({labels=full})")
    if exact:
        check_size(model)


@checked
@fast_arithmetic()
def measure(
    model: VAE,
    images: Images,
    *,
    k: Sequence[Count] = (50,),
    exact: bool = False,
    proposal: Proposal = "posterior",
    repeats: Count = 1,
    marginal_labels: bool = False,
    ais: bool | AIS = False,
    bdmc: Annotated[int, Within(0, 100_000)] = 0,
    draws: Count = DRAWS,
    on_share: Callable[[float, str], None] | None = None,
) -> Measured:
    """The ELBO of a model on images and, if asked for, L_k and log p(x), each with its errors.

    In a script that torchrun started, all processes call this alike, share the work and have the result.

    Args:
        model: on the same device as `images`.
        images: with their labels, which a conditional model is given unless they are to be summed out.
        k: particles of each importance-weighted bound L_k; empty for none.
        exact: also integrate log p(x) over a grid (one or two latent dimensions).
        proposal: the source of the particles: ``posterior``, or ``mixture``, half of them from the prior.
        repeats: how often each L_k is estimated, with other particles; L_1 at least DRAWS times.
        marginal_labels: sum the label out of a conditional model: log p(x) instead of log p(x|y), and the accuracy of the most
            probable label.
        ais: also anneal from q(z|x) to the posterior, for a lower bound closer than L_k: True, or the schedule.
        bdmc: images to draw from the model, whose log p(x) the schedule of `ais` bounds from both sides.
        draws: particles of the ELBO for each image. The first is its value; all of them give its Monte Carlo error, one gives none.
        on_share: called with the share of a part that is done, and the name of the part.

    Raises:
        UsageError: an argument is out of bounds, labels are to be summed out of a model without labels, exact values are asked
            for with more than two latents, or `bdmc` without `ais`.
        ProcessError: another process ended or cannot be reached.

    Example:
        >>> measured = vaecli.measure(vaecli.load("baseline").model, vaecli.load_images("mnist", "test", limit=100), k=(5, 50))
        >>> measured.elbo.mean < measured.bounds[5].mean < measured.bounds[50].mean
        True
        >>> measured.elbo.standard_error < 10
        True
    """
    check_measurable(model, exact=exact, marginal_labels=marginal_labels)
    if marginal_labels and not images.class_names:
        raise UsageError(f"{{marginal_labels=}}: found images without names of labels, expected those of the model, {model.labels}")

    if bdmc and not ais:
        raise UsageError("{bdmc} without {ais=}: expected the schedule that it is of; add {ais=}", bdmc=bdmc)
    schedule = (AIS() if ais is True else ais) or None

    images = observed_images(images, model.binarize)
    processes = joined(images.pixels.device)
    with processes.ending_together():
        _check_equal(processes, model, images, (*k, exact, proposal, repeats, draws, marginal_labels, schedule, bdmc))
        return _measure(model, images, k, exact, proposal, repeats, draws, marginal_labels, schedule, bdmc, on_share, processes)


def _check_equal(processes: Processes, model: VAE, images: Images, how: tuple[object, ...]) -> None:
    """Refuses processes that are about to measure different things.

    Raises:
        UsageError: some are, in all of them.
    """
    if processes.alone:
        return
    digest = sha256(repr(how).encode())
    for tensor in (*model.state_dict().values(), images.pixels, images.labels):
        digest.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    first, *others = processes.all_gather(digest.hexdigest())
    for rank, other in enumerate(others, 1):
        if other != first:
            raise UsageError(
                f"process {rank} measures another model, other images or otherwise than the first; expected the same in all: type "
                "the same line on every host, where the same runs are"
            )


def _measure(
    model: VAE, images: Images, ks: Sequence[int], exact: bool, proposal: Proposal, repeats: int, draws: int, marginal_labels: bool,
    schedule: AIS | None, bdmc: int, on_share: Callable[[float, str], None] | None, processes: Processes,
) -> Measured:  # fmt: skip
    def report(share: float, part: str) -> None:
        if on_share:
            on_share(share, part)

    value = evaluate(model, images, draws, processes)
    check_finite(value.reconstruction, value.kl)
    parts = ("elbo", "reconstruction", "kl")
    elbo, reconstruction, kl = (Estimate.of(getattr(value, part), value.variance.get(part)) for part in parts)
    bounds, weights, bound_accuracy = {}, {}, {}
    per_image = {"elbo": value.elbo}
    every = _with_each_label(images) if marginal_labels else [images]
    for k in ks:
        bounds[k], per_image[f"L_{k}"], by_label, diagnosed = _bound(
            model, every, k, proposal, repeats, partial(report, part=f"L_{k}"), processes
        )
        weights[k] = _summary(diagnosed)
        per_image |= {f"{name}_L_{k}": values for name, values in vars(diagnosed).items() if not values.isnan().any()}
        if marginal_labels and (accuracy := _accuracy(by_label, images)):
            bound_accuracy[k] = accuracy
    exact_value, convergence, exact_accuracy = None, None, None
    if exact:
        exact_value, convergence, by_label = _exact(model, every, report, processes)
        exact_accuracy = _accuracy(by_label, images) if marginal_labels else None
        per_image["exact"] = over_labels(by_label)
    ais_value, annealing, certificate = None, None, None
    if schedule:
        ais_value, annealing, of_images = _annealed(model, every, schedule, partial(report, part="AIS"), processes)
        per_image |= of_images
    if schedule and bdmc:
        certificate = _certificate(model, bdmc, schedule, partial(report, part="BDMC"), processes)
    return Measured(
        len(images),
        images.digest,
        value.active_units,
        elbo,
        reconstruction,
        kl,
        bounds,
        exact_value,
        convergence,
        bound_accuracy,
        exact_accuracy,
        images.pixels[0].numel() if model.pixel_likelihood.discrete else None,
        value.kl_is_exact,
        weights,
        ais_value,
        annealing,
        certificate,
        per_image,
    )


def _bound(
    model: VAE, every: Sequence[Images], k: int, proposal: Proposal, repeats: int, on_share: Callable[[float], None],
    processes: Processes,
) -> tuple[Estimate, Tensor, Tensor, Diagnostics]:  # fmt: skip
    """L_k of the images, whose labels are summed out where `every` has them with each label; that of each; by label; its weights.

    The weights are those of the first repeat, and of each image's most probable label.
    """
    repeats = repeats if k > 1 else max(repeats, DRAWS)
    count = len(every[0])
    values, by_label, weights = [], torch.zeros(len(every), count, dtype=torch.float64), []
    for repeat in range(repeats):
        bounds = [
            importance_bound(model, labelled, k, proposal, repeat, lambda done: on_share(done / count), processes)
            for labelled in every
        ]
        estimates = torch.stack([bound.value for bound in bounds])
        values.append(over_labels(estimates))
        by_label += estimates / repeats
        weights.append([bound.weights for bound in bounds])
    value = torch.stack(values)
    if repeats > 1:
        variance = value.var(0) / repeats
    else:
        variance = jackknife(value[0], over_labels(torch.stack([bound.without for bound in bounds])), bounds[0].sizes)
    best = by_label.argmax(0, keepdim=True)
    of_best = (torch.stack(parts).gather(0, best)[0] for parts in zip(*(vars(part).values() for part in weights[0]), strict=True))
    return Estimate.of(value.mean(0), variance), value.mean(0), by_label, Diagnostics(*of_best)


def _summary(weights: Diagnostics) -> Weights:
    untrusted = weights.untrusted
    k_hat = None if untrusted is None else float(weights.k_hat.median())
    return Weights(float(weights.effective_sample_size.median()), float(weights.largest.median()), k_hat, untrusted)


def _annealed(
    model: VAE, every: Sequence[Images], schedule: AIS, on_share: Callable[[float], None], processes: Processes
) -> tuple[Estimate, Annealing, dict[str, Tensor]]:
    """The annealed value of the images, as `_bound` has L_k; how it was done; and each image's numbers by name."""
    parts: list[Annealed] = []
    for labelled in every:

        def tell(share: float, done: int = len(parts)) -> None:
            on_share((done + share) / len(every))

        parts.append(annealed(model, labelled, schedule, tell, processes))
    by_label = torch.stack([part.value for part in parts])
    value = over_labels(by_label)
    variance = chain_variance(value, over_labels(torch.stack([part.without for part in parts])))
    acceptance = torch.stack([part.acceptance for part in parts]).mean(0)
    of_images = {"ais": value, "acceptance_ais": acceptance} | (
        {} if variance is None else {"monte_carlo_error_ais": variance.sqrt()}
    )
    done = Annealing(schedule, None if acceptance.isnan().any() else float(acceptance.mean()))
    return Estimate.of(value, variance), done, of_images


def _certificate(model: VAE, images: int, schedule: AIS, on_share: Callable[[float], None], processes: Processes) -> Certificate:
    bracket = bracketed(model, images, schedule, on_share, processes)
    sides = bracket.lower, bracket.upper, bracket.upper - bracket.lower
    return Certificate(images, *map(Estimate.of, sides))


def _exact(
    model: VAE, every: Sequence[Images], on_share: Callable[[float, str], None], processes: Processes
) -> tuple[Estimate, Convergence, Tensor]:
    """The log p(x) of the images, as `_bound` has L_k; how far it converged; and its values by label."""
    parts = [
        exact_log_prob(model, labelled, lambda side, share: on_share(share, f"grid of {side}"), processes=processes)
        for labelled in every
    ]
    by_label = torch.stack([part.log_prob for part in parts])
    check_finite(by_label)
    shares = by_label.softmax(0)
    # a label with a smaller share moves the image by less than quadrature's tolerance, even if its whole share is wrong
    unconverged = (torch.stack([part.unconverged for part in parts]) & (shares > TOLERANCE)).any(0)
    error = (shares * torch.stack([part.refinement_error for part in parts])).sum(0)
    convergence = Convergence(max(part.side for part in parts), float(error.mean()), int(unconverged.sum()))
    return Estimate.of(over_labels(by_label)), convergence, by_label


def _with_each_label(images: Images) -> list[Images]:
    """The images, all with label 0, all with label 1 and so on."""
    return [replace(images, labels=torch.full_like(images.labels, y)) for y in range(len(images.class_names))]


def over_labels(log_prob: Tensor) -> Tensor:
    """The log p(x) = log (1/Y) sum_y p(x|y), for values of log p(x|y) of shape (Y, ...); of one label it is its own."""
    return log_prob.logsumexp(0) - math.log(len(log_prob))


def _accuracy(log_prob: Tensor, images: Images) -> Accuracy | None:
    """The share of images whose own label has the highest log p(x|y), of shape (Y, N); None if no label is known."""
    labels = images.labels.cpu()
    known = labels != UNKNOWN
    if not known.any():
        return None
    return Accuracy(float((log_prob.argmax(0) == labels)[known].double().mean()), int(known.sum()))
