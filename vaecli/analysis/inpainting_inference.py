"""The latents of partly seen images, by stochastic variational inference."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vaecli.analysis.defaults import STARTS, STEPS
from vaecli.distributions.latents import LatentDistribution
from vaecli.distributions.normal import DiagonalNormal
from vaecli.evaluation.grid import log_likelihoods
from vaecli.evaluation.importance import GROUPS, jackknife, with_and_without
from vaecli.evaluation.quadrature import BLOCK
from vaecli.model import VAE, check_finite
from vaecli.seeding import generator
from vaecli.training.optimizer import Adam

PRIOR_DRAWS = 1000
"""Latents from the prior, the same for all images, among which each image finds its starts."""

APART = 0.3
"""Distance that two starts of an image keep: with few latents the best draws lie side by side, all at one mode."""

LOG_SCALE = -2.0
"""The first log sigma: narrow, so that a start stays at the mode beside it."""

LEARNING_RATES = (0.05, 0.015, 0.005)
PARTICLES = 4
"""Samples of each start in a step at the first learning rate; the best start has four times as many at the others."""

WINDOW = 25
RISE = 0.01
"""When an image's bound, averaged over a window of steps and over its starts, rises by less than this many nats to the next window,
the next learning rate takes over; after the last one the steps end."""

SAMPLES = 1000
"""Samples that an image's bound and score are estimated from."""

_BEHIND = 1e9


@dataclass(frozen=True)
class Inference:
    """The inferred latents of N partly seen images.

    Attributes:
        posterior: q(z | seen part), shape (N, latent_dim): for each image the best of several starts.
        bound: the ELBO of the observed part, E_q[log p(x_s|z) + log p(z) - log q(z)] <= log p(x_s), nats, shape (N,).
        score: log E_q[p(x_m|z)], the variational predictive score of the missing part, nats, shape (N,). It is not a bound on
            log p(x_m | x_s), neither lower nor upper.
        bound_variance: of the bound over other samples, shape (N,).
        score_variance: of the score over other samples, by the jackknife, shape (N,).
        steps: gradient steps that each image took, shape (N,).
    """

    posterior: DiagonalNormal
    bound: Tensor
    score: Tensor
    bound_variance: Tensor
    score_variance: Tensor
    steps: Tensor


def infer(
    model: VAE,
    x: Tensor,
    labels: Tensor,
    observed: Tensor,
    mean_image: Tensor,
    seed: int = 0,
    starts: int = STARTS,
    steps: int = STEPS,
    on_image: Callable[[int], None] | None = None,
    samples: int = SAMPLES,
) -> Inference:
    """Maximises E_q[log p(x_s|z) + log p(z) - log q(z)] over q = N(loc, diag(sigma^2)), one for each image.

    Stochastic variational inference (Hoffman, Blei, Wang & Paisley 2013) with reparameterised gradients, from several starts for
    each image: those of 1,000 draws from the prior with the highest log p(x_s|z) + log p(z), and the encoder's mean of the seen
    pixels with the mean image in the missing ones. All climb at the first learning rate, the best goes on at the lower ones.

    One image is worked on after the other, with noise of its own: its numbers do not depend on the images after it, to the bit.

    Args:
        model: the model, whose weights stay as they are.
        x: images, shape (N, D); `score` alone looks at pixels that are not `observed`.
        labels: shape (N,); only a conditional model sees them.
        observed: boolean, shape (D,).
        mean_image: of the training images, shape (D,).
        seed: of all noise.
        starts: how many of the draws from the prior.
        steps: at most this many for each image; they end earlier when the bound no longer rises.
        on_image: called with the number of images that are done.
        samples: latents of each image by which its bound and score are measured.
    """
    inferred = []
    for index, (q, taken, noise) in enumerate(_fits(model, x, labels, observed, mean_image, seed, starts, steps)):
        y = model.condition(labels[index : index + 1])
        inferred.append((q.loc, q.log_scale, *_measure(model, x[index], y, observed, q, noise, samples), torch.tensor(taken)))
        if on_image:
            on_image(index + 1)
    loc, log_scale, *numbers = (torch.stack(values) for values in zip(*inferred, strict=True))
    return Inference(DiagonalNormal(loc, log_scale), *numbers)


def fit(
    model: VAE, x: Tensor, labels: Tensor, observed: Tensor, mean_image: Tensor, seed: int = 0, starts: int = STARTS,
    steps: int = STEPS,
) -> DiagonalNormal:  # fmt: skip
    """The posterior that `infer` finds, shape (N, latent_dim); `observed` may be all pixels."""
    found = [q for q, *_ in _fits(model, x, labels, observed, mean_image, seed, starts, steps)]
    return DiagonalNormal(torch.stack([q.loc for q in found]), torch.stack([q.log_scale for q in found]))


def _fits(
    model: VAE, x: Tensor, labels: Tensor, observed: Tensor, mean_image: Tensor, seed: int, starts: int, steps: int
) -> Iterator[tuple[DiagonalNormal, int, torch.Generator]]:
    """The posterior of each image in turn, of shape (latent_dim,), the steps it took, and the image's noise after them."""
    model.eval()
    z, log_joint = _prior_draws(
        model, x, labels, observed, max(PRIOR_DRAWS, starts), generator(x.device, "inpaint", seed, "starts")
    )
    for index in range(len(x)):
        noise = generator(x.device, "inpaint", seed, index)
        y = model.condition(labels[index : index + 1])
        with torch.no_grad():
            encoded = model.posterior(torch.where(observed, x[index], mean_image).unsqueeze(0), y).mean
        check_finite(encoded)
        begin = torch.cat((z[_best(z, log_joint[index], starts)], encoded))
        yield *_climb(model, x[index, observed], y, observed, begin, noise, steps), noise


