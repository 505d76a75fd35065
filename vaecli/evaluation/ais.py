"""log p(x) bounded by annealing: from below on any images, from both sides on images that the model draws itself."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vaecli.arguments import Count, checked
from vaecli.data.images import Images
from vaecli.device import accumulator
from vaecli.distributions.latents import PosteriorDistribution
from vaecli.distributions.normal import DiagonalNormal
from vaecli.evaluation.importance import jackknife
from vaecli.evaluation.schedule import AIS
from vaecli.model import VAE, check_finite
from vaecli.processes import ALONE, Processes
from vaecli.seeding import generator
from vaecli.threads import fast_arithmetic

ACCEPTANCE = 0.65
"""Share of the moves to accept (Beskos et al. 2013, arXiv:1001.4460: 0.651 in many dimensions)."""

PILOT = 50
"""Temperatures of the pilot run; a fifth of the schedule's where that is more."""

PILOT_CHAINS = 2

WARM_UP = 15
"""Moves of the pilot at the first temperature, before those whose steps are kept."""

GAIN = 0.2
"""How fast the pilot's step follows its acceptance: the change of its logarithm for a difference of 1."""

SMOOTH = 7
"""Temperatures over which the pilot's steps are averaged; odd."""

JITTER = 0.2
"""Share by which steps differ either way, so that no trajectory closes on itself (Neal 2011, arXiv:1206.1901, section 5.4.2.2)."""

ROWS = {"cpu": 200}
"""Images of 28 x 28 times chains at once, by device: few on a CPU, for processes to share; ROWS_ELSEWHERE on others."""

ROWS_ELSEWHERE = 20_000

CHUNK = 32
"""Moves whose noise is drawn at once; the noise depends on it."""


@dataclass(frozen=True)
class Annealed:
    """Annealed estimates of N images, float64 on the CPU.

    Attributes:
        log_w: log weights of the chains, nats, shape (S, N).
        acceptance: share of its moves that each image accepted, shape (N,); NaN where there are none, of one temperature.
    """

    log_w: Tensor
    acceptance: Tensor

    @property
    def value(self) -> Tensor:
        """The log of the mean weight, shape (N,): a lower bound on log p(x) in expectation."""
        return _log_mean(self.log_w)

    @property
    def without(self) -> Tensor:
        """The values without each of the chains, shape (S, N); -inf for a single chain."""
        return torch.stack([_log_mean(self.log_w[torch.arange(len(self.log_w)) != s]) for s in range(len(self.log_w))])

    @property
    def variance(self) -> Tensor | None:
        """Of each value over other chains, shape (N,), by the jackknife over chains; None for a single one.

        It does not see how far the value is below log p(x), nor modes that no chain found.
        """
        return chain_variance(self.value, self.without)


def chain_variance(value: Tensor, without: Tensor) -> Tensor | None:
    """The variance of values, shape (N,), from those without each chain, shape (S, N); None for a single chain."""
    return jackknife(value, without, torch.ones(len(without), dtype=torch.float64)) if len(without) > 1 else None


def _log_mean(log_w: Tensor) -> Tensor:
    return log_w.logsumexp(0) - math.log(max(1, len(log_w)))


@dataclass(frozen=True)
class Bracket:
    """Bounds from both sides on the log p(x) of N images that the model drew, in nats, float64 on the CPU, each of shape (N,).

    Attributes:
        lower: by annealing from q(z|x), as `annealed` does: at most log p(x) in expectation.
        upper: by annealing backwards from the latents of which the images were drawn: at least log p(x) in expectation.
    """

    lower: Tensor
    upper: Tensor


Noise = tuple[Tensor, Tensor]
"""Of a move: momenta, standard normal, of the latents' shape (S, B, latent_dim), and numbers in [0, 1), shape (2, S, B)."""


