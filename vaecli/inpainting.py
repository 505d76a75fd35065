"""The missing part of images from the part that is seen, by stochastic variational inference of their latents."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vaecli.adam import Adam
from vaecli.gaussian import DiagonalNormal
from vaecli.model import VAE

PARTICLES = 4
LEARNING_RATES = (0.05, 0.015, 0.005)
WINDOW = 50
RISE = 0.01
"""When the bound, averaged over a window of steps and all images, rises by less than this many nats to the next window, the next
learning rate's turn comes; after the last one's the steps end."""

_ROWS = 4000


@dataclass(frozen=True)
class Inference:
    """What was inferred of the latents of N images of which a part is seen.

    Attributes:
        posterior: q(z | seen part), shape (N, latent_dim): for each image the best of several starts.
        bound: its ELBO, E_q[log p(x_o|z) + log p(z) - log q(z)] <= log p(x_o), nats, shape (N,).
        steps: gradient steps taken.
    """

    posterior: DiagonalNormal
    bound: Tensor
    steps: int


def infer(
    model: VAE, x: Tensor, y: Tensor | None, seen: Tensor, noise: torch.Generator, starts: int = 8, steps: int = 2000
) -> Inference:
    """Maximises E_q[log p(x_o|z) + log p(z) - log q(z)] over q = N(mu, diag(sigma^2)), one for each image.

    Stochastic variational inference (Hoffman, Blei, Wang & Paisley 2013) with reparameterised gradients; all images and
    starts are one batch.

    Args:
        model: its weights stay as they are.
        x: images, shape (N, 784), of which only the pixels under `seen` are used.
        y: their labels, shape (N, 10), or None.
        seen: boolean, shape (784,).
        noise: for the starts, which are draws from the prior, and for the particles.
        starts: how many for each image.
        steps: how many at the most; it ends before when the bound no longer rises.
    """
    model.eval()
    count, latents = len(x), model.config.latent_dim
    observed = x[:, seen].repeat(starts, 1)
    labels = None if y is None else y.repeat(starts, 1)
    mu = torch.randn(starts * count, latents, generator=noise, device=x.device).requires_grad_()
    log_sigma = torch.full_like(mu, -1.0).detach().requires_grad_()
    optimizer = Adam([mu, log_sigma], LEARNING_RATES[0])

    def bound(particles: int) -> Tensor:
        q = DiagonalNormal(mu, log_sigma)
        z = q.rsample((particles,), noise)
        return (model.likelihood(z, labels).marginal(seen).log_prob(observed) + model.prior.log_prob(z) - q.log_prob(z)).mean(0)

    def climb(count: int) -> float:
        total = torch.zeros((), device=x.device)
        for _ in range(count):
            value = bound(PARTICLES).mean()
            mu.grad, log_sigma.grad = torch.autograd.grad(-value * len(mu), (mu, log_sigma))
            optimizer.step()
            total += value.detach()
        return float(total) / count

    taken = 0
    for optimizer.rate in LEARNING_RATES:
        before, now = -math.inf, -math.inf
        while taken < steps and (now == -math.inf or now - before >= RISE):
            size = min(WINDOW, steps - taken)
            before, now = now, climb(size)
            taken += size
    with torch.no_grad():
        bounds = torch.stack([bound(PARTICLES) for _ in range(100)]).mean(0).view(starts, count)
        best = bounds.argmax(0)
        images = torch.arange(count, device=x.device)
        chosen = DiagonalNormal(*(each.detach().view(starts, count, latents)[best, images] for each in (mu, log_sigma)))
        return Inference(chosen, bounds[best, images], taken)


@torch.inference_mode()
def log_missing(
    model: VAE, x: Tensor, y: Tensor | None, seen: Tensor, posterior: DiagonalNormal, noise: torch.Generator, samples: int = 1000
) -> Tensor:
    """The score log p(x_m | x_o) ~= log 1/S sum_s p(x_m | z_s) with z_s ~ q(z | x_o), in nats, shape (N,).

    Args:
        model: the model.
        x: whole images, shape (N, 784).
        y: their labels, shape (N, 10), or None.
        seen: boolean, shape (784,); the missing pixels are the others.
        posterior: from `infer`.
        noise: for the samples.
        samples: S.
    """
    chunk = max(1, _ROWS // len(x))
    parts = []
    for start in range(0, samples, chunk):
        z = posterior.rsample((min(chunk, samples - start),), noise)
        parts.append(model.likelihood(z, y).marginal(~seen).log_prob(x[:, ~seen]))
    return torch.cat(parts).logsumexp(0) - math.log(samples)