@torch.no_grad()
def _prior_draws(
    model: VAE, x: Tensor, labels: Tensor, observed: Tensor, count: int, noise: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draws from the prior, shape (count, latent_dim), and log p(x_s|z) + log p(z) of each for every image, shape (N, count)."""
    z, p = model.prior.sample(count, noise), model.prior()
    log_joint = x.new_empty(len(x), count)
    for members, latents, z_chunk, log_likelihood in log_likelihoods(model, z, x, labels, (observed,), BLOCK):
        log_joint[members, latents] = (log_likelihood[0] + p.log_prob(z_chunk).unsqueeze(1)).T
    return z, log_joint


def _best(z: Tensor, log_joint: Tensor, count: int) -> list[int]:
    """The positions of the draws with the highest log joint, the best first; near a chosen one only when no others are left."""
    left, chosen = log_joint.double().cpu(), []
    for _ in range(count):
        chosen.append(int(left.argmax()))
        left[((z - z[chosen[-1]]).square().sum(1) < APART**2).cpu()] -= _BEHIND
        left[chosen[-1]] = -math.inf
    return chosen


def _climb(
    model: VAE, x: Tensor, y: Tensor | None, observed: Tensor, starts: Tensor, noise: torch.Generator, steps: int
) -> tuple[DiagonalNormal, int]:
    """The posterior of one image given its seen pixels x, its parameters of shape (latent_dim,), and the steps taken."""
    particles, taken = PARTICLES, 0
    with torch.no_grad():
        p = model.prior()
    loc, log_scale = starts, torch.full_like(starts, LOG_SCALE)
    for rate in LEARNING_RATES:
        loc, log_scale = loc.detach().requires_grad_(), log_scale.detach().requires_grad_()
        optimizer = Adam([loc, log_scale], rate)
        before, now = -math.inf, -math.inf
        while taken < steps and (now == -math.inf or now - before >= RISE):
            size = min(WINDOW, steps - taken)
            total = torch.zeros((), device=x.device)
            for _ in range(size):
                value = _bound(model, x, y, observed, DiagonalNormal(loc, log_scale), p, particles, noise)
                loc.grad, log_scale.grad = torch.autograd.grad(-value.sum(), (loc, log_scale))
                optimizer.step()
                total += value.detach().mean()
            taken += size
            before, now = now, float(total) / size
        if len(loc) > 1:
            with torch.no_grad():
                q = DiagonalNormal(loc, log_scale)
                parts = [_bound(model, x, y, observed, q, p, count, noise) * count for count in _counts(model, 100, len(loc))]
                best = torch.stack(parts).sum(0).argmax()
            loc, log_scale, particles = loc[best].unsqueeze(0), log_scale[best].unsqueeze(0), 4 * PARTICLES
    return DiagonalNormal(loc[0].detach(), log_scale[0].detach()), taken


def _bound(
    model: VAE, x: Tensor, y: Tensor | None, observed: Tensor, q: DiagonalNormal, p: LatentDistribution, particles: int,
    noise: torch.Generator,
) -> Tensor:  # fmt: skip
    """Estimates of log p(x_s|z) + log p(z) - log q(z), z ~ q, for seen pixels x of one image: shape (starts,)."""
    z = q.rsample((particles,), noise)
    log_w: Tensor = model.likelihood(z, y).marginal(observed).log_prob(x) + p.log_prob(z) - q.log_prob(z)
    return log_w.mean(0)


@torch.inference_mode()
def _measure(
    model: VAE, x: Tensor, y: Tensor | None, observed: Tensor, q: DiagonalNormal, noise: torch.Generator, samples: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The bound and the score of one image, and the variances of both over other samples.

    Both are from the same samples, which are not those that chose its start.
    """
    bounds, scores, p = [], [], model.prior()
    for count in _counts(model, samples):
        z = q.rsample((count,), noise)
        likelihood = model.likelihood(z, y)
        bounds.append(likelihood.marginal(observed).log_prob(x[observed]) + p.log_prob(z) - q.log_prob(z))
        scores.append(likelihood.marginal(~observed).log_prob(x[~observed]))
    bound, score = torch.cat(bounds), torch.cat(scores)
    groups = score.cpu().double().tensor_split(min(samples, GROUPS))
    sizes = torch.tensor([len(group) for group in groups], dtype=torch.float64)
    value, *without = with_and_without(torch.stack([group.logsumexp(0) for group in groups]).unsqueeze(1), sizes)
    of_score = jackknife(value, torch.stack(without), sizes)[0].to(score)
    return bound.mean(), score.logsumexp(0) - math.log(samples), bound.var() / samples, of_score


def _counts(model: VAE, samples: int, starts: int = 1) -> Iterator[int]:
    """How many samples of each start to decode at once, in turn: all of them unless the images are larger than 28 x 28."""
    most = max(1, model.image_shape.scaled_batch(SAMPLES) // starts)
    yield from (min(most, samples - done) for done in range(0, samples, most))