class _Chains:
    """Hamiltonian Monte Carlo (Neal 2011, arXiv:1206.1901) of S chains for each of B images.

    Log densities and gradients are kept from one move to the next. They are float32: a move looks at differences of a few nats.
    """

    def __init__(self, batch: "_Batch", z: Tensor) -> None:
        self._batch = batch
        self._state = [z, *batch.densities(z)]

    @property
    def log_w(self) -> Tensor:
        """The values of log p(x, z) - log q(z|x), shape (S, B), of the accumulator's type."""
        _, joint, posterior, *_ = self._state
        wide = accumulator(joint.device)
        return joint.to(wide) - posterior.to(wide)

    def move(self, b: float, step: Tensor, noise: Noise, leapfrog: int) -> Tensor:
        """Moves the latents, which leaves q(z|x)^(1-b) p(x, z)^b as it is.

        Args:
            b: inverse temperature.
            step: in standard deviations of q, shape (B,).
            noise: of the move.
            leapfrog: steps.

        Returns:
            The probabilities to accept, shape (S, B).
        """
        r, uniform = noise
        z, joint, posterior, of_joint, of_posterior = self._state
        before = 0.5 * r.square().sum(-1) - (1 - b) * posterior - b * joint
        # with a mass of 1 / stddev^2 momenta are standard normal in units of q's standard deviation
        size = (step * (1 - JITTER + 2 * JITTER * uniform[1])).unsqueeze(-1) * self._batch.q.stddev
        r = r + 0.5 * size * ((1 - b) * of_posterior + b * of_joint)
        for left in reversed(range(leapfrog)):
            z = z + size * r
            joint, posterior, of_joint, of_posterior = self._batch.densities(z)
            r = r + (1.0 if left else 0.5) * size * ((1 - b) * of_posterior + b * of_joint)
        after = 0.5 * r.square().sum(-1) - (1 - b) * posterior - b * joint
        probability = (before - after).clamp(max=0).exp().nan_to_num(0)  # an energy that is no number is refused
        accepted = uniform[0] < probability
        reached = (z, joint, posterior, of_joint, of_posterior)
        self._state = [
            torch.where(accepted if new.ndim == accepted.ndim else accepted.unsqueeze(-1), new, old)
            for new, old in zip(reached, self._state, strict=True)
        ]
        return probability


