"""What a model is worth: bounds on log p(x), the same for every checkpoint, whatever it was trained with."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from vaecli.arguments import Count, Seed, checked
from vaecli.data.images import Images
from vaecli.device import accumulator
from vaecli.evaluation.diagnostics import Diagnostics, kept_weights, pareto_k
from vaecli.evaluation.likelihood_table import BLOCK, LikelihoodTable, worthwhile
from vaecli.model import VAE, LogWeights, check_finite
from vaecli.processes import ALONE, Processes
from vaecli.seeding import generator
from vaecli.threads import fast_arithmetic

Proposal = Literal["posterior", "mixture"]

BATCH = 500

ROWS = 4000
"""Images of 28 x 28 times particles decoded at once, which bounds the memory that L_k takes whatever k is."""

GROUPS = 50
"""Groups of particles that the jackknife leaves out in turn; of fewer particles each is a group of its own."""

ACTIVE = 0.01
"""A latent dimension is active where the variance of its posterior means over images is above this (Burda et al. 2015)."""


@dataclass(frozen=True)
class Evaluation:
    """The ELBO of N images and its parts, in nats, float64 on the CPU, each of shape (N,).

    Attributes:
        reconstruction: E_q[log p(x|z)], one particle an image.
        kl: KL(q(z|x) || p(z)), in closed form or estimated with that particle.
        variance: over draws of the particle, of ``reconstruction``, ``elbo`` and an estimated ``kl`` of each image; empty where one
            was drawn.
        active_units: how many latent dimensions have a variance of posterior means over images above ACTIVE.
        kl_is_exact: whether the KL is in closed form.
    """

    reconstruction: Tensor
    kl: Tensor
    variance: dict[str, Tensor]
    active_units: int
    kl_is_exact: bool = True

    @property
    def elbo(self) -> Tensor:
        """A lower bound on log p(x): reconstruction - kl."""
        return self.reconstruction - self.kl


@checked
@torch.inference_mode()
def evaluate(model: VAE, images: Images, draws: Count = 1, processes: Processes = ALONE) -> Evaluation:
    """The ELBO of all images, with the same noise each time.

    Args:
        model: on the same device as `images`.
        images: with labels where the model is conditional.
        draws: particles drawn for each image. The first is the estimate; all draws give its variance.
        processes: the processes that share the images; every one returns the result.
    """
    model.eval()
    noise = generator(images.pixels.device, "evaluation")
    more_noise = generator(images.pixels.device, "evaluation", "more draws")
    count = len(images)
    value, variance = torch.zeros(2, count, dtype=torch.float64), torch.zeros(3, count, dtype=torch.float64)
    means, exact = torch.zeros(count, model.latent_dim), torch.zeros(1)
    at_once = model.image_shape.measured_batch(BATCH)
    for start, mine in zip(range(0, count, at_once), processes.round_robin(), strict=False):
        part = slice(start, start + at_once)
        batch = images[part]
        x, y = model.observe(batch.pixels), model.condition(batch.labels)
        # every process draws all noise, which is cheap beside decoding
        eps = torch.randn(1, len(batch), model.latent_dim, generator=noise, device=x.device)
        more = torch.randn(draws - 1, len(batch), model.latent_dim, generator=more_noise, device=x.device)
        if not mine:
            continue
        first = model.log_weights(x, y, eps)
        value[:, part] = torch.stack((first.reconstruction, first.kl)).cpu().double()
        if draws > 1:
            variance[:, part] = _variance(first, model.log_weights(x, y, more, first.q))
        means[part] = first.q.mean.cpu()
        exact[0] = first.kl_is_exact
    reconstruction, kl = processes.sum(value)  # of 0 from all but one
    active_units = int((processes.sum(means).var(0, correction=0) > ACTIVE).sum())
    kl_is_exact = bool(processes.sum(exact) > 0)
    over_draws = dict(zip(("reconstruction", "elbo", "kl"), processes.sum(variance), strict=True)) if draws > 1 else {}
    if kl_is_exact:
        over_draws.pop("kl", None)
    return Evaluation(reconstruction, kl, over_draws, active_units, kl_is_exact)


def _variance(first: LogWeights, more: LogWeights) -> Tensor:
    """The variances over all particles of reconstruction, ELBO and KL, float64 on the CPU, shape (3, N)."""
    likelihood = torch.cat((first.likelihood, more.likelihood)).cpu().double()
    if first.kl_is_exact:
        variance = likelihood.var(0)
        return torch.stack((variance, variance, torch.zeros_like(variance)))
    kl = torch.cat((first.posterior - first.prior, more.posterior - more.prior)).cpu().double()
    return torch.stack((likelihood.var(0), (likelihood - kl).var(0), kl.var(0)))


@dataclass(frozen=True)
class ImportanceBound:
    """L_k of N images, float64 on the CPU.

    Attributes:
        value: nats, shape (N,).
        without: the values when one group of particles is left out, shape (groups, N); -inf where that leaves none, for k = 1.
        sizes: particles in each group, shape (groups,).
        weights: what the weights themselves say.
    """

    value: Tensor
    without: Tensor
    sizes: Tensor
    weights: Diagnostics

    @property
    def variance(self) -> Tensor:
        """Of each value over repeats, shape (N,), by the jackknife."""
        return jackknife(self.value, self.without, self.sizes)


def jackknife(value: Tensor, without: Tensor, sizes: Tensor) -> Tensor:
    """The variance of estimates, from what they are when one group of their sample is left out.

    Busing, Meijer & van der Leeden 1999, "Delete-m jackknife for unequal m"; for g groups of one size it is Tukey's, whose mean is
    at least (g - 1) / g of the true variance of an estimate from one group less (Efron & Stein 1981). The delta method, which says
    sum w~^2 - 1/k for the logarithm of a mean of k weights, is far too low where they have heavy tails: below 1, even where one
    particle adds many nats. Both are blind to modes that no particle fell into.

    Args:
        value: the estimates, shape (N,).
        without: the estimates without each of g groups, shape (g, N).
        sizes: of the groups, shape (g,).

    Returns:
        Shape (N,); NaN for a single group.
    """
    ratio = (sizes.sum() / sizes).unsqueeze(1)
    pseudo = ratio * value - (ratio - 1) * without
    centre = len(sizes) * value - ((1 - 1 / ratio) * without).sum(0)
    return ((pseudo - centre).square() / (ratio - 1)).mean(0)


@checked
@fast_arithmetic()
@torch.inference_mode()
def importance_bound(
    model: VAE, images: Images, k: Count, proposal: Proposal = "posterior", repeat: Seed = 0,
    on_images: Callable[[int], None] | None = None, processes: Processes = ALONE,
) -> ImportanceBound:  # fmt: skip
    """L_k = E[logsumexp_i log_w_i - log k] (Burda et al. 2015, eq. 8), a lower bound on log p(x) whatever the proposal.

    With one or two latents and many particles log p(x|z) is read off a `LikelihoodTable`, to within a hundredth of a nat,
    where that is quicker.

    Args:
        model: on the same device as `images`.
        images: with labels where the model is conditional.
        k: particles, taken in chunks, so that memory does not grow with them.
        proposal: ``posterior`` draws them from q(z|x), which the literature calls NLL; ``mixture`` from 1/2 q(z|x) + 1/2 p(z)
            (a defensive mixture, Owen & Zhou 2000), which still finds the modes that q misses.
        repeat: another number gives other particles.
        on_images: called with how many images are done, now and then.
        processes: the processes that share the images; every one returns the result.
    """
    model.eval()
    noise = generator(images.pixels.device, "importance", k, repeat)
    groups = min(k, GROUPS)
    # whole rounds over the groups, so that particle i is of group i modulo groups in every chunk
    most = model.image_shape.measured_batch(ROWS)
    particles, wide = min(k, max(1, most // 10 // groups) * groups), accumulator(images.pixels.device)
    sizes = torch.tensor([len(range(group, k, groups)) for group in range(groups)], dtype=torch.float64)
    tabled, mine_in_turn = worthwhile(model, len(images), k), processes.round_robin()
    parts = []
    for start in range(0, len(images), BLOCK):
        block = images[start : start + BLOCK]
        x, y = model.observe(block.pixels), model.condition(block.labels)
        h, p = model.features(x, y), model.prior()
        q = model.posterior_of(h, y)
        check_finite(q.mean, q.stddev)
        block_is_mine = tabled and next(mine_in_turn)
        table = LikelihoodTable(model, x, block, h) if block_is_mine else None
        for rows in torch.arange(len(block), device=x.device).split(max(1, most // particles)):
            mine = block_is_mine if tabled else next(mine_in_turn)
            sums = _Sums(groups, kept_weights(k), torch.full((len(rows),), -math.inf, dtype=wide, device=x.device))
            x_rows, y_rows = x[rows], None if y is None else y[rows]
            q_rows = model.posterior_of(h[rows], y_rows)
            for done in range(0, k, particles):
                size = min(particles, k - done)
                eps = torch.randn(size, len(rows), model.latent_dim, generator=noise, device=x.device)
                if proposal == "mixture":
                    from_prior = torch.rand(size, len(rows), 1, generator=noise, device=x.device) < 0.5
                    of_prior = model.prior.sample(size * len(rows), noise).view_as(eps)
                if not mine:  # every process draws all noise, which is cheap beside decoding
                    continue
                z = q_rows.transform(eps)
                if proposal == "mixture":
                    z = torch.where(from_prior, of_prior, z)
                    log_r = torch.logaddexp(q_rows.log_prob(z), p.log_prob(z)) - math.log(2)
                else:
                    log_r = q_rows.log_prob(z)
                log_likelihood = table.log_prob(z, rows) if table else model.likelihood(z, y_rows).log_prob(x_rows)
                sums.add((log_likelihood + p.log_prob(z) - log_r).to(wide))
            parts.append(sums.found(sizes) if mine else torch.zeros(groups + 4, len(rows), dtype=torch.float64))
            if on_images:
                on_images(start + int(rows[-1]) + 1)
    value, *without, effective, largest_share, k_hat = processes.sum(torch.cat(parts, 1))  # of 0 from all but one
    check_finite(value)
    return ImportanceBound(value, torch.stack(without), sizes, Diagnostics(effective, largest_share, k_hat))


class _Sums:
    """Sums of the weights of N images, to which chunks of particles are added.

    Args:
        groups: of particles.
        kept: how many weights of each image are kept, the largest.
        nothing: -inf, shape (N,).
    """

    def __init__(self, groups: int, kept: int, nothing: Tensor) -> None:
        self._groups, self._kept = groups, kept
        self._log_sums, self._log_squares, self._largest = nothing.repeat(groups, 1), nothing, nothing[None, :][:0]

    def add(self, log_w: Tensor) -> None:
        """Adds particles, shape (K, N); particle i is of group i modulo groups."""
        rounds = F.pad(log_w, (0, 0, 0, -len(log_w) % self._groups), value=-math.inf).unflatten(0, (-1, self._groups))
        self._log_sums = torch.logaddexp(self._log_sums, rounds.logsumexp(0))
        self._log_squares = torch.logaddexp(self._log_squares, (2 * log_w).logsumexp(0))
        largest = torch.cat((self._largest, log_w))
        self._largest = largest.topk(min(self._kept, len(largest)), 0, sorted=False).values

    def found(self, sizes: Tensor) -> Tensor:
        """`with_and_without`, then effective sample size, largest share and k-hat: float64 on the CPU, shape (groups + 4, N)."""
        log_sums, log_squares, largest = (logs.cpu().double() for logs in (self._log_sums, self._log_squares, self._largest))
        log_sum = log_sums.logsumexp(0)
        weights = (2 * log_sum - log_squares).exp(), (largest.amax(0) - log_sum).exp(), pareto_k(largest)
        return torch.cat((with_and_without(log_sums, sizes), torch.stack(weights)))


def with_and_without(log_sums: Tensor, sizes: Tensor) -> Tensor:
    """The log mean of all weights, then without each group: (groups + 1, N), from the groups' log sums, (groups, N)."""
    nothing = torch.full_like(log_sums[:1], -math.inf)
    before = torch.cat((nothing, log_sums.logcumsumexp(0)))
    after = torch.cat((log_sums.flip(0).logcumsumexp(0).flip(0), nothing))
    counts = torch.cat((sizes.sum().view(1), sizes.sum() - sizes)).log().unsqueeze(1)
    return torch.cat((before[-1:], torch.logaddexp(before[:-1], after[1:]))) - counts