class _Batch:
    """Images that are annealed at once.

    Args:
        model: whose parameters need no gradient.
        x: what it observes of them, shape (B, D).
        y: their labels, or None.
        seeds: a word and the images' numbers, that seed the noise of each: it is the same in any batch, process and device.
        settings: of the schedule.
        on_share: called with the share of the work on them that is done.
        runs: how often they are annealed in all.
        q: where the chains start; q(z|x) if not given.
        observed: the pixels that `x` has, boolean, shape (D,); all of them if not given.
    """

    def __init__(
        self, model: VAE, x: Tensor, y: Tensor | None, seeds: tuple[str, slice], settings: AIS,
        on_share: Callable[[float], None], runs: int = 1, q: PosteriorDistribution | None = None, observed: Tensor | None = None,
    ) -> None:  # fmt: skip
        self._model, self._x, self._y, self._settings, self._on_share = model, x, y, settings, on_share
        self._seeds = [(seeds[0], index) for index in range(seeds[1].start, seeds[1].stop)]
        self._p, self.q, self._observed = model.prior(), model.posterior(x, y) if q is None else q, observed
        check_finite(self.q.mean, self.q.stddev)
        self._pilot = max(PILOT, settings.temperatures // 5) if settings.temperatures > 1 else 0
        self._done, self._cost = 0, PILOT_CHAINS * (WARM_UP + self._pilot) + runs * settings.chains * settings.temperatures

    def densities(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The log p(x, z) and log q(z|x) of latents (S, B, latent_dim), each of shape (S, B), and their gradients, of z's shape."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            likelihood = self._model.likelihood(z, self._y)
            likelihood = likelihood if self._observed is None else likelihood.marginal(self._observed)
            joint = likelihood.log_prob(self._x) + self._p.log_prob(z)
            posterior = self.q.log_prob(z)
            of_joint, of_posterior = (torch.autograd.grad(value.sum(), z)[0] for value in (joint, posterior))
        return joint.detach(), posterior.detach(), of_joint, of_posterior

    def forward(self, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Log weights, shape (S, B), and the acceptance, shape (B,). A weight is p(x) in expectation (Neal 2001, eq. 11)."""
        return self._anneal(self._start("forward", self._settings.chains), self._temperatures(), steps, "forward")

    def backward(self, z: Tensor, steps: Tensor) -> Tensor:
        """Log weights, shape (S, B), of chains from draws of p(z|x), shape (B, latent_dim). A weight is 1 / p(x) in expectation.

        Grosse, Ghahramani & Adams 2015, arXiv:1511.02543, section 3: the forward chain in reverse.
        """
        start = z.expand(self._settings.chains, *z.shape).clone()
        return self._anneal(start, self._temperatures().flip(0), steps.flip(0), "backward")[0]

    def _temperatures(self) -> Tensor:
        # denser near either end was no better on 50 latents: q(z|x) is close already
        return torch.linspace(0, 1, self._settings.temperatures + 1, dtype=torch.float64)

    def _anneal(self, start: Tensor, temperatures: Tensor, steps: Tensor, what: str) -> tuple[Tensor, Tensor]:
        chains, b = _Chains(self, start), temperatures.tolist()
        log_w, accepted = torch.zeros_like(chains.log_w), torch.zeros_like(chains.log_w[0])
        noise = self._moves(what, len(steps), len(start))
        for before, after, step in zip(b, b[1:], [*steps, None], strict=False):
            log_w += (after - before) * chains.log_w
            if step is not None:
                accepted += chains.move(after, step, next(noise), self._settings.leapfrog).mean(0) / len(steps)
            self._progress(len(start))
        return log_w.cpu().double(), (accepted if len(steps) else accepted.fill_(math.nan)).cpu().double()

    def tuned(self) -> Tensor:
        """The steps of all moves, in standard deviations of q, from a pilot run: shape (T - 1, B).

        The pilot's chains are others than those that are weighed, and its steps are fixed before these start: the weights stay
        unbiased.
        """
        if not self._pilot:
            return torch.zeros(0, len(self._x), device=self._x.device)
        chains, logs = _Chains(self, self._start("pilot", PILOT_CHAINS)), []
        log_step = torch.full((len(self._x),), math.log(0.5), device=self._x.device)
        visited = torch.linspace(0, 1, self._pilot).tolist()
        moves = self._moves("pilot", WARM_UP + self._pilot, PILOT_CHAINS)
        for b, noise in zip([0.0] * WARM_UP + visited, moves, strict=True):
            accepted = chains.move(b, log_step.exp(), noise, self._settings.leapfrog)
            log_step = log_step + GAIN * (accepted.mean(0) - ACCEPTANCE)
            logs.append(log_step)
            self._progress(PILOT_CHAINS)
        found = F.pad(torch.stack(logs[WARM_UP:], 1).unsqueeze(1), (SMOOTH // 2, SMOOTH // 2), mode="replicate")
        found = F.avg_pool1d(found, SMOOTH, 1).squeeze(1).T
        place = self._temperatures()[1:-1] * (self._pilot - 1)
        left = place.long().clamp(max=self._pilot - 2)
        share = (place - left).to(found).unsqueeze(1)
        return torch.lerp(found[left], found[left + 1], share).exp()

    def _start(self, what: str, chains: int) -> Tensor:
        eps = [torch.randn(chains, self._model.latent_dim, generator=self._noise(of, what, "start")) for of in self._seeds]
        return self.q.transform(torch.stack(eps, 1).to(self._x.device))

    def _moves(self, what: str, count: int, chains: int) -> Iterator[Noise]:
        sources, device = [self._noise(of, what, "moves") for of in self._seeds], self._x.device
        for start in range(0, count, CHUNK):
            momenta = [torch.randn(CHUNK, chains, self._model.latent_dim, generator=source) for source in sources]
            uniform = [torch.rand(CHUNK, 2, chains, generator=source) for source in sources]
            size = min(CHUNK, count - start)
            yield from zip(torch.stack(momenta, 2).to(device)[:size], torch.stack(uniform, 3).to(device)[:size], strict=True)

    @staticmethod
    def _noise(of_image: tuple[str, int], *words: str) -> torch.Generator:
        return generator("cpu", "annealing", *of_image, *words)

    def _progress(self, chains: int) -> None:
        self._done += chains
        self._on_share(self._done / self._cost)


@contextmanager
def _ready(model: VAE) -> Iterator[None]:
    """While entered, the model's parameters need no gradient: only the latents do."""
    model.eval()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        with torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


@checked
@fast_arithmetic()
def annealed(
    model: VAE, images: Images, settings: AIS | None = None, on_share: Callable[[float], None] | None = None,
    processes: Processes = ALONE, what: str = "image",
) -> Annealed:  # fmt: skip
    """Annealed importance sampling: a lower bound on log p(x), or log p(x|y), in expectation.

    Neal 2001, arXiv:physics/9803008; of decoders, Wu et al. 2017, arXiv:1611.04273. The chains start at q(z|x) and follow
    q(z|x)^(1-b) p(x, z)^b, b from 0 to 1 in equal steps, by Hamiltonian Monte Carlo, whose step sizes a pilot run tunes for each
    image and temperature. Only log densities of the model's parts are asked for, and their gradients by the latents.

    Args:
        model: on the same device as `images`.
        images: with labels where the model is conditional.
        settings: of the schedule; AIS() if not given.
        on_share: called with the share that is done, now and then.
        processes: the processes that share the images; every one returns the result.
        what: a word that seeds the noise, as do the images' numbers.

    Example:
        >>> model, digits = vaecli.load("baseline").model, vaecli.load_images("mnist", "test", limit=5)
        >>> annealed(model, digits, AIS(temperatures=20)).value.shape
        torch.Size([5])
    """
    settings = settings or AIS()
    with _ready(model):
        log_w, acceptance = (torch.zeros(size, len(images), dtype=torch.float64) for size in (settings.chains, 1))
        for rows, mine, progress in _shares(model, len(images), settings, on_share, processes):
            if mine:
                x, y = model.observe(images.pixels[rows]), model.condition(images.labels[rows])
                batch = _Batch(model, x, y, (what, rows), settings, progress)
                log_w[:, rows], acceptance[:, rows] = batch.forward(batch.tuned())
    log_w, acceptance = (processes.sum(part, patiently=True) for part in (log_w, acceptance))  # of 0 from all but one
    check_finite(log_w)
    return Annealed(log_w, acceptance[0])


def annealed_from(
    model: VAE, x: Tensor, labels: Tensor, q: DiagonalNormal, observed: Tensor, settings: AIS, what: str,
    on_image: Callable[[int], None] | None = None,
) -> Annealed:  # fmt: skip
    """Annealed importance sampling of log p(x_s), the pixels seen, from given posteriors: `annealed`, one image after the other.

    An image's numbers do not depend on the images after it, to the bit.

    Args:
        model: on the same device as the images.
        x: what it observes of them, shape (N, D).
        labels: shape (N,); only a conditional model sees them.
        q: where the chains start, batch shape (N,).
        observed: the pixels seen, boolean, shape (D,).
        settings: of the schedule.
        what: a word that seeds the noise, as do the images' numbers.
        on_image: called with the number of images that are done.
    """
    log_w, acceptance = list[Tensor](), list[Tensor]()
    with _ready(model):
        for row in range(len(x)):
            y, own = model.condition(labels[row : row + 1]), DiagonalNormal(q.loc[row : row + 1], q.log_scale[row : row + 1])
            seen, seeds = x[row : row + 1, observed], (what, slice(row, row + 1))
            batch = _Batch(model, seen, y, seeds, settings, lambda share: None, q=own, observed=observed)
            for parts, found in zip((log_w, acceptance), batch.forward(batch.tuned()), strict=True):
                parts.append(found)
            if on_image:
                on_image(row + 1)
    check_finite(*log_w)
    return Annealed(torch.cat(log_w, 1), torch.cat(acceptance))


@checked
@fast_arithmetic()
def bracketed(
    model: VAE, n: Count, settings: AIS | None = None, on_share: Callable[[float], None] | None = None, processes: Processes = ALONE
) -> Bracket:
    """Bidirectional Monte Carlo: both bounds on log p(x) of images that the model draws, by one schedule.

    Grosse, Ghahramani & Adams 2015, arXiv:1511.02543. The latents of which an image was drawn are an exact draw from its posterior,
    and annealing backwards from there bounds log p(x) from above in expectation. The gap says how good the schedule is on such
    images; on others q(z|x) may be farther from the posterior.

    Args:
        model: the model.
        n: images to draw; of a conditional model with labels 0, 1, ... in turn.
        settings: of the schedule; AIS() if not given.
        on_share: called with the share that is done, now and then.
        processes: the processes that share the images; every one returns the result.
    """
    settings = settings or AIS()
    noise = generator(model.device, "annealing", "pixels")
    with _ready(model):
        values = torch.zeros(2, n, dtype=torch.float64)
        z = model.prior.sample(n, generator(model.device, "annealing", "latents"))
        y = model.condition(torch.arange(n, device=model.device) % max(1, model.labels))
        for rows, mine, progress in _shares(model, n, settings, on_share, processes):
            y_rows = None if y is None else y[rows]
            x = model.likelihood(z[rows], y_rows).sample(generator=noise)  # by every process, for the noise
            if mine:
                batch = _Batch(model, x, y_rows, ("drawn", rows), settings, progress, runs=2)
                steps = batch.tuned()
                values[0, rows] = _log_mean(batch.forward(steps)[0])
                values[1, rows] = -_log_mean(batch.backward(z[rows], steps))
    lower, upper = processes.sum(values, patiently=True)  # of 0 from all but one
    check_finite(lower, upper)
    return Bracket(lower, upper)


def _shares(
    model: VAE, count: int, settings: AIS, on_share: Callable[[float], None] | None, processes: Processes
) -> Iterator[tuple[slice, bool, Callable[[float], None]]]:
    """The place of each batch of images, whether it is this process's, and what to call with the share of it that is done.

    Batches are the same for any number of processes, and so are their bits.
    """
    rows = model.image_shape.scaled_batch(ROWS.get(model.device.type, ROWS_ELSEWHERE))
    size = max(1, rows // settings.chains)
    batches = [slice(start, min(start + size, count)) for start in range(0, count, size)]
    for index, (batch, mine) in enumerate(zip(batches, processes.round_robin(patiently=True), strict=False)):

        def progress(share: float, index: int = index) -> None:
            if on_share:
                on_share((index + share) / len(batches))

        yield batch, mine, progress
        progress(1.0)
